#include "bench/cuda/mfcc.cuh"
#include "bench/support/cuda.hpp"

namespace {
const bool added = hocket::bench::add_cuda_operation("mfcc", [](const auto& kernel, const auto& sizes) {
  return hocket::bench::prepare_mfcc(hocket::cuda{}, kernel, sizes);
});
}
