// The contract between a PCA and its solvers.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include <hocket/kernels/dense/engine.hpp>
#include <hocket/linalg/centred.hpp>
#include <hocket/linalg/pca_options.hpp>

namespace hocket::linalg {

/// The leading part of the singular value decomposition of centred data.
template <Real T>
struct leading_spectrum {
  std::vector<double> squares;  ///< (r) squared singular values, falling, none negative
  std::vector<T> rows;          ///< (r,D) right singular vectors: orthonormal, any sign
  double total = 0;             ///< sum of all squared singular values, also of those not returned
  bool converged = true;
  std::size_t products = 0, width = 0;  ///< randomized
  std::optional<double> next_square;    ///< estimate of number r + 1
  std::optional<double> error_bound;    ///< on the spectral norm of what r components leave out
};

/// A PCA solver receives centred data (N,D), N >= 2, and a count 1 <= k <= min(N, D), and returns exactly k singular
/// pairs; where the data have fewer than k of them, the rest are zeros with rows that complete the orthonormal set.
template <class Solver, class T>
concept PcaSolver = requires(centred_matrix<T>& x, std::size_t k, const pca_options& options) {
  { Solver::solve(x, k, options) } -> std::same_as<leading_spectrum<T>>;
};

namespace detail {

/// Squares and total of the leading k eigenpairs of Xc^T Xc or Xc Xc^T: square() makes that matrix (n,n), `which` is
/// its name in messages, `vectors` receives the eigenvectors as rows (k,n). The rows of the result are left to the
/// caller.
template <Real T, class Square>
leading_spectrum<T> squared_spectrum(std::size_t n, std::size_t k, const pca_options& options, std::string_view which,
                                     Square&& square, std::vector<double>& vectors) {
  const auto dense = kernels::dense::find_engine<double>(options.dense);
  std::vector<double> matrix = square();
  leading_spectrum<T> result;
  for (std::size_t i = 0; i < n; ++i) result.total += matrix[i * n + i];
  result.squares.resize(k);
  vectors.resize(k * n);
  std::vector<double> workspace(dense.eigen_workspace(n, k));
  expects(dense.eigen(n, k, matrix.data(), result.squares.data(), vectors.data(), workspace.data()), errc::bad_value,
          "the eigenproblem of the ", n, " x ", n, " ", which, " did not converge; scale the data");
  return result;
}

/// Cuts noise off small squares and completes rows that stand for none, from `first` on.
template <Real T>
void complete(leading_spectrum<T>& s, std::size_t first, std::size_t k, std::size_t d) {
  s.squares.resize(k, 0.0);
  s.rows.resize(k * d, T(0));
  for (double& square : s.squares) square = std::max(square, 0.0);
  kernels::dense::complete_rows(first, k, d, s.rows.data());
}

}  // namespace detail

}  // namespace hocket::linalg
