// Sums of a block in trees of fixed shape: the same bits in every run and every order of threads.
#pragma once

#include <cstddef>

#include <hocket/core/cuda/seam.cuh>

namespace hocket::cu {

/// Sum over the `Threads` threads of a block; thread 0 gets it, all must come. Once in a kernel.
template <unsigned Threads, class T>
HOCKET_DEVICE T block_sum(T x) {
  HOCKET_SHARED(sums_of_warps, array<T, Threads / 32>);
  x = warp_sum(x);
  if (lane() == 0) sums_of_warps(warp()) = x;
  sync();
  if (thread_x() > 0) return x;
  for (unsigned w = 1; w < Threads / 32; ++w) x += sums_of_warps(w);
  return x;
}

/// What one block of `Threads` threads makes of `count` numbers; thread 0 gets the sum.
template <unsigned Threads>
HOCKET_DEVICE double sum_of(const double* x, unsigned count) {
  double sum = 0;
  for (unsigned i = thread_x(); inside(i < count); i += Threads) sum += x[i];
  return block_sum<Threads>(sum);
}

/// Adds the lines of `part` up, so that line 0 holds the sum of each column. A block of `Width` x `Lines` threads, all
/// of them; each has written its own columns x, x + Width, ... of its line, and those of line 0 may read theirs after.
template <unsigned Width, class T, unsigned Lines, unsigned Columns>
HOCKET_DEVICE void sum_lines(array<T, Lines, Columns>& part) {
  const unsigned line = thread_y();
  for (unsigned step = Lines / 2; step > 0; step /= 2) {
    sync();
    if (line < step)
      for (unsigned c = thread_x(); c < Columns; c += Width) part(line, c) += part(line + step, c);
  }
}

/// out[column] = or += the sum over `tiles` of partial (tiles, columns). Blocks of 32 columns x 8 lines, each line
/// every eighth tile: a thread alone would wait for memory once a tile.
HOCKET_DEVICE void sum_tiles(const float* partial, float* out, bool add, unsigned tiles, unsigned columns) {
  constexpr unsigned width = 32, lines = 8;
  HOCKET_SHARED(part, array<float, lines, width>);
  const unsigned column = block_x() * width + thread_x();
  float sum = 0;
  if (inside(column < columns))
    for (unsigned t = thread_y(); inside(t < tiles); t += lines)
      sum += partial[static_cast<std::size_t>(t) * columns + column];
  part(thread_y(), thread_x()) = sum;
  sum_lines<width>(part);
  if (thread_y() > 0 || !inside(column < columns)) return;
  const float total = part(0, thread_x());
  out[column] = add ? out[column] + total : total;
}

}  // namespace hocket::cu
