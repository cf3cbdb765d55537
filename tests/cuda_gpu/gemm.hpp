#pragma once

#include "bench/cuda/gemm.cuh"
#include "cuda_gpu/room.hpp"

namespace hocket::gpu_tests {

template <CudaDevice Device>
room<Device> gemm_room() {
  const auto size = [](std::size_t m, std::size_t n, std::size_t k) {
    return dimensions{{"m", m}, {"n", n}, {"k", k}};
  };
  return {"gemm",
          {size(1, 1, 1), size(65, 63, 33), size(16, 8, 16), size(7, 97, 40)},
          {size(129, 127, 1000), size(500, 300, 200), size(1024, 1024, 1024)},
          &bench::prepare_gemm<Device>,
          &itself};
}

}  // namespace hocket::gpu_tests
