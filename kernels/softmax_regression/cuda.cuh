// Softmax regression for CUDA, value and gradient, f64 as on the CPU: the optimiser's line search needs the digits.
//
// Ladder
//   1  one warp a row for the logits, four classes at a time, so that a feature is read once for four; their softmax by
//      the online rule in registers; what the row adds to the loss, and its residuals, to memory.
//   2  the gradient: tiles of 256 rows for 32 features and eight classes, a tree over the lines, tiles added in order.
//      No atomics on floats, so the same bits in every run.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include <hocket/core/cuda/reduce.cuh>
#include <hocket/core/cuda/seam.cuh>

namespace hocket::kernels::softmax_regression::gpu {

inline constexpr unsigned warps_per_block = 4, classes_at_once = 4;                                     // logits
inline constexpr unsigned gradient_rows = 256, gradient_columns = 32, lines = 8, gradient_classes = 8;  // a block

/// residuals (n, K) = c (softmax(x w') - onehot) and losses (n) = c (lse - z at the label); x (n, D), w (K, D + 1) with
/// the bias last, c = row_weights (n).
HOCKET_DEVICE void residuals(const double* x, const std::uint32_t* labels, const double* row_weights, const double* w,
                             double* residual, double* losses, unsigned n, unsigned features, unsigned classes) {
  const unsigned row = cu::block_x() * warps_per_block + cu::warp();
  if (!cu::inside(row < n)) return;  // the whole warp leaves
  const double* const in = x + static_cast<std::size_t>(row) * features;
  double* const out = residual + static_cast<std::size_t>(row) * classes;
  const std::size_t length = features + 1;
  const unsigned label = labels[row];
  double largest = -INFINITY, total = 0, at_label = 0;
  for (unsigned k0 = 0; k0 < classes; k0 += classes_at_once) {
    double sum[classes_at_once] = {};
    for (unsigned j = cu::lane(); cu::inside(j < features); j += 32) {
      const double value = in[j];
      HOCKET_UNROLL
      for (unsigned q = 0; q < classes_at_once; ++q)
        if (cu::inside(k0 + q < classes)) sum[q] += w[(k0 + q) * length + j] * value;
    }
    HOCKET_UNROLL
    for (unsigned q = 0; q < classes_at_once; ++q) {
      const unsigned k = k0 + q;
      if (!(k < classes)) break;
      const double z = cu::warp_sum(sum[q]) + w[k * length + features];  // the same in every lane
      const double next = cu::larger(largest, z);
      total = total * exp(largest - next) + exp(z - next);
      largest = next;
      if (k == label) at_label = z;
      if (cu::lane() == k % 32) out[k] = z;  // the lane that reads it again
    }
  }
  const double weight = row_weights[row];
  for (unsigned k = cu::lane(); cu::inside(k < classes); k += 32)
    out[k] = weight * (exp(out[k] - largest) / total - (k == label ? 1.0 : 0.0));
  if (cu::lane() == 0) losses[row] = weight * (largest + log(total) - at_label);
}

/// partial (row tiles, K, D + 1): residuals' times [x, 1] over a tile of rows. Block (32, 8).
HOCKET_DEVICE void gradient_tiles(const double* x, const double* residual, double* partial, unsigned n,
                                  unsigned features, unsigned classes) {
  HOCKET_SHARED(part, cu::array<double, lines, gradient_columns * gradient_classes>);
  const unsigned thread = cu::thread_x(), column = cu::block_y() * gradient_columns + thread;
  const unsigned k0 = cu::block_z() * gradient_classes, length = features + 1;
  double sum[gradient_classes] = {};
  for (unsigned r = cu::thread_y(); r < gradient_rows; r += lines) {
    const unsigned row = cu::block_x() * gradient_rows + r;
    if (!cu::inside(row < n && column < length)) break;
    const double value = column < features ? x[static_cast<std::size_t>(row) * features + column] : 1.0;
    HOCKET_UNROLL
    for (unsigned q = 0; q < gradient_classes; ++q)
      if (cu::inside(k0 + q < classes)) sum[q] += residual[static_cast<std::size_t>(row) * classes + k0 + q] * value;
  }
  HOCKET_UNROLL
  for (unsigned q = 0; q < gradient_classes; ++q) part(cu::thread_y(), q * gradient_columns + thread) = sum[q];
  cu::sum_lines<gradient_columns>(part);
  if (cu::thread_y() > 0 || !cu::inside(column < length)) return;
  HOCKET_UNROLL
  for (unsigned q = 0; q < gradient_classes; ++q)
    if (cu::inside(k0 + q < classes))
      partial[(static_cast<std::size_t>(cu::block_x()) * classes + k0 + q) * length + column] =
          part(0, q * gradient_columns + thread);
}

/// gradient (count) = the sum over the tiles of partial (tiles, count), in order.
HOCKET_DEVICE void join(const double* partial, double* gradient, unsigned tiles, unsigned count) {
  const unsigned i = cu::global_index();
  if (!cu::inside(i < count)) return;
  double sum = 0;
  for (unsigned t = 0; t < tiles; ++t) sum += partial[static_cast<std::size_t>(t) * count + i];
  gradient[i] = sum;
}

}  // namespace hocket::kernels::softmax_regression::gpu

// launch: grid ceil(n / 4); block 128; shared 0
HOCKET_KERNEL(hocket_softmaxregression_residuals_f64)
(const double* x, const std::uint32_t* labels, const double* row_weights, const double* w, double* residual,
 double* losses, unsigned n, unsigned features, unsigned classes) {
  hocket::kernels::softmax_regression::gpu::residuals(x, labels, row_weights, w, residual, losses, n, features,
                                                      classes);
}
// launch: grid ceil(n / 256) x ceil((features + 1) / 32) x ceil(classes / 8); block 32 x 8; shared 0
HOCKET_KERNEL(hocket_softmaxregression_gradient_f64)
(const double* x, const double* residual, double* partial, unsigned n, unsigned features, unsigned classes) {
  hocket::kernels::softmax_regression::gpu::gradient_tiles(x, residual, partial, n, features, classes);
}
// launch: grid ceil(count / 256); block 256; shared 0
HOCKET_KERNEL(hocket_softmaxregression_join_f64)
(const double* partial, double* gradient, unsigned tiles, unsigned count) {
  hocket::kernels::softmax_regression::gpu::join(partial, gradient, tiles, count);
}
// launch: grid 1; block 256; shared 0
/// loss[0] = the sum of losses (n).
HOCKET_KERNEL(hocket_softmaxregression_loss_f64)(const double* losses, double* loss, unsigned n) {
  const double sum = hocket::cu::sum_of<256>(losses, n);
  if (hocket::cu::thread_x() == 0) loss[0] = sum;
}
