// A sum of table rows by index on the CPU, and its gradient.
//
// Ladder
//   1  forward: tiles of 64 rows. Backward: tiles of 64 columns, each walks all rows in order, so that rows with the
//      same id need neither atomics nor sorting and their sum has one order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <hocket/core/config.hpp>
#include <hocket/core/parallel.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/embedding/reference.hpp>

namespace hocket::kernels::embedding {

inline constexpr std::size_t rows_per_tile = 64, columns_per_tile = 64;

/// y (rows, columns) = sum over tables of table[ids[r]].
template <Real T>
void forward(const cpu& device, std::span<const lookup<T>> tables, const view<T, 2>& y) noexcept {
  const std::size_t rows = y.extent(0), columns = y.extent(1);
  for_each_tile(device, (rows + rows_per_tile - 1) / rows_per_tile, [&](std::size_t tile, std::size_t) {
    for (std::size_t r = tile * rows_per_tile; r < std::min(rows, (tile + 1) * rows_per_tile); ++r) {
      T* HOCKET_RESTRICT const out = y.data() + r * y.stride(0);
      for (std::size_t t = 0; t < tables.size(); ++t) {
        const T* const row = tables[t].table.data() + tables[t].ids[r] * tables[t].table.stride(0);
        if (t == 0)
          std::copy_n(row, columns, out);
        else
          for (std::size_t c = 0; c < columns; ++c) out[c] += row[c];
      }
    }
  });
}

/// dtable[ids[r]] += dy[r], in the order of r.
template <Real T>
void backward(const cpu& device, const view<const T, 2>& dy, std::span<const std::uint32_t> ids,
              const view<T, 2>& dtable) noexcept {
  const std::size_t rows = dy.extent(0), columns = dy.extent(1);
  for_each_tile(device, (columns + columns_per_tile - 1) / columns_per_tile, [&](std::size_t tile, std::size_t) {
    const std::size_t first = tile * columns_per_tile, count = std::min(columns_per_tile, columns - first);
    for (std::size_t r = 0; r < rows; ++r) {
      T* HOCKET_RESTRICT const to = dtable.data() + ids[r] * dtable.stride(0) + first;
      const T* const from = dy.data() + r * dy.stride(0) + first;
      for (std::size_t c = 0; c < count; ++c) to[c] += from[c];
    }
  });
}

}  // namespace hocket::kernels::embedding

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in instances.cpp
#define HOCKET_INSTANCE extern template
#include <hocket/kernels/embedding/instances.inl>
#undef HOCKET_INSTANCE
#endif
