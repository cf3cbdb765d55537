// Rows brought to length 1 on the CPU, forward and backward, f32 and f64; a row of an embedding an item, so little that
// sums are kept in f64.
//
// Ladder
//   1  a row at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include <hocket/core/config.hpp>
#include <hocket/core/parallel.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/unit_rows/reference.hpp>

namespace hocket::kernels::unit_rows {

inline constexpr std::size_t rows_per_tile = 64;

namespace detail {
template <Real T>
double dot(const T* a, const T* b, std::size_t n) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}
}  // namespace detail

/// y (rows, columns) and the lengths of the rows (rows).
template <Real T>
void forward(const cpu& device, const view<const T, 2>& x, T least, const view<T, 2>& y,
             const view<T, 1>& lengths) noexcept {
  const std::size_t rows = x.extent(0), columns = x.extent(1);
  for_each_tile(device, (rows + rows_per_tile - 1) / rows_per_tile, [&](std::size_t tile, std::size_t) {
    for (std::size_t r = tile * rows_per_tile; r < std::min(rows, (tile + 1) * rows_per_tile); ++r) {
      const T* const in = x.data() + r * x.stride(0);
      T* const out = y.data() + r * y.stride(0);
      const double length = std::sqrt(detail::dot(in, in, columns));
      lengths.data()[r] = static_cast<T>(length);
      const T by = static_cast<T>(length < static_cast<double>(least) ? static_cast<double>(least) : length);
      for (std::size_t c = 0; c < columns; ++c) out[c] = in[c] / by;
    }
  });
}

/// dx from y and the lengths that the forward pass wrote; replaces or adds.
template <Real T>
void backward(const cpu& device, const view<const T, 2>& y, const view<const T, 1>& lengths, T least,
              const view<const T, 2>& dy, bool add, const view<T, 2>& dx) noexcept {
  const std::size_t rows = y.extent(0), columns = y.extent(1);
  for_each_tile(device, (rows + rows_per_tile - 1) / rows_per_tile, [&](std::size_t tile, std::size_t) {
    for (std::size_t r = tile * rows_per_tile; r < std::min(rows, (tile + 1) * rows_per_tile); ++r) {
      const T *const unit = y.data() + r * y.stride(0), *const d = dy.data() + r * dy.stride(0);
      T* const out = dx.data() + r * dx.stride(0);
      const bool moves = !(lengths.data()[r] < least);
      const T by = moves ? lengths.data()[r] : least;
      const T along = moves ? static_cast<T>(detail::dot(unit, d, columns)) : T{0};
      for (std::size_t c = 0; c < columns; ++c) {
        const T slope = (d[c] - unit[c] * along) / by;
        out[c] = add ? out[c] + slope : slope;
      }
    }
  });
}

}  // namespace hocket::kernels::unit_rows

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in instances.cpp
#define HOCKET_INSTANCE extern template
#include <hocket/kernels/unit_rows/instances.inl>
#undef HOCKET_INSTANCE
#endif
