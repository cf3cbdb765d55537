// Softmax over the rows of a matrix, forward and backward: sizes, and the facts that every arm shares.
#pragma once

#include <cmath>
#include <cstddef>

namespace hocket::kernels::softmax {

/// x, y (rows, columns). rows `stride` elements apart.
struct shape {
  std::size_t rows = 0;
  std::size_t columns = 0;
};

/// y = exp(x - max) / sum: a difference, an exponential and a product an element, one division a row.
inline double flops_forward(const shape& s) { return 4.0 * static_cast<double>(s.rows * s.columns); }
/// dx = y (dy - sum y dy).
inline double flops_backward(const shape& s) { return 4.0 * static_cast<double>(s.rows * s.columns); }

/// Promised error of the forward pass in epsilon x 1 (a probability is at most 1): two roundings of the exponent's
/// argument weighed by |x| exp(-|x|) <= 1/e, the exponential itself (2), the tree sum (log2 of the columns), the
/// product.
inline double promise_forward(const shape& s) {
  return 6.0 + std::log2(static_cast<double>(s.columns < 2 ? 2 : s.columns));
}
/// In epsilon x max |dy|: the forward's error enters twice.
inline double promise_backward(const shape& s) { return 2.0 * promise_forward(s) + 4.0; }

}  // namespace hocket::kernels::softmax
