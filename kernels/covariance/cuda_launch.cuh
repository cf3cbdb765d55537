// Products summed over rows on a device: groups of rows are multiplied side by side by the products that the caller has
// (own or cuBLAS), and joined in f64. Nothing here waits.
#pragma once

#include <algorithm>
#include <cstddef>

#include <hocket/core/cuda/checks.hpp>
#include <hocket/kernels/covariance/cuda.cuh>
#include <hocket/kernels/gemm/cublas_arguments.hpp>

namespace hocket::kernels::covariance::gpu {

/// Rows of a group: an f32 sum of so many products errs by at most group_rows / 2 units in the last place of the sum of
/// their absolute values, whatever N.
inline constexpr std::size_t group_rows = 256;
/// |error| <= promise x 2^-23 x sum over rows of |a b|.
inline constexpr double promise = static_cast<double>(group_rows) / 2 + 2;

/// Numbers that may be used for the products of groups, 64 MiB: more groups than fit are multiplied in turns.
inline constexpr std::size_t most_parts = std::size_t{1} << 24;

/// Groups multiplied at once: 1 for a result that alone is larger than most_parts.
inline std::size_t groups_at_once(std::size_t n, std::size_t count) {
  return std::clamp<std::size_t>(most_parts / std::max<std::size_t>(count, 1), 1,
                                 std::max<std::size_t>((n + group_rows - 1) / group_rows, 1));
}
/// Numbers of workspace for A^T B, (d,b) in size.
inline std::size_t workspace_size(std::size_t n, std::size_t d, std::size_t b) {
  return groups_at_once(n, d * b) * d * b;
}

template <CudaDevice Device>
void join(const Device& device, const float* parts, double* sums, std::size_t groups, std::size_t count, bool add) {
  expects(count < (std::size_t{1} << 31), errc::unsupported_shape, "covariance: a result of ", count, " numbers");
  require_device_memory(device, "covariance: parts", parts, groups * count * sizeof *parts);
  require_device_memory(device, "covariance: sums", sums, count * sizeof *sums);
  if (count == 0) return;
  launch(device, "hocket_covariance_join_f64",
         {{static_cast<unsigned>((count + threads - 1) / threads), 1, 1}, {threads, 1, 1}, 0},
         &hocket_covariance_join_f64, parts, sums, static_cast<unsigned>(groups), static_cast<unsigned>(count), add);
}

template <CudaDevice Device>
void narrow(const Device& device, const double* wide, float* out, std::size_t count) {
  expects(count < (std::size_t{1} << 31), errc::unsupported_shape, "covariance: a result of ", count, " numbers");
  require_device_memory(device, "covariance: wide", wide, count * sizeof *wide);
  require_device_memory(device, "covariance: out", out, count * sizeof *out);
  if (count == 0) return;
  launch(device, "hocket_covariance_narrow_f32",
         {{static_cast<unsigned>((count + threads - 1) / threads), 1, 1}, {threads, 1, 1}, 0},
         &hocket_covariance_narrow_f32, wide, out, static_cast<unsigned>(count));
}

/// body(first row, rows of a group, groups) for every turn of groups that are multiplied at once; the last group may be
/// short. No rows at all are one group of none, whose sums are zeros.
template <class Body>
void for_each_turn(std::size_t n, std::size_t count, Body&& body) {
  const std::size_t at_once = groups_at_once(n, count), whole = n / group_rows;
  for (std::size_t g = 0; g < whole; g += at_once) body(g * group_rows, group_rows, std::min(at_once, whole - g));
  if (n % group_rows > 0 || n == 0) body(whole * group_rows, n % group_rows, std::size_t{1});
}

/// sums (d,b) f64 = A^T B for dense A (n,d) and B (n,b). `products(shape, a, b, c, batch)` multiplies f32 matrices;
/// `parts` holds workspace_size(n, d, b) numbers.
template <CudaDevice Device, class Products>
void transposed_product(const Device& device, Products&& products, std::size_t n, std::size_t d, std::size_t b,
                        const float* left, const float* right, double* sums, float* parts) {
  const std::size_t count = d * b;
  for_each_turn(n, count, [&](std::size_t first, std::size_t rows, std::size_t groups) {
    products(gemm::shape{d, b, rows, true, false, d, b, b}, left + first * d, right + first * b, parts,
             gemm::batch{groups, rows * d, rows * b, count});
    join(device, parts, sums, groups, count, first > 0);
  });
}

}  // namespace hocket::kernels::covariance::gpu
