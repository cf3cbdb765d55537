// The rooms of training share a unit for nvcc: their kernels are short, its headers are not.
#include "bench/cuda/cross_entropy.cuh"
#include "bench/cuda/embedding.cuh"
#include "bench/cuda/epilogue.cuh"
#include "bench/cuda/optimizer_step.cuh"
#include "bench/cuda/pointwise_loss.cuh"
#include "bench/cuda/pooling.cuh"
#include "bench/cuda/softmax_regression.cuh"
#include "bench/cuda/unit_rows.cuh"
#include "bench/support/cuda.hpp"

namespace {

using namespace hocket;

template <class Prepare>
bool add(const char* operation, Prepare prepare) {
  return bench::add_cuda_operation(
      operation, [prepare](const auto& kernel, const auto& sizes) { return prepare(cuda{}, kernel, sizes); });
}

const bool added[] = {
    add("epilogue", &bench::prepare_epilogue<cuda>),
    add("embedding", &bench::prepare_embedding<cuda>),
    add("pooling", &bench::prepare_pooling<cuda>),
    add("unit_rows", &bench::prepare_unit_rows<cuda>),
    add("cross_entropy", &bench::prepare_cross_entropy_arm<cuda>),
    add("pointwise_loss", &bench::prepare_pointwise_arm<cuda>),
    add("optimizer_step", &bench::prepare_optimizer_step<cuda>),
    add("softmax_regression", &bench::prepare_softmax_regression_arm<cuda>),
};

}  // namespace
