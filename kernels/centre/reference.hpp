// The passes of a PCA over the data that are not products, from their definitions, as plain sums in long double. A
// column's centre is carried as two numbers, high + low: x - high is exact where it cancels, so a common offset of a
// million spreads costs nothing.
#pragma once

#include <cstddef>

#include <hocket/core/dtype.hpp>

namespace hocket::kernels::centre {

/// sums[j] += sum over rows of x(i, j) - origin[j].
template <Real T>
void reference_column_sums(std::size_t rows, std::size_t columns, const T* x, std::size_t ldx, const T* origin,
                           long double* sums) noexcept {
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j)
      sums[j] += static_cast<long double>(x[i * ldx + j]) - static_cast<long double>(origin[j]);
}

/// out(i, j) = x(i, j) - high[j] - low[j].
template <Real T>
void reference_subtract(std::size_t rows, std::size_t columns, const T* x, std::size_t ldx, const T* high, const T* low,
                        long double* out, std::size_t ldout) noexcept {
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j)
      out[i * ldout + j] = static_cast<long double>(x[i * ldx + j]) - static_cast<long double>(high[j]) -
                           static_cast<long double>(low[j]);
}

/// Sum of squares of all elements.
template <Real T>
long double reference_squares(std::size_t rows, std::size_t columns, const T* x, std::size_t ldx) noexcept {
  long double sum = 0;
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j)
      sum += static_cast<long double>(x[i * ldx + j]) * static_cast<long double>(x[i * ldx + j]);
  return sum;
}

/// sum(i, j) += x(i, j).
template <Real T>
void reference_add(std::size_t rows, std::size_t columns, const T* x, std::size_t ldx, long double* sum,
                   std::size_t ldsum) noexcept {
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j) sum[i * ldsum + j] += static_cast<long double>(x[i * ldx + j]);
}

}  // namespace hocket::kernels::centre
