// Symmetric eigenproblem and singular values from their definitions: Jacobi's rotations until nothing is left off the
// diagonal, in long double. Never optimised.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <vector>

#include <hocket/core/dtype.hpp>

namespace hocket::kernels::dense {

/// All eigenvalues of the symmetric `a` (n,n) in falling order and their eigenvectors as rows of `vectors` (n,n).
template <Real T>
void reference_eigen(std::size_t n, const T* a, T* values, T* vectors) {
  using wide = long double;
  std::vector<wide> m(a, a + n * n), v(n * n, 0);
  for (std::size_t i = 0; i < n; ++i) v[i * n + i] = 1;
  for (int sweep = 0; sweep < 60; ++sweep) {
    wide off = 0, all = 0;
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) (i == j ? all : off) += m[i * n + j] * m[i * n + j];
    if (off <= (all + off) * std::numeric_limits<wide>::epsilon() * std::numeric_limits<wide>::epsilon()) break;
    for (std::size_t p = 0; p < n; ++p)
      for (std::size_t q = p + 1; q < n; ++q) {
        const wide apq = m[p * n + q];
        if (apq == 0) continue;
        const wide theta = (m[q * n + q] - m[p * n + p]) / (2 * apq);
        const wide t = (theta >= 0 ? 1 : -1) / (std::abs(theta) + std::sqrt(theta * theta + 1));
        const wide c = 1 / std::sqrt(t * t + 1), s = t * c;
        for (std::size_t i = 0; i < n; ++i) {
          const wide x = m[i * n + p], y = m[i * n + q];
          m[i * n + p] = c * x - s * y;
          m[i * n + q] = s * x + c * y;
        }
        for (std::size_t i = 0; i < n; ++i) {
          const wide x = m[p * n + i], y = m[q * n + i];
          m[p * n + i] = c * x - s * y;
          m[q * n + i] = s * x + c * y;
        }
        for (std::size_t i = 0; i < n; ++i) {
          const wide x = v[p * n + i], y = v[q * n + i];
          v[p * n + i] = c * x - s * y;
          v[q * n + i] = s * x + c * y;
        }
      }
  }
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t x, std::size_t y) { return m[x * n + x] > m[y * n + y]; });
  for (std::size_t i = 0; i < n; ++i) {
    values[i] = static_cast<T>(m[order[i] * n + order[i]]);
    for (std::size_t j = 0; j < n; ++j) vectors[i * n + j] = static_cast<T>(v[order[i] * n + j]);
  }
}

/// min(m, n) singular values of `a` (m,n) in falling order: rows (or columns, the shorter side) are rotated until they
/// are orthogonal, then they are as long as the singular values.
template <Real T>
void reference_singular_values(std::size_t m, std::size_t n, const T* a, T* values) {
  using wide = long double;
  const std::size_t r = std::min(m, n), length = std::max(m, n);
  std::vector<wide> rows(r * length);
  for (std::size_t i = 0; i < r; ++i)
    for (std::size_t j = 0; j < length; ++j) rows[i * length + j] = m <= n ? a[i * n + j] : a[j * n + i];
  bool turned = true;
  for (int sweep = 0; sweep < 60 && turned; ++sweep) {
    turned = false;
    for (std::size_t p = 0; p < r; ++p)
      for (std::size_t q = p + 1; q < r; ++q) {
        wide pp = 0, qq = 0, pq = 0;
        for (std::size_t j = 0; j < length; ++j) {
          const wide x = rows[p * length + j], y = rows[q * length + j];
          pp += x * x;
          qq += y * y;
          pq += x * y;
        }
        if (std::abs(pq) <= std::numeric_limits<wide>::epsilon() * std::sqrt(pp * qq)) continue;
        turned = true;
        const wide theta = (qq - pp) / (2 * pq);
        const wide t = (theta >= 0 ? 1 : -1) / (std::abs(theta) + std::sqrt(theta * theta + 1));
        const wide c = 1 / std::sqrt(t * t + 1), s = t * c;
        for (std::size_t j = 0; j < length; ++j) {
          const wide x = rows[p * length + j], y = rows[q * length + j];
          rows[p * length + j] = c * x - s * y;
          rows[q * length + j] = s * x + c * y;
        }
      }
  }
  for (std::size_t i = 0; i < r; ++i) {
    wide square = 0;
    for (std::size_t j = 0; j < length; ++j) square += rows[i * length + j] * rows[i * length + j];
    values[i] = static_cast<T>(std::sqrt(square));
  }
  std::sort(values, values + r, std::greater<T>());
}

}  // namespace hocket::kernels::dense
