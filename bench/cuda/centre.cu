#include "bench/cuda/centre.cuh"
#include "bench/support/cuda.hpp"

namespace {
const bool added = hocket::bench::add_cuda_operation("centre", [](const auto& kernel, const auto& sizes) {
  return hocket::bench::prepare_centre(hocket::cuda{}, kernel, sizes);
});
}
