#include "bench/cuda/gemm.cuh"
#include "bench/support/cuda.hpp"

namespace {
const bool added = hocket::bench::add_cuda_operation("gemm", [](const auto& kernel, const auto& sizes) {
  return hocket::bench::prepare_gemm(hocket::cuda{}, kernel, sizes);
});
}
