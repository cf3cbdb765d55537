#pragma once

#include "bench/cuda/layernorm.cuh"
#include "cuda_gpu/room.hpp"

namespace hocket::gpu_tests {

template <CudaDevice Device>
room<Device> layernorm_room() {
  const auto size = [](std::size_t rows, std::size_t columns) {
    return dimensions{{"rows", rows}, {"columns", columns}};
  };
  // The backward pass starts three kernels: dx, tiles of column sums, their sum.
  const auto launches = [](const cuda_kernel& kernel, const dimensions&) -> std::vector<std::string> {
    if (kernel.variant.ends_with("forward")) return {kernel.name};
    if (!kernel.variant.ends_with("backward")) return {};
    std::string tiles = kernel.name;
    tiles.replace(tiles.find("backward"), std::string("backward").size(), "parameters");
    return {kernel.name, tiles, "hocket_layernorm_sum_tiles_f32"};
  };
  return {"layernorm",
          {size(1, 1), size(3, 31), size(4, 32), size(65, 40), size(129, 5), size(2, 384)},
          {size(4099, 127), size(1000, 768), size(300, 4099)},
          &bench::prepare_layernorm<Device>,
          launches};
}

}  // namespace hocket::gpu_tests
