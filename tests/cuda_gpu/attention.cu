#include "cuda_gpu/attention.hpp"

namespace {
const bool added = hocket::gpu_tests::add_room(hocket::gpu_tests::attention_room<hocket::cuda>());
}
