// Full: the singular value decomposition of the centred data, in f64 whatever T is. The most accurate solver, also for
// the smallest components, and the slowest.
#pragma once

#include <hocket/linalg/pca_solvers/solver.hpp>

namespace hocket::linalg {

struct full_solver {
  template <Real T>
  static leading_spectrum<T> solve(centred_matrix<T>& x, std::size_t k, const pca_options& options) {
    const std::size_t n = x.rows(), d = x.columns(), r = std::min(n, d);
    const auto dense = kernels::dense::find_engine<double>(options.dense);
    std::vector<double> data(n * d), values(r), rows(r * d), workspace(dense.svd_workspace(n, d));
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < d; ++j) data[i * d + j] = x.centred_value(i, j);
    expects(dense.svd(n, d, data.data(), values.data(), rows.data(), workspace.data()), errc::bad_value,
            "the singular value decomposition of ", n, " x ", d, " values did not converge; scale the data");
    leading_spectrum<T> result;
    for (const double value : values) result.total += value * value;
    result.squares.resize(k);
    for (std::size_t i = 0; i < k; ++i) result.squares[i] = values[i] * values[i];
    result.rows.resize(k * d);
    std::transform(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(k * d), result.rows.begin(),
                   [](double v) { return static_cast<T>(v); });
    if (k < r) result.next_square = values[k] * values[k];
    return result;
  }
};

}  // namespace hocket::linalg
