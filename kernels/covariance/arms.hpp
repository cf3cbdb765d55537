// The arms of this room on a CPU: out (d,d) = X^T X for X (n,d). Only tests and bench include it. The magnitude of the
// promise is, for each element, the sum over rows of |x(i, p) x(i, q)|.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/core/buffer.hpp>
#include <hocket/kernels/covariance/cpu.hpp>

namespace hocket::kernels::covariance {

struct problem {
  std::size_t n = 0, d = 0;
};

template <Real T>
using covariance_call = void (*)(const problem& p, const T* x, std::size_t ldx, double* out);
template <Real T>
using covariance_arm = arm<problem, covariance_call<T>>;

/// Panels as linalg/gram_matrix.hpp makes them, the result in bands of three strips.
template <Real T>
void own(const problem& p, const T* x, std::size_t ldx, double* out) {
  constexpr std::size_t width = strip_columns<T>, band = 3;
  const std::size_t strips = strips_of<T>(p.d);
  buffer<T> panel(panel_size<T>(strips));
  buffer<double> sums(result_size<T>(p.d));
  for (std::size_t left = 0; left < strips; left += band)
    for (std::size_t first = 0; first < p.n; first += panel_depth) {
      const std::size_t rows = std::min(panel_depth, p.n - first);
      for (std::size_t s = left; s < strips; ++s)
        for (std::size_t r = 0; r < rows; ++r)
          std::copy_n(x + (first + r) * ldx + s * width, std::min(width, p.d - s * width),
                      panel.data() + ((s - left) * panel_depth + r) * width);
      add_panel<T>(rows, left, std::min(strips, left + band), strips, panel.data(), sums.data(), first > 0);
    }
  for (std::size_t i = 0; i < strips; ++i)
    for (std::size_t j = i; j < strips; ++j)
      place<T>(i, j, p.d, sums.data() + block_index(i, j, strips) * block_size<T>, out);
}

/// Within a panel at most half an epsilon for each addition, and one for each panel in f64.
template <Real T>
double promise_of(const problem& p) {
  constexpr double f64_in_t = std::numeric_limits<double>::epsilon() / double{std::numeric_limits<T>::epsilon()};
  return static_cast<double>(std::min(p.n, panel_depth)) / 2 + 1 + f64_in_t * static_cast<double>(p.n / panel_depth);
}

/// A multiplication and an addition for each element of one triangle.
inline double flops_of(const problem& p) {
  return static_cast<double>(p.n) * static_cast<double>(p.d) * static_cast<double>(p.d + 1);
}
template <Real T>
double bytes_of(const problem& p) {
  return static_cast<double>(p.n * p.d * sizeof(T) + p.d * p.d * sizeof(double));
}

/// Every arm for T.
template <Real T>
std::vector<covariance_arm<T>> arms() {
  return {{"own", backend::cpu, dtype_of<T>, [](const problem&) { return true; }, &promise_of<T>, &flops_of,
           &bytes_of<T>, &own<T>}};
}

}  // namespace hocket::kernels::covariance
