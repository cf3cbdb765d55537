#include "bench/cuda/covariance.cuh"
#include "bench/support/cuda.hpp"

namespace {
const bool added = hocket::bench::add_cuda_operation("covariance", [](const auto& kernel, const auto& sizes) {
  return hocket::bench::prepare_covariance(hocket::cuda{}, kernel, sizes);
});
}
