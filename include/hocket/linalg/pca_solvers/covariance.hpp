// Covariance: eigenvectors of Xc^T Xc (D,D). The data are centred before they are multiplied, so an offset costs
// nothing; singular values below sqrt(epsilon) of the largest drown, as in every method that squares.
#pragma once

#include <hocket/linalg/gram_matrix.hpp>
#include <hocket/linalg/pca_solvers/solver.hpp>

namespace hocket::linalg {

struct covariance_solver {
  template <Real T>
  static leading_spectrum<T> solve(centred_matrix<T>& x, std::size_t k, const pca_options& options) {
    const std::size_t d = x.columns();
    const auto dense = kernels::dense::find_engine<double>(options.dense);
    std::vector<double> matrix = normal_matrix(x, {options.gemm});
    leading_spectrum<T> result;
    for (std::size_t j = 0; j < d; ++j) result.total += matrix[j * d + j];
    result.squares.resize(k);
    std::vector<double> vectors(k * d), workspace(dense.eigen_workspace(d, k));
    expects(dense.eigen(d, k, matrix.data(), result.squares.data(), vectors.data(), workspace.data()), errc::bad_value,
            "the eigenproblem of the ", d, " x ", d, " covariance did not converge; scale the data");
    result.rows.assign(vectors.size(), T(0));
    std::transform(vectors.begin(), vectors.end(), result.rows.begin(), [](double v) { return static_cast<T>(v); });
    for (double& square : result.squares) square = std::max(square, 0.0);
    return result;
  }
};

}  // namespace hocket::linalg
