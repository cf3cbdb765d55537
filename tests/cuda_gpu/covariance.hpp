#pragma once

#include "bench/cuda/covariance.cuh"
#include "cuda_gpu/room.hpp"

namespace hocket::gpu_tests {

template <CudaDevice Device>
room<Device> covariance_room() {
  const auto size = [](std::size_t n, std::size_t d, std::size_t groups, std::size_t count) {
    return dimensions{{"n", n}, {"d", d}, {"groups", groups}, {"count", count}};
  };
  const auto launches = [](const cuda_kernel& kernel, const dimensions&) -> std::vector<std::string> {
    if (kernel.variant == "own") return {"hocket_gemm_tiled_tn_f32", "hocket_covariance_join_f64"};
    if (kernel.variant == "cublas") return {"hocket_covariance_join_f64"};
    return {kernel.name};
  };
  // `count` is d^2, so that the launch comment of the join holds for the whole product too.
  room<Device> made{"covariance",
                    {size(1, 1, 1, 1), size(257, 17, 3, 289), size(300, 5, 2, 25)},
                    {size(100003, 65, 5, 4225), size(2000, 1000, 4, 1000000)},
                    &bench::prepare_covariance<Device>,
                    launches};
  for (const char* arm : {"own", "cublas"}) made.more.push_back({arm, "covariance", arm, "f32"});
  return made;
}

}  // namespace hocket::gpu_tests
