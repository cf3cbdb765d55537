// Launchers of the centring kernels: validate, choose the grid, start. They do not wait.
#pragma once

#include <hocket/core/cuda/checks.hpp>
#include <hocket/kernels/centre/cuda.cuh>

namespace hocket::kernels::centre::gpu {

/// |high + low - mean| <= promise x 2^-24 x 2^-24 x n x mean distance from the first row, and the rounding of the low
/// part; |square sum| is as exact. The errors of a compensated sum are of second order.
inline double means_promise(std::size_t n) { return 4.0 * static_cast<double>(n) * 0x1p-24; }

/// Groups of rows that column_sums keeps apart, and numbers that subtract leaves for the sum of squares.
inline std::size_t groups_of(std::size_t n) { return (n + sum_rows - 1) / sum_rows; }
inline std::size_t squares_of(std::size_t n, std::size_t d) {
  return 2 * ((n + centre_rows - 1) / centre_rows) * ((d + columns_per_block - 1) / columns_per_block);
}

namespace detail {

template <class Device, class T>
void require_rows(const Device& device, const char* what, view<T, 2> x) {
  expects(x.extent(0) == 0 || x.stride(0) >= x.extent(1), errc::unsupported_shape, what, ": rows of ", x.extent(1),
          " elements cannot be ", x.stride(0), " apart");
  expects(x.extent(0) < (std::size_t{1} << 31) && x.stride(0) < (std::size_t{1} << 31), errc::unsupported_shape, what,
          ": ", to_text(x.extents()), " has a dimension above 2^31");
  if (!x.empty())
    require_device_memory(device, what, x.data(), ((x.extent(0) - 1) * x.stride(0) + x.extent(1)) * sizeof(T));
}

}  // namespace detail

/// high + low (D) = column means of x (N,D), N >= 1. `sums` holds 2 groups_of(N) D numbers of workspace.
template <CudaDevice Device>
void column_means(const Device& device, view<const float, 2> x, float* high, float* low, float* sums) {
  const std::size_t n = x.extent(0), d = x.extent(1), groups = groups_of(n);
  detail::require_rows(device, "centre: x", x);
  expects(n >= 1, errc::unsupported_shape, "centre: the mean of no rows");
  expects(groups <= 65535, errc::unsupported_shape, "centre: ", n, " rows; at most ", 65535 * std::size_t{sum_rows});
  if (d == 0) return;
  require_device_memory(device, "centre: high", high, d * sizeof(float));
  require_device_memory(device, "centre: low", low, d * sizeof(float));
  require_device_memory(device, "centre: sums", sums, 2 * groups * d * sizeof(float));
  const auto u = [](std::size_t v) { return static_cast<unsigned>(v); };
  launch(device, "hocket_centre_column_sums_f32",
         {{u((d + columns_per_block - 1) / columns_per_block), u(groups), 1}, {columns_per_block, rows_at_once, 1}, 0},
         &hocket_centre_column_sums_f32, x.data(), sums, sums + groups * d, u(n), u(d), u(x.stride(0)));
  const float* const sum_high = sums;
  const float* const sum_low = sums + groups * d;
  launch(device, "hocket_centre_means_f32", {{u((d + 127) / 128), 1, 1}, {128, 1, 1}, 0}, &hocket_centre_means_f32,
         x.data(), sum_high, sum_low, high, low, u(groups), u(n), u(d));
}

/// out (N,D) = x - (high + low), which may be x itself; `squares` (squares_of(N, D)) receives parts of the sum of
/// squares of out, which add up to it in f64.
template <CudaDevice Device>
void subtract(const Device& device, view<const float, 2> x, const float* high, const float* low, view<float, 2> out,
              float* squares) {
  const std::size_t n = x.extent(0), d = x.extent(1);
  expects(out.extents() == x.extents(), errc::unsupported_shape, "centre: out is ", to_text(out.extents()), ", x is ",
          to_text(x.extents()));
  detail::require_rows(device, "centre: x", x);
  detail::require_rows(device, "centre: out", out);
  if (x.empty()) return;
  require_device_memory(device, "centre: high", high, d * sizeof(float));
  require_device_memory(device, "centre: low", low, d * sizeof(float));
  require_device_memory(device, "centre: squares", squares, squares_of(n, d) * sizeof(float));
  const auto u = [](std::size_t v) { return static_cast<unsigned>(v); };
  launch(device, "hocket_centre_subtract_f32",
         {{u((n + centre_rows - 1) / centre_rows), u((d + columns_per_block - 1) / columns_per_block), 1},
          {columns_per_block, rows_at_once, 1},
          0},
         &hocket_centre_subtract_f32, x.data(), high, low, out.data(), squares, u(n), u(d), u(x.stride(0)),
         u(out.stride(0)));
}

}  // namespace hocket::kernels::centre::gpu
