// From a spectrum to a fitted model: rank by share of variance, signs, variances.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include <hocket/linalg/pca_solvers/solver.hpp>

namespace hocket::linalg::detail {

/// Turns each row so that its element of largest absolute value (the first of equals) is positive: scikit-learn's rule
/// since 1.5.
template <Real T>
void fix_signs(std::size_t r, std::size_t d, std::vector<T>& rows) {
  for (std::size_t i = 0; i < r; ++i) {
    T* row = rows.data() + i * d;
    std::size_t at = 0;
    for (std::size_t j = 1; j < d; ++j)
      if (std::abs(row[j]) > std::abs(row[at])) at = j;
    if (row[at] < 0)
      for (std::size_t j = 0; j < d; ++j) row[j] = -row[j];
  }
}

template <Real T>
pca_model<T> make_model(std::size_t n, const std::vector<double>& mean, leading_spectrum<T> found, const pca_rank& rank,
                        const pca_options& options) {
  const std::size_t d = mean.size(), most = std::min(n, d);
  std::size_t k = std::min(rank.count, found.squares.size());
  if (rank.count == 0) {
    double sum = 0;
    k = 0;
    while (k < found.squares.size()) {
      sum += found.squares[k++];
      if (sum > rank.share * found.total) break;
    }
  }
  if (k < found.squares.size()) found.next_square = found.squares[k];
  pca_model<T> model;
  model.n_samples = n;
  model.n_features = d;
  model.n_components = k;
  model.whiten = options.whiten;
  model.mean.resize(d);
  std::transform(mean.begin(), mean.end(), model.mean.begin(), [](double v) { return static_cast<T>(v); });
  found.rows.resize(k * d);
  model.components = std::move(found.rows);
  fix_signs(k, d, model.components);
  const double degrees = static_cast<double>(n - 1);
  double kept = 0;
  for (std::size_t i = 0; i < k; ++i) {
    const double square = found.squares[i];
    kept += square;
    model.explained_variance.push_back(static_cast<T>(square / degrees));
    model.explained_variance_ratio.push_back(static_cast<T>(found.total > 0 ? square / found.total : 0));
    model.singular_values.push_back(static_cast<T>(std::sqrt(square)));
  }
  const double left = std::max(found.total - kept, 0.0);
  model.total_variance = found.total / degrees;
  model.noise_variance = k < most ? left / degrees / static_cast<double>(most - k) : 0;
  model.residual = found.total > 0 ? left / found.total : 0;
  model.converged = found.converged;
  model.products = found.products;
  model.width = found.width;
  if (found.next_square) model.next_singular_value = std::sqrt(std::max(*found.next_square, 0.0));
  model.error_bound = found.error_bound;
  return model;
}

}  // namespace hocket::linalg::detail
