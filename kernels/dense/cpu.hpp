// Our own dense solvers, for users without LAPACK: small to compile, correct for every symmetric or rectangular input.
//
//   symmetric_eigen  Householder to tridiagonal form, eigenvalues by implicit QL, then inverse iteration for the wanted
//                    vectors with full reorthogonalisation. O(n^3) once, then O(n^2) per vector.
//   singular_rows    Householder to R when there are more rows than columns, then one-sided Jacobi on rows.
//
// Ladder (512 x 512 f64, 32 vectors, one AVX-512 core, 30 ms before): the update of the trailing matrix and its product
// with the next reflector in one pass over four rows of one triangle, 2.3 x the speed of a pass each over the square
// (19 to 8 ms); sqrt of the sum of two squares in place of std::hypot in QL (7.5 to 4 ms). Eight rows at a time and
// prefetching the next four brought nothing: the pass is limited by the second-level cache.
// QL with rotation of all eigenvectors first (simplest): 3 n^3 more work, of which a PCA with k << n needs k /
// n. Inverse iteration without reorthogonalisation against all earlier vectors: not orthogonal for repeated
// eigenvalues.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <utility>

#include <hocket/core/config.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/core/simd.hpp>

#define HOCKET_SIMD_BODY <hocket/kernels/dense/cpu_body.inl>
#include <hocket/core/simd_each.hpp>

namespace hocket::kernels::dense {

/// The routines of one instruction set.
template <Real T>
struct routines {
  T (*dot)(std::size_t, const T*, const T*);
  void (*add_scaled)(std::size_t, T, const T*, T*);
  void (*tridiagonalise)(std::size_t, T*, T*, T*, T*, T*);
  void (*back_transform)(std::size_t, std::size_t, const T*, const T*, T*);
  void (*triangularise)(std::size_t, std::size_t, T*, T*);
  bool (*orthogonalise_rows)(std::size_t, std::size_t, T*, T*);
};

template <Real T>
routines<T> best_routines() {
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512:
      return {&avx512::dot<T>,
              &avx512::add_scaled<T>,
              &avx512::tridiagonalise<T>,
              &avx512::back_transform<T>,
              &avx512::triangularise<T>,
              &avx512::orthogonalise_rows<T>};
    case isa::avx2:
      return {&avx2::dot<T>,           &avx2::add_scaled<T>,        &avx2::tridiagonalise<T>, &avx2::back_transform<T>,
              &avx2::triangularise<T>, &avx2::orthogonalise_rows<T>};
#endif
    default:
      return {&baseline::dot<T>,
              &baseline::add_scaled<T>,
              &baseline::tridiagonalise<T>,
              &baseline::back_transform<T>,
              &baseline::triangularise<T>,
              &baseline::orthogonalise_rows<T>};
  }
}

/// Eigenvalues of the symmetric tridiagonal (d, e[0..n-1)), unsorted, in place of d; e is destroyed. Implicit QL with
/// Wilkinson's shift (Golub and Van Loan, section 8.3). False after 60 turns without convergence.
template <Real T>
bool tridiagonal_values(std::size_t n, T* d, T* e) {
  constexpr T epsilon = std::numeric_limits<T>::epsilon();
  constexpr T smallest_square = std::numeric_limits<T>::min() / epsilon;
  // std::hypot takes longer than the rest of a step: only where squares would lose digits
  const auto length = [](T x, T y) {
    const T square = x * x + y * y;
    return square > smallest_square ? std::sqrt(square) : std::hypot(x, y);
  };
  if (n == 0) return true;
  // What is rounding beside the largest element is dropped even between elements that are rounding themselves: the
  // sweeps stir that up again and again, so in a matrix of low rank or with a steep spectrum they would never end.
  T largest = 0;
  for (std::size_t i = 0; i < n; ++i) largest = std::max({largest, std::abs(d[i]), i + 1 < n ? std::abs(e[i]) : T(0)});
  const T nothing = epsilon / 8 * largest;
  for (std::size_t low = 0; low < n; ++low) {
    for (int turn = 0;; ++turn) {
      std::size_t high = low;  // first negligible off-diagonal element at or after `low`
      while (high + 1 < n && std::abs(e[high]) > epsilon * (std::abs(d[high]) + std::abs(d[high + 1])) &&
             std::abs(e[high]) > nothing)
        ++high;
      if (high == low) break;
      if (turn == 60) return false;
      T g = (d[low + 1] - d[low]) / (2 * e[low]);
      T r = length(g, T(1));
      g = d[high] - d[low] + e[low] / (g + (g >= 0 ? r : -r));
      T s = 1, c = 1, p = 0;
      std::size_t i = high;
      bool split = false;
      while (i-- > low) {
        const T f = s * e[i], b = c * e[i];
        r = length(f, g);
        e[i + 1] = r;
        if (r == 0) {
          d[i + 1] -= p;
          if (high < n) e[high] = 0;
          split = true;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
      }
      if (split) continue;
      d[low] -= p;
      e[low] = g;
      e[high] = 0;
    }
  }
  return true;
}

/// Solves (T - shift) x = x in place by Gaussian elimination with row exchanges; pivots below `tiny` are lifted to it.
/// `work` (4n).
template <Real T>
void shifted_solve(std::size_t n, const T* d, const T* e, T shift, T tiny, T* x, T* work) {
  T *u0 = work, *u1 = work + n, *u2 = work + 2 * n;  // the three diagonals of U
  T p0 = d[0] - shift, p1 = n > 1 ? e[0] : T(0), right = x[0];
  for (std::size_t i = 0; i + 1 < n; ++i) {
    const T below = e[i], next0 = d[i + 1] - shift, next1 = i + 2 < n ? e[i + 1] : T(0), next_right = x[i + 1];
    if (std::abs(below) > std::abs(p0)) {  // the lower row becomes the pivot
      const T factor = p0 / below;
      u0[i] = below;
      u1[i] = next0;
      u2[i] = next1;
      x[i] = next_right;
      p0 = p1 - factor * next0;
      p1 = -factor * next1;
      right -= factor * next_right;
    } else {
      if (std::abs(p0) < tiny) p0 = p0 < 0 ? -tiny : tiny;
      const T factor = below / p0;
      u0[i] = p0;
      u1[i] = p1;
      u2[i] = 0;
      x[i] = right;
      p0 = next0 - factor * p1;
      p1 = next1;
      right = next_right - factor * right;
    }
  }
  if (std::abs(p0) < tiny) p0 = p0 < 0 ? -tiny : tiny;
  u0[n - 1] = p0;
  x[n - 1] = right;
  for (std::size_t i = n; i-- > 0;) {
    T value = x[i];
    if (i + 1 < n) value -= u1[i] * x[i + 1];
    if (i + 2 < n) value -= u2[i] * x[i + 2];
    x[i] = value / u0[i];
  }
}

/// Makes rows [first, r) of `rows` (r,n) unit vectors orthogonal to all rows before: what stands for singular vectors
/// of singular value zero. Rows [0, first) are orthonormal. Each starts from the axis that the earlier rows cover
/// least.
template <Real T>
void complete_rows(std::size_t first, std::size_t r, std::size_t n, T* rows) {
  const routines<T> use = best_routines<T>();
  for (std::size_t i = first; i < r; ++i) {
    T* row = rows + i * n;
    std::size_t axis = 0;
    T least = std::numeric_limits<T>::infinity();
    for (std::size_t j = 0; j < n; ++j) {
      T covered = 0;
      for (std::size_t q = 0; q < i; ++q) covered += rows[q * n + j] * rows[q * n + j];
      if (covered < least) {
        least = covered;
        axis = j;
      }
    }
    std::fill_n(row, n, T(0));
    row[axis] = 1;
    for (int pass = 0; pass < 3; ++pass) {
      for (std::size_t q = 0; q < i; ++q) use.add_scaled(n, -use.dot(n, row, rows + q * n), rows + q * n, row);
      const T scale = 1 / std::sqrt(use.dot(n, row, row));
      for (std::size_t j = 0; j < n; ++j) row[j] *= scale;
    }
  }
}

inline std::size_t own_eigen_workspace(std::size_t n, std::size_t /*k*/) { return 9 * n; }

/// The k largest eigenvalues of the symmetric `a` (n,n), in falling order, and their eigenvectors as rows of `vectors`
/// (k,n); only the values when `vectors` is null. Destroys `a`.
template <Real T>
bool own_eigen(std::size_t n, std::size_t k, T* a, T* values, T* vectors, T* workspace) noexcept {
  if (n == 0 || k == 0) return true;
  const routines<T> use = best_routines<T>();
  T largest = 0;  // scale to order 1: squares neither overflow nor vanish
  for (std::size_t i = 0; i < n * n; ++i) {
    if (!std::isfinite(a[i])) return false;
    largest = std::max(largest, std::abs(a[i]));
  }
  if (largest == 0) {
    std::fill_n(values, k, T(0));
    if (vectors) complete_rows(0, k, n, vectors);
    return true;
  }
  for (std::size_t i = 0; i < n * n; ++i) a[i] /= largest;
  T *d = workspace, *e = d + n, *beta = e + n, *sorted = beta + n, *off = sorted + n, *work = off + n;
  use.tridiagonalise(n, a, d, e, beta, work);
  // QL wants its large elements at the end; Householder's reflectors leave them in front
  std::reverse_copy(d, d + n, sorted);
  std::reverse_copy(e, e + n - 1, off);
  if (!tridiagonal_values(n, sorted, off)) return false;
  std::sort(sorted, sorted + n, std::greater<T>());
  for (std::size_t v = 0; v < k; ++v) values[v] = sorted[v] * largest;
  if (!vectors) return true;
  T norm = 0;
  for (std::size_t i = 0; i < n; ++i)
    norm = std::max(norm, std::abs(d[i]) + (i > 0 ? std::abs(e[i - 1]) : T(0)) + (i + 1 < n ? std::abs(e[i]) : T(0)));
  const T tiny = std::max(norm * std::numeric_limits<T>::epsilon(), std::numeric_limits<T>::min());
  philox random(0x7d0c, n);
  for (std::size_t v = 0; v < k; ++v) {
    T* x = vectors + v * n;
    for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<T>(random.next_uniform() - 0.5);
    for (int turn = 0; turn < 4; ++turn) {
      T size = 0;
      for (std::size_t i = 0; i < n; ++i) size = std::max(size, std::abs(x[i]));
      for (std::size_t i = 0; i < n; ++i) x[i] /= size;
      // projected until little is taken away: a vector of a repeated eigenvalue lies mostly in the earlier ones
      T before = use.dot(n, x, x);
      for (int pass = 0; pass < 5; ++pass) {
        for (std::size_t q = 0; q < v; ++q) use.add_scaled(n, -use.dot(n, x, vectors + q * n), vectors + q * n, x);
        const T after = use.dot(n, x, x), scale = 1 / std::sqrt(after);
        for (std::size_t i = 0; i < n; ++i) x[i] *= scale;
        if (after > before / 4) break;
        before = 1;
      }
      if (turn < 3) shifted_solve(n, d, e, sorted[v], tiny, x, work);
    }
  }
  use.back_transform(n, k, a, beta, vectors);
  return true;
}

inline std::size_t own_svd_workspace(std::size_t m, std::size_t n) { return m + 2 * n; }

/// r = min(m, n) singular values of `a` (m,n) in falling order and the right singular vectors as rows of `rows` (r,n).
/// Destroys `a`.
template <Real T>
bool own_svd(std::size_t m, std::size_t n, T* a, T* values, T* rows, T* workspace) noexcept {
  const routines<T> use = best_routines<T>();
  const std::size_t r = std::min(m, n);
  if (r == 0) return true;
  T largest = 0;
  for (std::size_t i = 0; i < m * n; ++i) {
    if (!std::isfinite(a[i])) return false;
    largest = std::max(largest, std::abs(a[i]));
  }
  if (largest > 0)
    for (std::size_t i = 0; i < m * n; ++i) a[i] /= largest;
  if (m > n) use.triangularise(m, n, a, workspace);
  if (!use.orthogonalise_rows(r, n, a, workspace)) return false;
  for (std::size_t i = 0; i < r; ++i) workspace[i] = std::sqrt(use.dot(n, a + i * n, a + i * n));
  // selection in falling order; ties keep their order
  std::size_t kept = 0;
  T longest = 0;
  for (std::size_t i = 0; i < r; ++i) {
    std::size_t best = 0;
    for (std::size_t j = 1; j < r; ++j)
      if (workspace[j] > workspace[best]) best = j;
    const T length = std::max(workspace[best], T(0));
    longest = std::max(longest, length);
    values[i] = length * largest;
    if (length > longest * std::numeric_limits<T>::epsilon() * std::sqrt(static_cast<T>(n))) {
      for (std::size_t j = 0; j < n; ++j) rows[i * n + j] = a[best * n + j] / length;
      kept = i + 1;
    }
    workspace[best] = -1;
  }
  complete_rows(kept, r, n, rows);
  return true;
}

}  // namespace hocket::kernels::dense

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in instances.cpp
#define HOCKET_INSTANCE extern template
#include <hocket/kernels/dense/instances.inl>
#undef HOCKET_INSTANCE
#endif
