#include "cuda_gpu/centre.hpp"

namespace {
const bool added = hocket::gpu_tests::add_room(hocket::gpu_tests::centre_room<hocket::cuda>());
}
