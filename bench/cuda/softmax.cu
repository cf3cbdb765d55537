#include "bench/cuda/softmax.cuh"
#include "bench/support/cuda.hpp"

namespace {
const bool added = hocket::bench::add_cuda_operation("softmax", [](const auto& kernel, const auto& sizes) {
  return hocket::bench::prepare_softmax(hocket::cuda{}, kernel, sizes);
});
}
