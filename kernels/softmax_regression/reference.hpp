// Softmax regression, value and gradient, from the definition: plain sums, no tiles.
//
//   z[i,k] = bias[k] + sum_j W[k,j] X[i,j]      loss = sum_i c[i] (ln sum_k exp z[i,k] - z[i,y[i]])
//
// Letters: n rows, D features, K classes. W is stored with its bias as (K, D + 1), bias last; so is the gradient.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <hocket/core/view.hpp>

namespace hocket::kernels::softmax_regression {

/// X (n,D), labels (n) in [0,K), row weights c (n), W (K,D+1). Writes the gradient (K,D+1), returns the loss.
inline double reference(const view<const double, 2>& x, const std::uint32_t* labels, const double* row_weights,
                        const view<const double, 2>& w, const view<double, 2>& gradient) {
  const std::size_t classes = w.extent(0), features = x.extent(1);
  for (std::size_t k = 0; k < classes; ++k)
    for (std::size_t j = 0; j <= features; ++j) gradient(k, j) = 0;
  double loss = 0;
  std::vector<double> z(classes);
  for (std::size_t i = 0; i < x.extent(0); ++i) {
    double largest = 0;
    for (std::size_t k = 0; k < classes; ++k) {
      z[k] = w(k, features);
      for (std::size_t j = 0; j < features; ++j) z[k] += w(k, j) * x(i, j);
      largest = k == 0 ? z[k] : std::max(largest, z[k]);
    }
    double sum = 0;
    for (std::size_t k = 0; k < classes; ++k) sum += std::exp(z[k] - largest);
    loss += row_weights[i] * (largest + std::log(sum) - z[labels[i]]);
    for (std::size_t k = 0; k < classes; ++k) {
      const double residual = row_weights[i] * (std::exp(z[k] - largest) / sum - (k == labels[i] ? 1.0 : 0.0));
      for (std::size_t j = 0; j < features; ++j) gradient(k, j) += residual * x(i, j);
      gradient(k, features) += residual;
    }
  }
  return loss;
}

}  // namespace hocket::kernels::softmax_regression
