// A step of SGD or Adam for CUDA, and the square of a gradient's norm, f32 weights and moments.
//
// Ladder
//   1  one element a thread, weights, gradient and moments read and written once; the pass also clears the gradient: a
//      step is limited by memory.
//   2  the norm: at most 1024 blocks that each leave one f64 number, and a block that adds those up; the cut depends on
//      the size alone.
#pragma once

#include <cmath>
#include <cstddef>

#include <hocket/core/cuda/reduce.cuh>
#include <hocket/core/cuda/seam.cuh>
#include <hocket/kernels/optimizer_step/constants.hpp>

namespace hocket::kernels::optimizer_step::gpu {

inline constexpr unsigned threads = 256, elements_per_block = 4096, most_blocks = 1024;

HOCKET_DEVICE void adam(const adam_constants<float>& c, float* p, float* g, float* m, float* v, bool clear,
                        unsigned n) {
  const unsigned i = cu::global_index();
  if (!cu::inside(i < n)) return;
  const float weight = p[i], slope = g[i] * c.scale + weight * c.coupled;
  const float first = m[i] + (slope - m[i]) * c.take1, second = v[i] * c.beta2 + slope * slope * c.take2;
  p[i] = weight * c.keep - first / (sqrtf(second) * c.inverse_root2 + c.eps) * c.rate;
  m[i] = first;
  v[i] = second;
  if (clear) g[i] = 0;
}

/// buffer is null without momentum.
HOCKET_DEVICE void sgd(const sgd_constants<float>& c, float* p, float* g, float* buffer, bool clear, unsigned n) {
  const unsigned i = cu::global_index();
  if (!cu::inside(i < n)) return;
  const float weight = p[i];
  float slope = g[i] * c.scale + weight * c.decay;
  if (buffer) {
    const float kept = c.first ? slope : slope + buffer[i] * c.momentum;
    buffer[i] = kept;
    slope = c.nesterov ? slope + kept * c.momentum : kept;
  }
  p[i] = weight - slope * c.rate;
  if (clear) g[i] = 0;
}

/// parts (blocks): sums of squares over the elements of a block, every blocks x 256th.
HOCKET_DEVICE void squares(const float* g, double* parts, unsigned n) {
  double sum = 0;
  for (unsigned i = cu::global_index(); cu::inside(i < n); i += cu::grid_dim_x() * threads)
    sum += static_cast<double>(g[i]) * static_cast<double>(g[i]);
  sum = cu::block_sum<threads>(sum);
  if (cu::thread_x() == 0) parts[cu::block_x()] = sum;
}

}  // namespace hocket::kernels::optimizer_step::gpu

// launch: grid ceil(n / 256); block 256; shared 0
HOCKET_KERNEL(hocket_optimizerstep_adam_f32)
(hocket::kernels::optimizer_step::adam_constants<float> c, float* p, float* g, float* m, float* v, bool clear,
 unsigned n) {
  hocket::kernels::optimizer_step::gpu::adam(c, p, g, m, v, clear, n);
}
HOCKET_KERNEL(hocket_optimizerstep_sgd_f32)
(hocket::kernels::optimizer_step::sgd_constants<float> c, float* p, float* g, float* buffer, bool clear, unsigned n) {
  hocket::kernels::optimizer_step::gpu::sgd(c, p, g, buffer, clear, n);
}
// launch: grid min(ceil(n / 4096), 1024); block 256; shared 0
HOCKET_KERNEL(hocket_optimizerstep_squares_f32)(const float* g, double* parts, unsigned n) {
  hocket::kernels::optimizer_step::gpu::squares(g, parts, n);
}
// launch: grid 1; block 256; shared 0
/// total[0] = the sum of parts (count).
HOCKET_KERNEL(hocket_optimizerstep_total_f64)(const double* parts, double* total, unsigned count) {
  const double sum = hocket::cu::sum_of<hocket::kernels::optimizer_step::gpu::threads>(parts, count);
  if (hocket::cu::thread_x() == 0) total[0] = sum;
}
