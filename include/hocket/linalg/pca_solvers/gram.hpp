// Gram: eigenvectors u of Xc Xc^T (N,N), then v = Xc^T u / s. For N < D.
#pragma once

#include <cmath>

#include <hocket/linalg/gram_matrix.hpp>
#include <hocket/linalg/pca_solvers/solver.hpp>

namespace hocket::linalg {

struct gram_solver {
  template <Real T>
  static leading_spectrum<T> solve(centred_matrix<T>& x, std::size_t k, const pca_options& options) {
    const std::size_t n = x.rows(), d = x.columns();
    std::vector<double> left;
    leading_spectrum<T> result = detail::squared_spectrum<T>(
        n, k, options, "Gram matrix", [&] { return outer_matrix(x); }, left);

    const double floor = result.squares[0] * static_cast<double>(std::numeric_limits<T>::epsilon()) *
                         static_cast<double>(std::max(n, d));
    std::size_t found = 0;
    while (found < k && result.squares[found] > floor) ++found;
    buffer<T> turned(n * std::max<std::size_t>(found, 1)), products(d * std::max<std::size_t>(found, 1));
    for (std::size_t i = 0; i < found; ++i)
      for (std::size_t j = 0; j < n; ++j) turned[j * found + i] = static_cast<T>(left[i * n + j]);
    if (found > 0)
      x.transposed_product(view<const T, 2>(turned.data(), {n, found}), view<T, 2>(products.data(), {d, found}));

    result.rows.assign(k * d, T(0));
    const auto use = kernels::dense::best_routines<double>();
    std::vector<double> rows(found * d);
    for (std::size_t i = 0; i < found; ++i) {
      double* row = rows.data() + i * d;
      for (std::size_t j = 0; j < d; ++j) row[j] = static_cast<double>(products[j * found + i]);
      // the division by a small s magnifies rounding along earlier rows: project it out
      const bool small = result.squares[i] < result.squares[0] * 1e-3;
      for (int pass = 0; pass < (small ? 2 : 1); ++pass) {
        if (small)
          for (std::size_t q = 0; q < i; ++q)
            use.add_scaled(d, -use.dot(d, row, rows.data() + q * d), rows.data() + q * d, row);
        const double scale = 1 / std::sqrt(use.dot(d, row, row));
        for (std::size_t j = 0; j < d; ++j) row[j] *= scale;
      }
      std::transform(row, row + d, result.rows.data() + i * d, [](double v) { return static_cast<T>(v); });
    }
    detail::complete(result, found, k, d);
    return result;
  }
};

}  // namespace hocket::linalg
