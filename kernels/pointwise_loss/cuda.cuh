// Sums of pointwise losses for CUDA, and their slopes, f32.
//
// Ladder
//   1  a sum is at most 1024 blocks that each leave one f64 number, and a block that adds those up: the cut depends on
//      the size alone, so the bits on no card. An element is computed in f32, its sum kept in f64: one conversion and
//      one addition an element hide behind its loads even on cards with few f64 units.
#pragma once

#include <cmath>
#include <cstddef>

#include <hocket/core/cuda/reduce.cuh>
#include <hocket/core/cuda/seam.cuh>
#include <hocket/kernels/pointwise_loss/reference.hpp>

namespace hocket::kernels::pointwise_loss::gpu {

inline constexpr unsigned threads = 256, elements_per_block = 1024, most_blocks = 1024;

HOCKET_DEVICE float value_of(loss kind, float x, float t) {
  if (kind == loss::squared) return (x - t) * (x - t);
  return (x > 0 ? x : x - x) - x * t + log1pf(expf(-fabsf(x)));  // x - x: 0, or NaN
}
HOCKET_DEVICE float slope_of(loss kind, float x, float t, bool of_target) {
  if (kind == loss::squared) return of_target ? -2.0f * (x - t) : 2.0f * (x - t);
  return of_target ? -x : 1.0f / (1.0f + expf(-x)) - t;
}

/// parts (blocks): sums over the elements of a block, every blocks x 256th.
HOCKET_DEVICE void partial_sums(loss kind, const float* x, const float* t, double* parts, unsigned n) {
  double sum = 0;
  for (unsigned i = cu::global_index(); cu::inside(i < n); i += cu::grid_dim_x() * threads)
    sum += static_cast<double>(value_of(kind, x[i], t[i]));
  sum = cu::block_sum<threads>(sum);
  if (cu::thread_x() == 0) parts[cu::block_x()] = sum;
}

/// dx = or += scale slope, by x or by the target.
HOCKET_DEVICE void backward(loss kind, const float* x, const float* t, float scale, bool of_target, bool add, float* dx,
                            unsigned n) {
  const unsigned i = cu::global_index();
  if (!cu::inside(i < n)) return;
  const float slope = scale * slope_of(kind, x[i], t[i], of_target);
  dx[i] = add ? dx[i] + slope : slope;
}

}  // namespace hocket::kernels::pointwise_loss::gpu

// launch: grid min(ceil(n / 1024), 1024); block 256; shared 0
HOCKET_KERNEL(hocket_pointwiseloss_forward_f32)
(hocket::kernels::pointwise_loss::loss kind, const float* x, const float* t, double* parts, unsigned n) {
  hocket::kernels::pointwise_loss::gpu::partial_sums(kind, x, t, parts, n);
}
// launch: grid ceil(n / 256); block 256; shared 0
HOCKET_KERNEL(hocket_pointwiseloss_backward_f32)
(hocket::kernels::pointwise_loss::loss kind, const float* x, const float* t, float scale, bool of_target, bool add,
 float* dx, unsigned n) {
  hocket::kernels::pointwise_loss::gpu::backward(kind, x, t, scale, of_target, add, dx, n);
}
// launch: grid 1; block 256; shared 0
/// total[0] = the sum of parts (count).
HOCKET_KERNEL(hocket_pointwiseloss_total_f64)(const double* parts, double* total, unsigned count) {
  const double sum = hocket::cu::sum_of<hocket::kernels::pointwise_loss::gpu::threads>(parts, count);
  if (hocket::cu::thread_x() == 0) total[0] = sum;
}
