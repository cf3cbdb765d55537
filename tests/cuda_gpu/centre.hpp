#pragma once

#include "bench/cuda/centre.cuh"
#include "cuda_gpu/room.hpp"

namespace hocket::gpu_tests {

template <CudaDevice Device>
room<Device> centre_room() {
  const auto size = [](std::size_t n, std::size_t d) { return dimensions{{"n", n}, {"d", d}}; };
  const auto launches = [](const cuda_kernel& kernel, const dimensions&) -> std::vector<std::string> {
    if (kernel.variant == "column_sums") return {kernel.name, "hocket_centre_means_f32"};
    if (kernel.variant == "subtract") return {kernel.name};
    return {};
  };
  return {"centre",
          {size(1, 1), size(7, 33), size(257, 5), size(255, 64), size(1025, 3)},
          {size(100003, 127), size(4096, 1025), size(3, 65537)},
          &bench::prepare_centre<Device>,
          launches};
}

}  // namespace hocket::gpu_tests
