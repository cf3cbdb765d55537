// Eigen's solvers as the dense engine "eigen", f64 only. Included by choice and in one unit: it takes many seconds to
// compile. Allocates inside Eigen.
#pragma once

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>
#include <algorithm>
#include <cstddef>

#include <hocket/kernels/dense/engine.hpp>
#include <hocket/kernels/gemm/engine.hpp>

namespace hocket::kernels::dense {

template <Real T>
using eigen_matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <Real T>
using eigen_columns = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;

inline std::size_t eigen_no_workspace(std::size_t, std::size_t) { return 1; }

template <Real T>
bool eigen_eigen(std::size_t n, std::size_t k, T* a, T* values, T* vectors, T*) noexcept {
  if (n == 0 || k == 0) return true;
  const gemm::one_thread alone;
  const auto order = static_cast<Eigen::Index>(n);
  const Eigen::Map<const eigen_matrix<T>> matrix(a, order, order);
  const Eigen::SelfAdjointEigenSolver<eigen_columns<T>> solver(
      matrix, vectors ? Eigen::ComputeEigenvectors : Eigen::EigenvaluesOnly);
  if (solver.info() != Eigen::Success) return false;
  for (std::size_t i = 0; i < k; ++i) {
    const auto from = static_cast<Eigen::Index>(n - 1 - i);
    values[i] = solver.eigenvalues()[from];
    for (std::size_t j = 0; vectors && j < n; ++j)
      vectors[i * n + j] = solver.eigenvectors()(static_cast<Eigen::Index>(j), from);
  }
  return true;
}

template <Real T>
bool eigen_svd(std::size_t m, std::size_t n, T* a, T* values, T* rows, T*) noexcept {
  const std::size_t r = std::min(m, n);
  if (r == 0) return true;
  const gemm::one_thread alone;
  const Eigen::Map<const eigen_matrix<T>> matrix(a, static_cast<Eigen::Index>(m), static_cast<Eigen::Index>(n));
  const Eigen::JacobiSVD<eigen_columns<T>> solver(matrix, Eigen::ComputeThinU | Eigen::ComputeThinV);
  for (std::size_t i = 0; i < r; ++i) {
    values[i] = solver.singularValues()[static_cast<Eigen::Index>(i)];
    for (std::size_t j = 0; j < n; ++j)
      rows[i * n + j] = solver.matrixV()(static_cast<Eigen::Index>(j), static_cast<Eigen::Index>(i));
  }
  return true;
}

inline const bool eigen_registered = register_engine<double>(
    {"eigen", 1, &eigen_no_workspace, &eigen_eigen<double>, &eigen_no_workspace, &eigen_svd<double>});

}  // namespace hocket::kernels::dense

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in vendor_eigen.cpp
namespace hocket::kernels::dense {
extern template bool eigen_eigen<double>(std::size_t, std::size_t, double*, double*, double*, double*) noexcept;
extern template bool eigen_svd<double>(std::size_t, std::size_t, double*, double*, double*, double*) noexcept;
}  // namespace hocket::kernels::dense
#endif
