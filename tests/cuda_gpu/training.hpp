// The rooms of training, one function each. They share a unit for nvcc: their kernels are short, its headers are not.
#pragma once

#include "bench/cuda/epilogue.cuh"
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

/// All of them, in order.
template <CudaDevice Device>
std::vector<room<Device>> training_rooms() {
  return {epilogue_room<Device>()};
}

}  // namespace hocket::gpu_tests
