// The CUDA kernels of one room at the sizes that a test runs, as a template on the device: tests/cuda_gpu/<op>.cu for a
// GPU, executor.cpp for the host executor. Preparing an arm (bench/cuda/<op>.cuh) runs it and compares it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <hocket/core/cuda/launch.cuh>

#include "bench/support/bench.hpp"
#include "bench/support/cuda_kernels.hpp"

namespace hocket::gpu_tests {

using bench::cuda_kernel;
using bench::dimensions;

template <CudaDevice Device>
struct room {
  std::string operation;
  std::vector<dimensions> sizes;        ///< awkward and small: the executor and compute-sanitizer run these
  std::vector<dimensions> large_sizes;  ///< a GPU runs these too
  std::function<bench::ready(const Device&, const cuda_kernel&, const dimensions&)> prepare;
  /// The entry points that the arm of this kernel launches at these sizes; none if it has no arm of its own.
  std::function<std::vector<std::string>(const cuda_kernel&, const dimensions&)> launches;
  /// What launch comments name and follows from the sizes.
  std::function<dimensions(const cuda_kernel&, const dimensions&)> arguments{};
  std::vector<cuda_kernel> more{};  ///< arms that are no entry point: several rooms' kernels, a library's function

  /// Every arm that there may be.
  std::vector<cuda_kernel> arms() const {
    std::vector<cuda_kernel> all = bench::cuda_kernels(operation);
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

/// For rooms in which every kernel is an arm.
inline std::vector<std::string> itself(const cuda_kernel& kernel, const dimensions&) { return {kernel.name}; }

/// The rooms of the program for a GPU; each tests/cuda_gpu/<op>.cu adds its own.
inline std::vector<room<cuda>>& rooms() {
  static std::vector<room<cuda>> all;
  return all;
}
inline bool add_room(room<cuda> one) {
  rooms().push_back(std::move(one));
  return true;
}

}  // namespace hocket::gpu_tests
