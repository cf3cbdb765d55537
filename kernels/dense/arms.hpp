// The dense solvers of this build. Promises are in epsilon x the largest eigenvalue (or singular value), for the
// values, the residual of each pair and the orthogonality of the vectors.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/kernels/dense/engine.hpp>
#include <hocket/kernels/dense/reference.hpp>
#include <hocket/kernels/dense/vendor_eigen.hpp>
#include <hocket/kernels/dense/vendor_lapack.hpp>

namespace hocket::kernels::dense {

/// A matrix of (m,n); a symmetric problem has m = n.
struct problem {
  std::size_t m = 0, n = 0;
};

inline bool any_problem(const problem&) { return true; }
/// Backward stable methods err by a modest multiple of n epsilon.
inline double stable_promise(const problem& p) { return 8 + 4 * static_cast<double>(std::max(p.m, p.n)); }
/// syevr's relatively robust representations keep vectors of close eigenvalues orthogonal to a larger multiple only.
inline double robust_promise(const problem& p) { return 16 * stable_promise(p); }
/// Reduction to tridiagonal form and back, or bidiagonal form of the smaller side.
inline double reduction_flops(const problem& p) {
  const double small = static_cast<double>(std::min(p.m, p.n)), large = static_cast<double>(std::max(p.m, p.n));
  return 4.0 / 3 * small * small * small + 2 * small * small * large;
}
template <Real T>
double problem_bytes(const problem& p) {
  const double m = static_cast<double>(p.m), n = static_cast<double>(p.n), r = std::min(m, n);
  return static_cast<double>(sizeof(T)) * (m * n + r * n + r);
}

/// An arm of this room runs either routine of its engine.
template <Real T>
using dense_arm = arm<problem, engine<T>>;

template <Real T>
std::vector<dense_arm<T>> arms() {
  std::vector<dense_arm<T>> list;
  for (const engine<T>& entry : engines<T>())
    list.push_back({entry.name, backend::cpu, dtype_of<T>, &any_problem,
                    entry.name == "lapack" ? &robust_promise : &stable_promise, &reduction_flops, &problem_bytes<T>,
                    entry});
  return list;
}

}  // namespace hocket::kernels::dense
