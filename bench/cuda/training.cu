// The rooms of training share a unit for nvcc: their kernels are short, its headers are not.
#include "bench/cuda/epilogue.cuh"
#include "bench/support/cuda.hpp"

namespace {
const bool added[] = {hocket::bench::add_cuda_operation("epilogue", [](const auto& kernel, const auto& sizes) {
  return hocket::bench::prepare_epilogue(hocket::cuda{}, kernel, sizes);
})};
}
