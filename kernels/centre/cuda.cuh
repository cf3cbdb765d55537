// Column means and centring for CUDA: f32 storage, sums carried as two floats whose low part holds what the high part
// rounds away.
//
// Ladder
//   1  f64 sums as on the CPU: right, but consumer cards run f64 at 1/64 of their f32 rate.
//   2  pairs of f32 (Knuth's two-sum): ten additions an element hide behind its load. f64 only where D numbers are
//   joined. 3  centring writes the sum of squares too, which would cost another pass.
// Rows are cut into groups by shape alone, groups are joined in order: the same bits on every card.
#pragma once

#include <hocket/core/cuda/seam.cuh>

namespace hocket::kernels::centre::gpu {

/// Threads of a block: 32 neighbouring columns by 8 rows.
inline constexpr unsigned columns_per_block = 32, rows_at_once = 8;
/// Rows that a block sums, and rows that a block centres.
inline constexpr unsigned sum_rows = 1024, centre_rows = 256;

/// high + low; low is what the sum so far has lost to rounding.
struct compensated {
  float high = 0, low = 0;
};

/// sum + x without loss: D. E. Knuth, The Art of Computer Programming, volume 2, section 4.2.2, theorem B.
HOCKET_DEVICE void add(compensated& sum, float x) {
  const float s = sum.high + x, part = s - sum.high;
  sum.low += (sum.high - (s - part)) + (x - part);
  sum.high = s;
}

/// sums (groups, d), high and low: over the rows of a group, x(i, j) - x(0, j), so that a common offset takes no
/// digits.
HOCKET_DEVICE void column_sums(const float* x, float* high, float* low, unsigned n, unsigned d, unsigned ld) {
  HOCKET_SHARED(part_high, cu::array<float, rows_at_once, columns_per_block>);
  HOCKET_SHARED(part_low, cu::array<float, rows_at_once, columns_per_block>);
  const unsigned tx = cu::thread_x(), ty = cu::thread_y();
  const unsigned column = cu::block_x() * columns_per_block + tx, first = cu::block_y() * sum_rows;
  const unsigned end = first + sum_rows < n ? first + sum_rows : n;
  compensated sum;
  if (cu::inside(column < d)) {
    const float origin = x[column];
    for (unsigned row = first + ty; row < end; row += rows_at_once) {
      const float value = x[static_cast<std::size_t>(row) * ld + column];
      const float distance = value - origin, part = distance - value;
      add(sum, distance);
      sum.low += (value - (distance - part)) - (origin + part);  // what the subtraction rounded away
    }
  }
  part_high(ty, tx) = sum.high;
  part_low(ty, tx) = sum.low;
  cu::sync();
  if (ty > 0 || !cu::inside(column < d)) return;
  for (unsigned r = 1; r < rows_at_once; ++r) {
    add(sum, part_high(r, tx));
    sum.low += part_low(r, tx);
  }
  const std::size_t at = static_cast<std::size_t>(cu::block_y()) * d + column;
  high[at] = sum.high;
  low[at] = sum.low;
}

/// high + low (d) = the mean of each column, from its sums (groups, d); f64 for d numbers.
HOCKET_DEVICE void means(const float* x, const float* sum_high, const float* sum_low, float* high, float* low,
                         unsigned groups, unsigned n, unsigned d) {
  const unsigned column = cu::global_index();
  if (!cu::inside(column < d)) return;
  double sum = 0;
  for (unsigned g = 0; g < groups; ++g) {
    const std::size_t at = static_cast<std::size_t>(g) * d + column;
    sum += static_cast<double>(sum_high[at]) + static_cast<double>(sum_low[at]);
  }
  const double origin = static_cast<double>(x[column]), shift = sum / static_cast<double>(n);
  const float whole = static_cast<float>(origin + shift);
  high[column] = whole;
  low[column] = static_cast<float>((origin - static_cast<double>(whole)) + shift);
}

/// out(i, j) = (x(i, j) - high[j]) - low[j]; out may be x. squares (blocks, 2): sum of squares of what a block wrote,
/// high and low, blocks counted row by row of the grid.
HOCKET_DEVICE void subtract(const float* x, const float* high, const float* low, float* out, float* squares, unsigned n,
                            unsigned d, unsigned ld, unsigned ld_out) {
  HOCKET_SHARED(part_high, cu::array<float, columns_per_block * rows_at_once>);
  HOCKET_SHARED(part_low, cu::array<float, columns_per_block * rows_at_once>);
  const unsigned tx = cu::thread_x(), ty = cu::thread_y();
  const unsigned column = cu::block_y() * columns_per_block + tx, first = cu::block_x() * centre_rows;
  const unsigned end = first + centre_rows < n ? first + centre_rows : n;
  compensated sum;
  if (cu::inside(column < d)) {
    const float whole = high[column], rest = low[column];
    for (unsigned row = first + ty; row < end; row += rows_at_once) {
      const float value = (x[static_cast<std::size_t>(row) * ld + column] - whole) - rest;
      out[static_cast<std::size_t>(row) * ld_out + column] = value;
      const float square = fmaf(value, value, 0.0f);  // a product that nvcc may not merge with the sum
      add(sum, square);
      sum.low += fmaf(value, value, -square);  // what the product rounded away
    }
  }
  const unsigned t = ty * columns_per_block + tx;
  part_high(t) = sum.high;
  part_low(t) = sum.low;
  cu::sync();
  for (unsigned step = columns_per_block * rows_at_once / 2; step > 0; step /= 2) {
    if (t < step) {
      add(sum, part_high(t + step));
      sum.low += part_low(t + step);
      part_high(t) = sum.high;
      part_low(t) = sum.low;
    }
    cu::sync();
  }
  if (t > 0) return;
  const std::size_t block = static_cast<std::size_t>(cu::block_y()) * cu::grid_dim_x() + cu::block_x();
  squares[2 * block] = sum.high;
  squares[2 * block + 1] = sum.low;
}

}  // namespace hocket::kernels::centre::gpu

// launch: grid ceil(d / 32) x ceil(n / 1024); block 32 x 8; shared 0
HOCKET_KERNEL(hocket_centre_column_sums_f32)
(const float* x, float* high, float* low, unsigned n, unsigned d, unsigned ld) {
  hocket::kernels::centre::gpu::column_sums(x, high, low, n, d, ld);
}
// launch: grid ceil(d / 128); block 128; shared 0
HOCKET_KERNEL(hocket_centre_means_f32)
(const float* x, const float* sum_high, const float* sum_low, float* high, float* low, unsigned groups, unsigned n,
 unsigned d) {
  hocket::kernels::centre::gpu::means(x, sum_high, sum_low, high, low, groups, n, d);
}
// launch: grid ceil(n / 256) x ceil(d / 32); block 32 x 8; shared 0
HOCKET_KERNEL(hocket_centre_subtract_f32)
(const float* x, const float* high, const float* low, float* out, float* squares, unsigned n, unsigned d, unsigned ld,
 unsigned ld_out) {
  hocket::kernels::centre::gpu::subtract(x, high, low, out, squares, n, d, ld, ld_out);
}
