#pragma once

#include "bench/cuda/softmax.cuh"
#include "cuda_gpu/room.hpp"

namespace hocket::gpu_tests {

template <CudaDevice Device>
room<Device> softmax_room() {
  const auto size = [](std::size_t rows, std::size_t columns) {
    return dimensions{{"rows", rows}, {"columns", columns}};
  };
  return {"softmax",
          {size(1, 1), size(1, 31), size(3, 32), size(4, 33), size(129, 5), size(2, 300)},
          {size(4099, 127), size(1000, 4096), size(3, 100003)},
          &bench::prepare_softmax<Device>,
          &itself};
}

}  // namespace hocket::gpu_tests
