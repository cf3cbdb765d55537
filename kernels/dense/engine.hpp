// The dense solvers a program has: our own always, LAPACK's or Eigen's when their header is included somewhere in it.
// All of them run on the calling thread alone and return false when they do not converge.
#pragma once

#include <string_view>

#include <hocket/core/engines.hpp>
#include <hocket/kernels/dense/cpu.hpp>

namespace hocket::kernels::dense {

template <Real T>
struct engine {
  std::string_view name;
  int rank = 0;                                                            ///< "best" is the engine of the highest rank
  std::size_t (*eigen_workspace)(std::size_t n, std::size_t k) = nullptr;  ///< elements of T
  /// k largest eigenvalues of the symmetric a (n,n), falling, eigenvectors as rows (k,n), not made when null; destroys
  /// a
  bool (*eigen)(std::size_t n, std::size_t k, T* a, T* values, T* vectors, T* workspace) noexcept = nullptr;
  std::size_t (*svd_workspace)(std::size_t m, std::size_t n) = nullptr;
  /// r = min(m, n) singular values of a (m,n), falling, right singular vectors as rows (r,n); destroys a
  bool (*svd)(std::size_t m, std::size_t n, T* a, T* values, T* rows, T* workspace) noexcept = nullptr;
};

/// Engines of this program. Vendor headers add theirs before main; afterwards the list is only read.
template <Real T>
engine_list<engine<T>>& engines() {
  static engine_list<engine<T>> known(
      {"dense engine", "dense", "lapack"},
      {{"own", 10, &own_eigen_workspace, &own_eigen<T>, &own_svd_workspace, &own_svd<T>}});
  return known;
}

/// For a vendor header's inline variable.
template <Real T>
bool register_engine(const engine<T>& added) {
  return engines<T>().add(added);
}

/// "best" or a name. Throws not_built for a name that nobody registered.
template <Real T>
engine<T> find_engine(std::string_view name) {
  return engines<T>().find(name);
}

}  // namespace hocket::kernels::dense
