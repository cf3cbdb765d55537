// Covariance: eigenvectors of Xc^T Xc (D,D). The data are centred before they are multiplied, so an offset costs
// nothing; singular values below sqrt(epsilon) of the largest drown, as in every method that squares.
#pragma once

#include <hocket/linalg/gram_matrix.hpp>
#include <hocket/linalg/pca_solvers/solver.hpp>

namespace hocket::linalg {

struct covariance_solver {
  template <Real T>
  static leading_spectrum<T> solve(centred_matrix<T>& x, std::size_t k, const pca_options& options) {
    std::vector<double> vectors;
    leading_spectrum<T> result = detail::squared_spectrum<T>(
        x.columns(), k, options, "covariance", [&] { return normal_matrix(x); }, vectors);
    result.rows.assign(vectors.size(), T(0));
    std::transform(vectors.begin(), vectors.end(), result.rows.begin(), [](double v) { return static_cast<T>(v); });
    for (double& square : result.squares) square = std::max(square, 0.0);
    return result;
  }
};

}  // namespace hocket::linalg
