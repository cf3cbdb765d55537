#include "bench/cuda/attention.cuh"
#include "bench/support/cuda.hpp"

namespace {
const bool added = hocket::bench::add_cuda_operation("attention", [](const auto& kernel, const auto& sizes) {
  return hocket::bench::prepare_attention(hocket::cuda{}, kernel, sizes);
});
}
