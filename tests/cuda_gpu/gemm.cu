#include "cuda_gpu/gemm.hpp"

namespace {
const bool added = hocket::gpu_tests::add_room(hocket::gpu_tests::gemm_room<hocket::cuda>());
}
