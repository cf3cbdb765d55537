// Cross entropy for CUDA, forward and backward, f32.
//
// Ladder
//   1  one warp a row: its maximum, the sum of exponentials, the cost; a row of logits stays in L1 between the passes.
//      Its two parts are kept, so that the backward pass makes each probability with one exponential.
//   -  maximum and sum in one pass, as softmax: a NaN that a lane meets first is lost there, and a loss must show it.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include <hocket/core/cuda/seam.cuh>
#include <hocket/kernels/cross_entropy/reference.hpp>

namespace hocket::kernels::cross_entropy::gpu {

inline constexpr unsigned warps_per_block = 4;

/// What a row is compared with: `soft` (rows, classes), or where it is null labels (rows) with smoothing.
struct goals {
  const std::uint32_t* labels;
  const float* soft;
  float smoothing;
};
HOCKET_DEVICE bool counts(const goals& q, unsigned row) { return q.soft || q.labels[row] != ignored; }
HOCKET_DEVICE float goal_of(const goals& q, unsigned row, unsigned k, unsigned classes) {
  if (q.soft) return q.soft[static_cast<std::size_t>(row) * classes + k];
  return q.smoothing / static_cast<float>(classes) + (q.labels[row] == k ? 1.0f - q.smoothing : 0.0f);
}

/// loss (rows) of z (rows, classes), and kept (rows, 2): the largest logit, and the logarithm of the sum of
/// exponentials of the differences to it.
HOCKET_DEVICE void forward(const float* z, const goals& q, float* loss, float* kept, unsigned rows, unsigned classes) {
  const unsigned row = cu::block_x() * warps_per_block + cu::warp();
  if (!cu::inside(row < rows)) return;  // the whole warp leaves
  const float* const in = z + static_cast<std::size_t>(row) * classes;
  float largest = -INFINITY, sum = 0, cost = 0;
  for (unsigned k = cu::lane(); cu::inside(k < classes); k += 32) largest = cu::larger(largest, in[k]);
  largest = cu::warp_max(largest);
  for (unsigned k = cu::lane(); cu::inside(k < classes); k += 32) sum += cu::exp_of(in[k] - largest);
  const float log_sum = logf(cu::warp_sum(sum));
  // Differences to the largest logit, not to the log-sum-exp: the sum of both would be rounded first.
  if (counts(q, row)) {
    if (q.soft || q.smoothing != 0) {
      for (unsigned k = cu::lane(); cu::inside(k < classes); k += 32) {
        const float goal = goal_of(q, row, k, classes);
        if (goal != 0) cost += goal * (log_sum - (in[k] - largest));  // a masked class that nobody wants costs nothing
      }
    } else if (cu::lane() == 0) {
      cost = log_sum - (in[q.labels[row]] - largest);
    }
  }
  cost = cu::warp_sum(cost);
  if (cu::lane() > 0) return;
  loss[row] = cost;
  kept[2 * row] = largest;
  kept[2 * row + 1] = log_sum;
}

/// dz (rows, classes) = or += scale (softmax(z) sum q - q); 0 for rows that do not count.
HOCKET_DEVICE void backward(const float* z, const goals& q, const float* kept, float scale, bool add, float* dz,
                            unsigned rows, unsigned classes) {
  const unsigned row = cu::block_x() * warps_per_block + cu::warp();
  if (!cu::inside(row < rows)) return;
  const std::size_t first = static_cast<std::size_t>(row) * classes;
  const bool used = counts(q, row);
  float total = 1;  // of hard labels, smoothed or not
  if (q.soft) {
    total = 0;
    for (unsigned k = cu::lane(); cu::inside(k < classes); k += 32) total += q.soft[first + k];
    total = cu::warp_sum(total);
  }
  for (unsigned k = cu::lane(); cu::inside(k < classes); k += 32) {
    const float slope = used ? scale * (cu::exp_of(z[first + k] - kept[2 * row] - kept[2 * row + 1]) * total -
                                        goal_of(q, row, k, classes))
                             : 0.0f;
    dz[first + k] = add ? dz[first + k] + slope : slope;
  }
}

}  // namespace hocket::kernels::cross_entropy::gpu

// launch: grid ceil(rows / 4); block 128; shared 0
HOCKET_KERNEL(hocket_crossentropy_forward_f32)
(const float* z, hocket::kernels::cross_entropy::gpu::goals q, float* loss, float* kept, unsigned rows,
 unsigned classes) {
  hocket::kernels::cross_entropy::gpu::forward(z, q, loss, kept, rows, classes);
}
HOCKET_KERNEL(hocket_crossentropy_backward_f32)
(const float* z, hocket::kernels::cross_entropy::gpu::goals q, const float* kept, float scale, bool add, float* dz,
 unsigned rows, unsigned classes) {
  hocket::kernels::cross_entropy::gpu::backward(z, q, kept, scale, add, dz, rows, classes);
}
