// The rooms of training, one function each. They share a unit for nvcc: their kernels are short, its headers are not.
#pragma once

#include "bench/cuda/cross_entropy.cuh"
#include "bench/cuda/embedding.cuh"
#include "bench/cuda/epilogue.cuh"
#include "bench/cuda/optimizer_step.cuh"
#include "bench/cuda/pointwise_loss.cuh"
#include "bench/cuda/pooling.cuh"
#include "bench/cuda/softmax_regression.cuh"
#include "bench/cuda/unit_rows.cuh"
#include "cuda_gpu/room.hpp"

namespace hocket::gpu_tests {

template <CudaDevice Device>
room<Device> epilogue_room() {
  const auto size = [](std::size_t rows, std::size_t columns, std::size_t act, std::size_t percent) {
    return dimensions{{"rows", rows}, {"columns", columns}, {"act", act}, {"percent", percent}};
  };
  const auto launches = [](const cuda_kernel& kernel, const dimensions&) -> std::vector<std::string> {
    if (kernel.variant == "forward") return {kernel.name};
    if (kernel.variant == "backward") return {kernel.name, "hocket_epilogue_bias_f32"};
    return {};
  };
  const auto arguments = [](const cuda_kernel&, const dimensions& sizes) {
    return dimensions{{"tiles", kernels::epilogue::gpu::row_tiles(bench::size_of(sizes, "rows"))}};
  };
  return {"epilogue",
          {size(1, 1, 3, 50), size(5, 65, 2, 30), size(600, 3, 1, 0), size(17, 64, 0, 10), size(2, 130, 2, 0)},
          {size(4099, 1025, 2, 10), size(100003, 3, 3, 10), size(2048, 3072, 2, 0)},
          &bench::prepare_epilogue<Device>,
          launches,
          arguments};
}

template <CudaDevice Device>
room<Device> embedding_room() {
  const auto size = [](std::size_t rows, std::size_t columns, std::size_t tables, std::size_t words) {
    return dimensions{{"rows", rows}, {"columns", columns}, {"tables", tables}, {"words", words}};
  };
  const auto launches = [](const cuda_kernel& kernel, const dimensions&) -> std::vector<std::string> {
    if (kernel.variant == "forward") return {kernel.name};
    if (kernel.variant == "backward") return {kernel.name, "hocket_embedding_links_i32", "hocket_embedding_join_f32"};
    return {};
  };
  return {"embedding",
          {size(1, 1, 1, 1), size(132, 33, 2, 40), size(68, 3, 1, 30), size(100, 129, 1, 50), size(9, 31, 4, 3)},
          {size(8192, 384, 3, 30522), size(4099, 127, 1, 1000), size(100003, 5, 2, 7)},
          &bench::prepare_embedding<Device>,
          launches};
}

template <CudaDevice Device>
room<Device> pooling_room() {
  const auto size = [](std::size_t items, std::size_t longest, std::size_t columns, std::size_t mean) {
    return dimensions{{"items", items}, {"longest", longest}, {"columns", columns}, {"mean", mean}, {"ragged", 1}};
  };
  return {"pooling",
          {size(1, 1, 1, 1), size(3, 20, 33, 1), size(4, 8, 32, 0), size(3, 5, 7, 0)},
          {size(1000, 256, 384, 1), size(17, 4099, 1025, 1), size(100003, 3, 5, 0)},
          &bench::prepare_pooling<Device>,
          &itself};
}

template <CudaDevice Device>
room<Device> unit_rows_room() {
  const auto size = [](std::size_t rows, std::size_t columns) {
    return dimensions{{"rows", rows}, {"columns", columns}};
  };
  return {"unit_rows",
          {size(1, 1), size(5, 33), size(4, 32), size(130, 3), size(2, 384)},
          {size(4099, 384), size(100003, 7), size(3, 100003)},
          &bench::prepare_unit_rows<Device>,
          &itself};
}

template <CudaDevice Device>
room<Device> cross_entropy_room() {
  const auto size = [](std::size_t rows, std::size_t classes, std::size_t smoothing, std::size_t soft) {
    return dimensions{{"rows", rows}, {"classes", classes}, {"smoothing", smoothing}, {"soft", soft}};
  };
  return {"cross_entropy",
          {size(1, 1, 0, 0), size(5, 97, 10, 0), size(3, 40, 0, 1), size(130, 3, 100, 0), size(4, 32, 0, 0)},
          {size(4099, 30522, 10, 0), size(100003, 3, 0, 0), size(1000, 1025, 0, 1)},
          &bench::prepare_cross_entropy_arm<Device>,
          &itself};
}

template <CudaDevice Device>
room<Device> pointwise_loss_room() {
  const auto size = [](std::size_t rows, std::size_t columns, std::size_t kind) {
    return dimensions{{"rows", rows}, {"columns", columns}, {"kind", kind}};
  };
  const auto launches = [](const cuda_kernel& kernel, const dimensions&) -> std::vector<std::string> {
    if (kernel.variant == "forward") return {kernel.name, "hocket_pointwiseloss_total_f64"};
    if (kernel.variant == "backward") return {kernel.name};
    return {};
  };
  const auto arguments = [](const cuda_kernel&, const dimensions& sizes) {
    return dimensions{{"n", bench::size_of(sizes, "rows") * bench::size_of(sizes, "columns")}};
  };
  return {"pointwise_loss",
          {size(1, 1, 0), size(16, 16, 1), size(257, 1, 0), size(3, 1031, 1)},
          {size(4099, 1025, 1), size(1000003, 3, 0)},
          &bench::prepare_pointwise_arm<Device>,
          launches,
          arguments};
}

template <CudaDevice Device>
room<Device> optimizer_step_room() {
  const auto size = [](std::size_t n) { return dimensions{{"n", n}}; };
  const auto launches = [](const cuda_kernel& kernel, const dimensions&) -> std::vector<std::string> {
    if (kernel.variant == "squares") return {kernel.name, "hocket_optimizerstep_total_f64"};
    if (kernel.variant == "total") return {};
    return {kernel.name};
  };
  return {"optimizer_step",
          {size(1), size(255), size(256), size(257), size(4097)},
          {size(1000003), size(22713216)},
          &bench::prepare_optimizer_step<Device>,
          launches};
}

template <CudaDevice Device>
room<Device> softmax_regression_room() {
  const auto size = [](std::size_t n, std::size_t features, std::size_t classes) {
    return dimensions{{"n", n}, {"features", features}, {"classes", classes}};
  };
  const auto launches = [](const cuda_kernel& kernel, const dimensions&) -> std::vector<std::string> {
    if (kernel.variant != "residuals") return {};
    return {kernel.name, "hocket_softmaxregression_gradient_f64", "hocket_softmaxregression_join_f64",
            "hocket_softmaxregression_loss_f64"};
  };
  const auto arguments = [](const cuda_kernel&, const dimensions& sizes) {
    return dimensions{{"count", bench::size_of(sizes, "classes") * (bench::size_of(sizes, "features") + 1)}};
  };
  return {"softmax_regression",
          {size(1, 1, 2), size(9, 33, 9), size(257, 2, 3), size(4, 32, 4)},
          {size(5000, 400, 10), size(100003, 31, 5)},
          &bench::prepare_softmax_regression_arm<Device>,
          launches,
          arguments};
}

/// All of them, in order.
template <CudaDevice Device>
std::vector<room<Device>> training_rooms() {
  return {epilogue_room<Device>(),       embedding_room<Device>(),         pooling_room<Device>(),
          unit_rows_room<Device>(),      cross_entropy_room<Device>(),     pointwise_loss_room<Device>(),
          optimizer_step_room<Device>(), softmax_regression_room<Device>()};
}

}  // namespace hocket::gpu_tests
