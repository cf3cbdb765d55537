// How the rows of a batch are cut into blocks for passes by rows. The cut depends on the batch alone, so that sums over
// blocks have one order for any number of threads; blocks are as even as whole items allow, and a multiple of four
// where the batch is not tiny, so that few threads end together.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <hocket/nn/op.hpp>

namespace hocket::nn {

/// Rows of a block, about: with the widths of small encoders its values stay in a second-level cache of 2 MiB.
inline constexpr std::size_t rows_of_block = 256;
/// Fewer rows are not worth a block of their own.
inline constexpr std::size_t fewest_rows_of_block = 32;

inline std::size_t blocks_of(std::size_t rows) {
  const std::size_t even = 4 * ((rows + 4 * rows_of_block - 1) / (4 * rows_of_block));
  return std::max<std::size_t>(1, std::min(even, rows / fewest_rows_of_block));
}

/// The ragged batch whose tokens are these rows; null if there is none.
template <class Run>
auto batch_of(Run& run, const extent& rows) -> decltype(&run.batches[0]) {
  if (rows.dimension == 0 || rows.factor != 1) return nullptr;
  for (auto& s : run.batches)
    if (s.tokens_dimension == rows.dimension) return &s;
  return nullptr;
}

template <Real T>
std::size_t most_rows_in_block(const run_state<T>& run, const extent& rows) {
  const std::size_t most = run.most[rows.dimension] * rows.factor;
  const auto* const batch = batch_of(run, rows);
  return std::min(most, rows_of_block + (batch ? batch->longest : 0));
}
template <Real T>
std::size_t most_blocks(const run_state<T>& run, const extent& rows) {
  return blocks_of(run.most[rows.dimension] * rows.factor);
}

/// Fills `to`, which has room for most_blocks(); allocates nothing. A batch without rows has no blocks.
template <Real T>
void cut_into_blocks(run_state<T>& run, const extent& rows, std::vector<row_block>& to) {
  to.clear();
  const std::size_t total = run.live[rows.dimension] * rows.factor, count = blocks_of(total);
  auto* const batch = batch_of(run, rows);
  if (batch) batch->starts_in_block.clear();
  std::size_t row = 0, item = 0;
  for (std::size_t i = 1; i <= count; ++i) {
    const std::size_t wanted = total * i / count;
    row_block block{row, 0, item, 0};
    if (!batch) {
      row = wanted;
    } else {
      // Items join while that brings the border nearer to where it should be; the last block takes all that are left.
      while (item < batch->lengths.size() && (i == count || row + batch->lengths[item] / 2 < wanted)) {
        batch->starts_in_block.push_back(static_cast<std::uint32_t>(row - block.first));
        row += batch->lengths[item++];
      }
    }
    block.rows = row - block.first;
    block.items = item - block.first_item;
    if (block.rows > 0 || block.items > 0) to.push_back(block);
  }
}

}  // namespace hocket::nn
