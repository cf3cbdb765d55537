// Layer norm and RMS norm over the rows of a matrix: sizes, and the facts that every arm shares.
//   layer norm  y = (x - mean) / sqrt(var + eps) * gain + bias     Ba, Kiros, Hinton, "Layer normalization", 2016, eq.
//   4 RMS norm    y = x / sqrt(mean x^2 + eps) * gain                Zhang, Sennrich, "Root mean square layer
//   normalization", 2019
#pragma once

#include <cmath>
#include <cstddef>

namespace hocket::kernels::layernorm {

struct shape {
  std::size_t rows = 0;
  std::size_t columns = 0;
};

enum class norm { layer, rms };

inline double flops_forward(const shape& s) { return 8.0 * static_cast<double>(s.rows * s.columns); }
inline double flops_backward(const shape& s) { return 14.0 * static_cast<double>(s.rows * s.columns); }

/// Promised error of y in epsilon x max(|x| / sd, 1) x max |gain| + max |bias|: the mean and the variance are sums in
/// trees of depth log2(32) after runs of columns / 32, each kept in f32.
inline double promise_forward(const shape& s) { return 8.0 + static_cast<double>(s.columns) / 32 + std::log2(32.0); }
/// In the same units x max |dy|.
inline double promise_backward(const shape& s) { return 3.0 * promise_forward(s); }

}  // namespace hocket::kernels::layernorm
