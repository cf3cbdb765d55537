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

namespace hocket::bench {

/// An entry point as docs/kernels.json names it: hocket_<op>_<variant>_<dtype>.
struct cuda_kernel {
  std::string name, operation, variant, dtype;
};

/// The entry points of kernels/<operation>/cuda.cuh.
std::vector<cuda_kernel> cuda_kernels(std::string_view operation);

/// Sizes by the names that the entry points give them: {"rows", 8192}.
using dimensions = std::vector<std::pair<std::string, std::size_t>>;

/// The value of a size; bad_option if it is not there.
std::size_t size_of(const dimensions& sizes, std::string_view name);

/// Makes inputs on the device, runs once, compares with the reference.
using cuda_prepare = std::function<ready(const cuda_kernel&, const dimensions&)>;

/// By operation; filled by bench/cuda/*.cu where they are built.
std::map<std::string, cuda_prepare, std::less<>>& cuda_operations();

/// "no_device: ..." or "not_built: ...": why no CUDA arm runs here; empty where they run.
const std::string& cuda_trouble();

/// Bytes of an element of "f32", "tf32", "f16", "bf16", ...
std::size_t bytes_of_type(std::string_view dtype);

/// Work of a kernel for its element type.
struct cuda_work {
  double flops = 0, bytes = 0;
};

/// Adds the kernels `variant` of `operation`, one subject for each element type that there is. `shape` is the text that
/// the CPU arms of the same size carry, so that both stand in one record. A variant without kernels is an error.
void add_cuda_arms(std::string_view operation, std::string_view variant, const std::string& shape,
                   const dimensions& sizes, const std::function<cuda_work(std::size_t element_bytes)>& work);

}  // namespace hocket::bench
