#include "cuda_gpu/layernorm.hpp"

namespace {
const bool added = hocket::gpu_tests::add_room(hocket::gpu_tests::layernorm_room<hocket::cuda>());
}
