// The CUDA entry points of the tree, from docs/kernels.json, which is made from their sources.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hocket::bench {

/// An entry point as docs/kernels.json names it: hocket_<op>_<variant>_<dtype>. A library's function that does the same
/// has the library's name for `name` and `variant`.
struct cuda_kernel {
  std::string name, operation, variant, dtype;
};

/// The entry points of kernels/<operation>/cuda.cuh.
std::vector<cuda_kernel> cuda_kernels(std::string_view operation);

/// Every operation that has entry points, in order.
std::vector<std::string> cuda_rooms();

/// Sizes by the names that the entry points give them: {"rows", 8192}.
using dimensions = std::vector<std::pair<std::string, std::size_t>>;

/// The value of a size; bad_option if it is not there.
std::size_t size_of(const dimensions& sizes, std::string_view name);

/// "rows=8192 columns=768".
std::string to_text(const dimensions& sizes);

/// Bytes of an element of "f32", "tf32", "f16", "bf16", ...
std::size_t bytes_of_type(std::string_view dtype);

}  // namespace hocket::bench
