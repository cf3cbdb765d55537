#include "bench/cuda/layernorm.cuh"
#include "bench/support/cuda.hpp"

namespace {
const bool added = hocket::bench::add_cuda_operation("layernorm", [](const auto& kernel, const auto& sizes) {
  return hocket::bench::prepare_layernorm(hocket::cuda{}, kernel, sizes);
});
}
