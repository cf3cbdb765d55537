// A sum of table rows by index for CUDA, forward for f32 / f16 / bf16 storage, and its gradient for f32.
//
// Ladder
//   1  forward: one warp a row, its ids in registers, sums in f32.
//   2  backward in three steps without atomics on floats, so that the sum of equal ids has one order: rows with the
//   same
//      id within a tile of 64 rows are summed at the first of them; the tiles' sums of an id are linked; the first link
//      adds them up. Two ballots find an id in a tile. An id of every row (token types) is a chain of rows / 64 sums.
//   -  one thread a column that walks all rows, as on the CPU: 384 columns are 12 busy warps of a card.
//   -  sorting the ids first: several launches and a workspace before the first sum, for a few thousand ids.
#pragma once

#include <cstddef>
#include <cstdint>

#include <hocket/core/cuda/seam.cuh>

namespace hocket::kernels::embedding::gpu {

inline constexpr unsigned warps_per_block = 8, most_tables = 4;
inline constexpr unsigned tile_rows = 64;          // rows that one step of the backward pass sums
inline constexpr unsigned columns_per_warp = 128;  // four a lane

/// The tables of a sum; the first `count` are there.
template <class T>
struct tables {
  const T* table[most_tables];
  const std::uint32_t* ids[most_tables];
};

/// y (rows, columns) = sum over tables of table[ids[row]]. One warp a row.
template <class T>
HOCKET_DEVICE void forward(const tables<T>& from, unsigned count, T* y, unsigned rows, unsigned columns) {
  const unsigned row = cu::block_x() * warps_per_block + cu::warp();
  if (!cu::inside(row < rows)) return;  // the whole warp leaves
  const T* at[most_tables];
  HOCKET_UNROLL
  for (unsigned t = 0; t < most_tables; ++t)
    at[t] = t < count ? from.table[t] + static_cast<std::size_t>(from.ids[t][row]) * columns : nullptr;
  for (unsigned c = cu::lane(); cu::inside(c < columns); c += 32) {
    float sum = to_f32(at[0][c]);
    HOCKET_UNROLL
    for (unsigned t = 1; t < most_tables; ++t)
      if (t < count) sum += to_f32(at[t][c]);
    y[static_cast<std::size_t>(row) * columns + c] = from_f32<T>(sum);
  }
}

/// Of a row that leads its tile: the next row that does with the same id, no_row if there is none; the top bit says
/// that no row before has the id.
inline constexpr std::uint32_t no_row = 0x7fffffffu, first_of_id = 0x80000000u;

/// Which rows of a tile have `id`, one bit each.
struct row_bits {
  unsigned low, high;
};
HOCKET_DEVICE row_bits find_in_tile(const std::uint32_t* ids, unsigned tile, std::uint32_t id, unsigned rows) {
  const unsigned low = tile * tile_rows + cu::lane(), high = low + 32;
  return {cu::ballot(cu::inside(low < rows) && ids[low] == id), cu::ballot(cu::inside(high < rows) && ids[high] == id)};
}
HOCKET_DEVICE unsigned first_row(unsigned tile, const row_bits& found) {
  return tile * tile_rows + (found.low ? cu::first_set(found.low) : 32 + cu::first_set(found.high));
}

/// links (rows), no_row for rows that do not lead their tile. One warp a row.
HOCKET_DEVICE void find_links(const std::uint32_t* ids, std::uint32_t* links, unsigned rows) {
  const unsigned row = cu::block_x() * warps_per_block + cu::warp();
  if (!cu::inside(row < rows)) return;
  const std::uint32_t id = ids[row];
  const unsigned tile = row / tile_rows, tiles = (rows + tile_rows - 1) / tile_rows;
  const bool leads = first_row(tile, find_in_tile(ids, tile, id, rows)) == row;
  std::uint32_t next = no_row, first = leads ? first_of_id : 0;
  for (unsigned t = tile + 1; leads && t < tiles && next == no_row; ++t) {
    const row_bits found = find_in_tile(ids, t, id, rows);
    if (found.low | found.high) next = first_row(t, found);
  }
  for (unsigned t = 0; t < tile && first; ++t) {
    const row_bits found = find_in_tile(ids, t, id, rows);
    if (found.low | found.high) first = 0;
  }
  if (cu::lane() == 0) links[row] = next | first;
}

/// partial[row] (rows, columns) = sum of dy over the rows of its tile with its id, in order, for rows that lead their
/// tile. One warp for a row and 128 columns.
HOCKET_DEVICE void sum_in_tiles(const float* dy, const std::uint32_t* ids, float* partial, unsigned rows,
                                unsigned columns) {
  const unsigned row = cu::block_x() * warps_per_block + cu::warp();
  if (!cu::inside(row < rows)) return;
  const unsigned tile = row / tile_rows, first = cu::block_y() * columns_per_warp + cu::lane();
  row_bits found = find_in_tile(ids, tile, ids[row], rows);
  if (first_row(tile, found) != row) return;
  float sum[4] = {0, 0, 0, 0};
  while (found.low | found.high) {
    const std::size_t from = static_cast<std::size_t>(first_row(tile, found)) * columns;
    HOCKET_UNROLL
    for (unsigned q = 0; q < 4; ++q)
      if (cu::inside(first + 32 * q < columns)) sum[q] += dy[from + first + 32 * q];
    if (found.low)
      found.low &= found.low - 1;
    else
      found.high &= found.high - 1;
  }
  HOCKET_UNROLL
  for (unsigned q = 0; q < 4; ++q)
    if (cu::inside(first + 32 * q < columns))
      partial[static_cast<std::size_t>(row) * columns + first + 32 * q] = sum[q];
}

/// dtable[id] (words, columns) += the sums of its tiles, in order, at the first row of each id. One warp for a row and
/// 128 columns.
HOCKET_DEVICE void join(const float* partial, const std::uint32_t* ids, const std::uint32_t* links, float* dtable,
                        unsigned rows, unsigned columns) {
  const unsigned row = cu::block_x() * warps_per_block + cu::warp();
  if (!cu::inside(row < rows)) return;
  if (!(links[row] & first_of_id)) return;
  const unsigned first = cu::block_y() * columns_per_warp + cu::lane();
  float sum[4] = {0, 0, 0, 0};
  for (std::uint32_t at = row; at != no_row; at = links[at] & no_row) {
    HOCKET_UNROLL
    for (unsigned q = 0; q < 4; ++q)
      if (cu::inside(first + 32 * q < columns))
        sum[q] += partial[static_cast<std::size_t>(at) * columns + first + 32 * q];
  }
  HOCKET_UNROLL
  for (unsigned q = 0; q < 4; ++q)
    if (cu::inside(first + 32 * q < columns))
      dtable[static_cast<std::size_t>(ids[row]) * columns + first + 32 * q] += sum[q];
}

}  // namespace hocket::kernels::embedding::gpu

// launch: grid ceil(rows / 8); block 256; shared 0
HOCKET_KERNEL(hocket_embedding_forward_f32)
(hocket::kernels::embedding::gpu::tables<float> from, unsigned count, float* y, unsigned rows, unsigned columns) {
  hocket::kernels::embedding::gpu::forward(from, count, y, rows, columns);
}
HOCKET_KERNEL(hocket_embedding_forward_f16)
(hocket::kernels::embedding::gpu::tables<hocket::f16> from, unsigned count, hocket::f16* y, unsigned rows,
 unsigned columns) {
  hocket::kernels::embedding::gpu::forward(from, count, y, rows, columns);
}
HOCKET_KERNEL(hocket_embedding_forward_bf16)
(hocket::kernels::embedding::gpu::tables<hocket::bf16> from, unsigned count, hocket::bf16* y, unsigned rows,
 unsigned columns) {
  hocket::kernels::embedding::gpu::forward(from, count, y, rows, columns);
}
HOCKET_KERNEL(hocket_embedding_links_i32)(const std::uint32_t* ids, std::uint32_t* links, unsigned rows) {
  hocket::kernels::embedding::gpu::find_links(ids, links, rows);
}
// launch: grid ceil(rows / 8) x ceil(columns / 128); block 256; shared 0
HOCKET_KERNEL(hocket_embedding_backward_f32)
(const float* dy, const std::uint32_t* ids, float* partial, unsigned rows, unsigned columns) {
  hocket::kernels::embedding::gpu::sum_in_tiles(dy, ids, partial, rows, columns);
}
HOCKET_KERNEL(hocket_embedding_join_f32)
(const float* partial, const std::uint32_t* ids, const std::uint32_t* links, float* dtable, unsigned rows,
 unsigned columns) {
  hocket::kernels::embedding::gpu::join(partial, ids, links, dtable, rows, columns);
}
