// Launchers of the embedding's kernels: validate, choose the grid, start. They do not wait.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include <hocket/core/cuda/checks.hpp>
#include <hocket/kernels/embedding/cuda.cuh>

namespace hocket::kernels::embedding::gpu {

/// A table (words, columns) and the row of it that each row of the output takes, on the device. Every id is below
/// words; a device cannot say so without being waited for.
template <class T>
struct device_lookup {
  view<const T, 2> table;
  view<const std::uint32_t, 1> ids;
};

/// Promised error of dtable in epsilon x the sum over an id's rows of |dy|: 64 rows of a tile, then the tiles.
inline double promise_backward(std::size_t rows) {
  return 1 + static_cast<double>(std::min<std::size_t>(rows, tile_rows) + rows / tile_rows) / 2;
}

/// y (rows, columns) = sum over 1 to 4 tables of table[ids[r]].
template <CudaDevice Device, class T>
void forward(const Device& device, const std::vector<device_lookup<T>>& lookups, view<T, 2> y) {
  const std::size_t rows = y.extent(0), columns = y.extent(1);
  expects(!lookups.empty() && lookups.size() <= most_tables, errc::unsupported_shape, "embedding: ", lookups.size(),
          " tables; it takes 1 to ", most_tables);
  require_on_device(device, "embedding: y", y, y.extents());
  tables<T> from{};
  for (std::size_t t = 0; t < lookups.size(); ++t) {
    require_on_device(device, "embedding: table", lookups[t].table, {lookups[t].table.extent(0), columns});
    require_on_device(device, "embedding: ids", lookups[t].ids, {rows});
    from.table[t] = lookups[t].table.data();
    from.ids[t] = lookups[t].ids.data();
  }
  if (y.empty()) return;
  const auto [name, kernel] = HOCKET_ENTRY(T, hocket_embedding_forward);
  launch(device, name, warp_per_row(rows, warps_per_block), kernel, from, static_cast<unsigned>(lookups.size()),
         y.data(), static_cast<unsigned>(rows), static_cast<unsigned>(columns));
}

/// dtable[ids[r]] += dy[r]. `sums` (rows, columns) and `links` (rows) are workspace.
template <CudaDevice Device>
void backward(const Device& device, view<const float, 2> dy, view<const std::uint32_t, 1> ids, view<float, 2> dtable,
              view<float, 2> sums, view<std::uint32_t, 1> links) {
  const std::size_t rows = dy.extent(0), columns = dy.extent(1);
  require_on_device(device, "embedding: dy", dy, dy.extents());
  require_on_device(device, "embedding: ids", ids, {rows});
  require_on_device(device, "embedding: dtable", dtable, {dtable.extent(0), columns});
  require_on_device(device, "embedding: sums", sums, dy.extents());
  require_on_device(device, "embedding: links", links, {rows});
  if (dy.empty()) return;
  const auto rows_u = static_cast<unsigned>(rows), columns_u = static_cast<unsigned>(columns);
  const launch_shape by_row = warp_per_row(rows, warps_per_block);
  launch_shape by_column = by_row;
  by_column.grid.y = (columns_u + columns_per_warp - 1) / columns_per_warp;
  launch(device, "hocket_embedding_links_i32", by_row, &hocket_embedding_links_i32, ids.data(), links.data(), rows_u);
  launch(device, "hocket_embedding_backward_f32", by_column, &hocket_embedding_backward_f32, dy.data(), ids.data(),
         sums.data(), rows_u, columns_u);
  launch(device, "hocket_embedding_join_f32", by_column, &hocket_embedding_join_f32,
         static_cast<const float*>(sums.data()), ids.data(), static_cast<const std::uint32_t*>(links.data()),
         dtable.data(), rows_u, columns_u);
}

}  // namespace hocket::kernels::embedding::gpu
