// Layer norm and RMS norm for CUDA, forward and backward, f32 / f16 / bf16 activations with f32 parameters and sums.
//
// Ladder
//   1  one warp a row: mean, then the variance about that mean (the one-pass sum of squares loses all digits when the
//      mean is large), then the output; a row of a transformer stays in L1 between the passes.
//   2  gradients of gain and bias: tiles of 32 columns x 64 rows summed by a tree in shared memory, then the tiles by
//      eight lines of another. No float atomics, so the same bits in every run.
#pragma once

#include <cmath>

#include <hocket/core/cuda/reduce.cuh>
#include <hocket/core/cuda/seam.cuh>

namespace hocket::kernels::layernorm::gpu {

inline constexpr unsigned warps_per_block = 4;
inline constexpr unsigned tile_columns = 32, tile_rows = 64, tile_lines = 8;  // a block of the parameter gradients

/// y (rows, columns); mean and inverse_sd (rows) are kept for the backward pass. `Centred` is layer norm.
template <bool Centred, class T>
HOCKET_DEVICE void forward(const T* x, const float* gain, const float* bias, float eps, T* y, float* mean,
                           float* inverse_sd, unsigned rows, unsigned columns) {
  const unsigned row = cu::block_x() * warps_per_block + cu::warp();
  if (!cu::inside(row < rows)) return;  // the whole warp leaves
  const std::size_t first = static_cast<std::size_t>(row) * columns;
  const float scale = 1.0f / static_cast<float>(columns);
  float centre = 0;
  if (Centred) {
    for (unsigned c = cu::lane(); cu::inside(c < columns); c += 32) centre += to_f32(x[first + c]);
    centre = cu::warp_sum(centre) * scale;
  }
  float square = 0;
  for (unsigned c = cu::lane(); cu::inside(c < columns); c += 32) {
    const float d = to_f32(x[first + c]) - centre;
    square += d * d;
  }
  const float inverse = cu::inverse_sqrt(cu::warp_sum(square) * scale + eps);
  for (unsigned c = cu::lane(); cu::inside(c < columns); c += 32)
    y[first + c] = from_f32<T>((to_f32(x[first + c]) - centre) * inverse * gain[c] + (Centred ? bias[c] : 0.0f));
  if (cu::lane() == 0) {
    if (Centred) mean[row] = centre;
    inverse_sd[row] = inverse;
  }
}

/// dx (rows, columns) = inverse_sd (d - mean d - unit mean(d unit)), d = dy gain, unit = (x - mean) inverse_sd.
template <bool Centred, class T>
HOCKET_DEVICE void backward(const T* x, const float* gain, const T* dy, const float* mean, const float* inverse_sd,
                            T* dx, unsigned rows, unsigned columns) {
  const unsigned row = cu::block_x() * warps_per_block + cu::warp();
  if (!cu::inside(row < rows)) return;
  const std::size_t first = static_cast<std::size_t>(row) * columns;
  const float centre = Centred ? mean[row] : 0.0f, inverse = inverse_sd[row];
  const float scale = 1.0f / static_cast<float>(columns);
  float sum_d = 0, sum_dx = 0;
  for (unsigned c = cu::lane(); cu::inside(c < columns); c += 32) {
    const float d = to_f32(dy[first + c]) * gain[c];
    sum_d += d;
    sum_dx += d * (to_f32(x[first + c]) - centre) * inverse;
  }
  const float mean_d = Centred ? cu::warp_sum(sum_d) * scale : 0.0f;
  const float mean_dx = cu::warp_sum(sum_dx) * scale;
  for (unsigned c = cu::lane(); cu::inside(c < columns); c += 32) {
    const float unit = (to_f32(x[first + c]) - centre) * inverse;
    dx[first + c] = from_f32<T>(inverse * (to_f32(dy[first + c]) * gain[c] - mean_d - unit * mean_dx));
  }
}

/// One tile of rows: partial_gain and partial_bias (row tiles, columns). Block (32, 8), grid (column tiles, row tiles).
template <bool Centred, class T>
HOCKET_DEVICE void parameter_tiles(const T* x, const T* dy, const float* mean, const float* inverse_sd,
                                   float* partial_gain, float* partial_bias, unsigned rows, unsigned columns) {
  HOCKET_SHARED(sums, cu::array<float, tile_lines, 2 * tile_columns>);  // gain, then bias
  const unsigned column = cu::block_x() * tile_columns + cu::thread_x(), line = cu::thread_y();
  float sum_gain = 0, sum_bias = 0;
  for (unsigned r = line; r < tile_rows; r += tile_lines) {
    const unsigned row = cu::block_y() * tile_rows + r;
    if (cu::inside(row < rows && column < columns)) {
      const std::size_t at = static_cast<std::size_t>(row) * columns + column;
      const float d = to_f32(dy[at]);
      sum_gain += d * (to_f32(x[at]) - (Centred ? mean[row] : 0.0f)) * inverse_sd[row];
      sum_bias += d;
    }
  }
  sums(line, cu::thread_x()) = sum_gain;
  sums(line, tile_columns + cu::thread_x()) = sum_bias;
  cu::sum_lines<tile_columns>(sums);
  if (line == 0 && cu::inside(column < columns)) {
    partial_gain[static_cast<std::size_t>(cu::block_y()) * columns + column] = sums(0, cu::thread_x());
    if (Centred)
      partial_bias[static_cast<std::size_t>(cu::block_y()) * columns + column] = sums(0, tile_columns + cu::thread_x());
  }
}

}  // namespace hocket::kernels::layernorm::gpu

// launch: grid ceil(columns / 32); block 32 x 8; shared 0
/// gradient (columns) = sum over the tiles of partial (tiles, columns).
HOCKET_KERNEL(hocket_layernorm_sum_tiles_f32)(const float* partial, float* gradient, unsigned tiles, unsigned columns) {
  hocket::cu::sum_tiles(partial, gradient, false, tiles, columns);
}

// One set of entry points per norm and storage type: the names are those of the tables in docs/kernels.json.
#define HOCKET_NORM_KERNELS(prefix, centred, suffix, T)                                                              \
  /* launch: grid ceil(rows / 4); block 128; shared 0 */                                                             \
  HOCKET_KERNEL(hocket_##prefix##_forward_##suffix)                                                                  \
  (const T* x, const float* gain, const float* bias, float eps, T* y, float* mean, float* inverse_sd, unsigned rows, \
   unsigned columns) {                                                                                               \
    hocket::kernels::layernorm::gpu::forward<centred>(x, gain, bias, eps, y, mean, inverse_sd, rows, columns);       \
  }                                                                                                                  \
  HOCKET_KERNEL(hocket_##prefix##_backward_##suffix)                                                                 \
  (const T* x, const float* gain, const T* dy, const float* mean, const float* inverse_sd, T* dx, unsigned rows,     \
   unsigned columns) {                                                                                               \
    hocket::kernels::layernorm::gpu::backward<centred>(x, gain, dy, mean, inverse_sd, dx, rows, columns);            \
  }                                                                                                                  \
  /* launch: grid ceil(columns / 32) x ceil(rows / 64); block 32 x 8; shared 0 */                                    \
  HOCKET_KERNEL(hocket_##prefix##_parameters_##suffix)                                                               \
  (const T* x, const T* dy, const float* mean, const float* inverse_sd, float* partial_gain, float* partial_bias,    \
   unsigned rows, unsigned columns) {                                                                                \
    hocket::kernels::layernorm::gpu::parameter_tiles<centred>(x, dy, mean, inverse_sd, partial_gain, partial_bias,   \
                                                              rows, columns);                                        \
  }
HOCKET_NORM_KERNELS(layernorm, true, f32, float)
HOCKET_NORM_KERNELS(layernorm, true, f16, hocket::f16)
HOCKET_NORM_KERNELS(layernorm, true, bf16, hocket::bf16)
HOCKET_NORM_KERNELS(rmsnorm, false, f32, float)
HOCKET_NORM_KERNELS(rmsnorm, false, f16, hocket::f16)
HOCKET_NORM_KERNELS(rmsnorm, false, bf16, hocket::bf16)
#undef HOCKET_NORM_KERNELS
