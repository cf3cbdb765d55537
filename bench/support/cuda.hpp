// CUDA arms of hocket_bench. Which kernels there are comes from docs/kernels.json, which is made from their sources;
// how one is prepared comes from bench/cuda/<op>.cuh, compiled by nvcc in a build with CUDA. Without such a build, or
// without a device, every CUDA arm is a row `not run` with the reason.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bench/support/bench.hpp"
#include "bench/support/cuda_kernels.hpp"

namespace hocket::bench {

/// Makes inputs on the device, runs once, compares with the reference.
using cuda_prepare = std::function<ready(const cuda_kernel&, const dimensions&)>;

/// By operation; filled by bench/cuda/*.cu where they are built.
std::map<std::string, cuda_prepare, std::less<>>& cuda_operations();

/// For the namespace-scope constant of bench/cuda/<op>.cu.
inline bool add_cuda_operation(const std::string& operation, cuda_prepare prepare) {
  cuda_operations()[operation] = std::move(prepare);
  return true;
}

/// "no_device: ..." or "not_built: ...": why no CUDA arm runs here; empty where they run.
const std::string& cuda_trouble();

/// "NVIDIA H100 80GB HBM3"; empty without a device.
std::string cuda_device_name();

/// Work of a kernel for its element type, and what a run is counted in.
struct cuda_work {
  double flops = 0, bytes = 0;
  double units = 1;
  const char* unit = "launches";
};

/// Adds the kernels `variant` of `operation`, one subject for each element type that there is. `shape` is the text that
/// the CPU arms of the same size carry, so that both stand in one record. A variant without kernels is an error.
void add_cuda_arms(std::string_view operation, std::string_view variant, const std::string& shape,
                   const dimensions& sizes, const std::function<cuda_work(std::size_t element_bytes)>& work);

/// Adds a library's version of the same, as arm `library`.
void add_cuda_library(std::string_view operation, std::string_view library, std::string_view dtype,
                      const std::string& shape, const dimensions& sizes, const cuda_work& work);

}  // namespace hocket::bench
