// Products summed over rows, from the definition: out (d,b) = A^T B for A (n,d) and B (n,b). With A = B = centred data
// it is the covariance times N - 1, with A = B = a block of vectors their Gram matrix.
#pragma once

#include <cstddef>

#include <hocket/core/dtype.hpp>

namespace hocket::kernels::covariance {

/// One plain sum per element, in long double.
template <Real T>
void reference(std::size_t n, std::size_t d, std::size_t b, const T* left, const T* right, double* out) noexcept {
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = 0; j < b; ++j) {
      long double sum = 0;
      for (std::size_t row = 0; row < n; ++row)
        sum += static_cast<long double>(left[row * d + i]) * static_cast<long double>(right[row * b + j]);
      out[i * b + j] = static_cast<double>(sum);
    }
}

}  // namespace hocket::kernels::covariance
