// Bias, activation, dropout and residual for CUDA: forward for f32 / f16 / bf16 storage, backward for f32; f32
// arithmetic.
//
// Ladder
//   1  sixteen threads share a group of 64 columns, the unit of dropout: each makes one Philox block, whose four words
//      belong to its columns 16 apart, so that no word is made twice and half a warp reads whole sectors. The
//      activation is a uniform branch, not a template: the pass waits for memory.
//   2  the bias gradient: the backward pass leaves column sums of 64 rows, a tree in shared memory, and a second kernel
//      adds the tiles up. No float atomics, so the same bits in every run.
//   -  one thread an element: each Philox block is made four times, and ten rounds of it cost more than the element.
#pragma once

#include <cmath>
#include <cstdint>

#include <hocket/core/cuda/philox.cuh>
#include <hocket/core/cuda/reduce.cuh>
#include <hocket/core/cuda/seam.cuh>
#include <hocket/kernels/epilogue/shape.hpp>

namespace hocket::kernels::epilogue::gpu {

inline constexpr unsigned group_columns = 64, group_threads = 16, groups_per_block = 16;
inline constexpr unsigned tile_rows = 64, tile_lines = 16;  // a block of the backward pass
static_assert(group_columns == dropout_group);

/// `dropout` as a kernel takes it; nothing is dropped with a threshold of 0.
struct mask {
  std::uint32_t seed_low, seed_high, stream_low, stream_high, threshold;
  float scale;
};

/// factor[q] of the elements thread + 16 q of a group: 0 or the scale.
HOCKET_DEVICE void keep_factors(const mask& drop, std::uint64_t group, unsigned thread, float (&factor)[4]) {
  const std::uint64_t block = group * group_threads + thread;
  std::uint32_t words[4] = {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), drop.stream_low,
                            drop.stream_high};
  cu::philox4x32(words, drop.seed_low, drop.seed_high);
  HOCKET_UNROLL
  for (unsigned q = 0; q < 4; ++q) factor[q] = words[q] < drop.threshold ? 0.0f : drop.scale;
}

/// The normal distribution function.
HOCKET_DEVICE float phi(float u) { return 0.5f * erfcf(u * -0.70710678118654752440f); }

/// (1 + tanh(x)) / 2 for gelu_tanh's x, without the cancellation of the sum; `rest` is 1 minus it.
HOCKET_DEVICE float tanh_share(float u, float& rest) {
  const float twice = 1.59576912160573071176f * (u + 0.044715f * u * u * u), small = expf(-fabsf(twice));
  rest = (twice < 0 ? 1.0f : small) / (1.0f + small);
  return (twice < 0 ? small : 1.0f) / (1.0f + small);
}

HOCKET_DEVICE float value_of(activation act, float u) {
  float rest = 0;
  switch (act) {
    case activation::relu: return u < 0 ? 0.0f : u;  // NaN stays
    case activation::gelu: return u * phi(u);
    case activation::tanh: return tanhf(u);
    case activation::gelu_tanh: return u * tanh_share(u, rest);
    default: return u;
  }
}

/// d act'(u).
HOCKET_DEVICE float slope_of(activation act, float d, float u) {
  switch (act) {
    case activation::relu: return u > 0 ? d : (u == u ? 0.0f : u);
    case activation::gelu: return d * (phi(u) + u * (expf(u * u * -0.5f) * 0.39894228040143267794f));
    case activation::tanh: {
      const float y = tanhf(u);
      return d * (1.0f - y * y);
    }
    case activation::gelu_tanh: {
      float rest = 0;
      const float share = tanh_share(u, rest);
      return d * (share + u * share * rest * (1.59576912160573071176f * (1.0f + 0.134145f * u * u)));
    }
    default: return d;
  }
}

/// u = x + bias; y = residual + keep(act(u)), all (rows, columns) dense but bias (columns). bias, residual and u may be
/// null. 16 threads a group of 64 columns.
template <class T>
HOCKET_DEVICE void forward(const T* x, const T* bias, const T* residual, T* u, T* y, activation act, const mask& drop,
                           unsigned rows, unsigned columns) {
  const unsigned groups = (columns + group_columns - 1) / group_columns;
  const unsigned group = cu::block_x() * groups_per_block + cu::thread_x() / group_threads;
  const unsigned thread = cu::thread_x() % group_threads, row = group / groups;
  if (!cu::inside(row < rows)) return;
  float factor[4] = {1, 1, 1, 1};
  if (drop.threshold != 0) keep_factors(drop, group, thread, factor);
  const unsigned first = group % groups * group_columns + thread;
  HOCKET_UNROLL
  for (unsigned q = 0; q < 4; ++q) {
    const unsigned column = first + q * group_threads;
    if (!cu::inside(column < columns)) continue;
    const std::size_t i = static_cast<std::size_t>(row) * columns + column;
    float value = to_f32(x[i]);
    if (bias) value += to_f32(bias[column]);
    if (u) u[i] = from_f32<T>(value);
    value = value_of(act, value) * factor[q];
    if (residual) value += to_f32(residual[i]);
    y[i] = from_f32<T>(value);
  }
}

/// du from dy and u (null without an activation); partial (row tiles, columns) the column sums of du over each tile of
/// rows, or null. Block (16, 16) for 64 columns x 64 rows.
HOCKET_DEVICE void backward(const float* dy, const float* u, float* du, float* partial, activation act,
                            const mask& drop, unsigned rows, unsigned columns) {
  HOCKET_SHARED(part, cu::array<float, tile_lines, group_columns>);
  const unsigned groups = (columns + group_columns - 1) / group_columns;
  const unsigned thread = cu::thread_x(), line = cu::thread_y(), first = cu::block_y() * group_columns + thread;
  float sum[4] = {0, 0, 0, 0};
  for (unsigned r = line; r < tile_rows; r += tile_lines) {
    const unsigned row = cu::block_x() * tile_rows + r;
    if (!cu::inside(row < rows)) break;
    float factor[4] = {1, 1, 1, 1};
    if (drop.threshold != 0)
      keep_factors(drop, static_cast<std::uint64_t>(row) * groups + cu::block_y(), thread, factor);
    HOCKET_UNROLL
    for (unsigned q = 0; q < 4; ++q) {
      const unsigned column = first + q * group_threads;
      if (!cu::inside(column < columns)) continue;
      const std::size_t i = static_cast<std::size_t>(row) * columns + column;
      const float d = slope_of(act, dy[i] * factor[q], u ? u[i] : 0.0f);
      du[i] = d;
      sum[q] += d;
    }
  }
  if (!partial) return;  // the whole grid
  HOCKET_UNROLL
  for (unsigned q = 0; q < 4; ++q) part(line, thread + q * group_threads) = sum[q];
  cu::sum_lines<group_threads>(part);
  if (line > 0) return;
  HOCKET_UNROLL
  for (unsigned q = 0; q < 4; ++q) {
    const unsigned column = first + q * group_threads;
    if (cu::inside(column < columns))
      partial[static_cast<std::size_t>(cu::block_x()) * columns + column] = part(0, thread + q * group_threads);
  }
}

}  // namespace hocket::kernels::epilogue::gpu

#define HOCKET_EPILOGUE_FORWARD(suffix, T)                                                              \
  /* launch: grid ceil(rows * ceil(columns / 64) / 16); block 256; shared 0 */                          \
  HOCKET_KERNEL(hocket_epilogue_forward_##suffix)                                                       \
  (const T* x, const T* bias, const T* residual, T* u, T* y, hocket::kernels::epilogue::activation act, \
   hocket::kernels::epilogue::gpu::mask drop, unsigned rows, unsigned columns) {                        \
    hocket::kernels::epilogue::gpu::forward(x, bias, residual, u, y, act, drop, rows, columns);         \
  }
HOCKET_EPILOGUE_FORWARD(f32, float)
HOCKET_EPILOGUE_FORWARD(f16, hocket::f16)
HOCKET_EPILOGUE_FORWARD(bf16, hocket::bf16)
#undef HOCKET_EPILOGUE_FORWARD
// launch: grid ceil(rows / 64) x ceil(columns / 64); block 16 x 16; shared 0
HOCKET_KERNEL(hocket_epilogue_backward_f32)
(const float* dy, const float* u, float* du, float* partial, hocket::kernels::epilogue::activation act,
 hocket::kernels::epilogue::gpu::mask drop, unsigned rows, unsigned columns) {
  hocket::kernels::epilogue::gpu::backward(dy, u, du, partial, act, drop, rows, columns);
}
// launch: grid ceil(columns / 32); block 32 x 8; shared 0
/// dbias (columns) = or += the sum over the tiles of partial (tiles, columns).
HOCKET_KERNEL(hocket_epilogue_bias_f32)
(const float* partial, float* dbias, bool add, unsigned tiles, unsigned columns) {
  hocket::cu::sum_tiles(partial, dbias, add, tiles, columns);
}
