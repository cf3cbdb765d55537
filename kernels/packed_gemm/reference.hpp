// C = A B from the definition, one plain sum per element in the next wider type, over operands rounded as the precision
// says. Never optimised; everything in this room is measured against it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>
#include <vector>

#include <hocket/core/dtype.hpp>
#include <hocket/core/half.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/packed_gemm/shape.hpp>

namespace hocket::kernels::packed_gemm::reference {

template <Real T>
using wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

/// a (m,k), b (k,n), c (m,n).
template <Real T>
void product(precision p, view<const T, 2> a, view<const T, 2> b, view<wide<T>, 2> c) {
  const std::size_t m = a.extent(0), k = a.extent(1), n = b.extent(1);
  std::vector<float> row_most(m), column_most(n);
  if (p == precision::int8) {
    const auto take = [](float& most, T x) { most = std::max(most, std::abs(static_cast<float>(x))); };
    for (std::size_t q = 0; q < k; ++q) {
      for (std::size_t i = 0; i < m; ++i) take(row_most[i], a(i, q));
      for (std::size_t j = 0; j < n; ++j) take(column_most[j], b(q, j));
    }
  }
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      wide<T> sum = 0;
      for (std::size_t q = 0; q < k; ++q) {
        const T left = a(i, q), right = b(q, j);
        switch (p) {
          case precision::native:
          case precision::split: sum += static_cast<wide<T>>(left) * static_cast<wide<T>>(right); break;
          case precision::bf16:
            sum += to_f64(to_bf16(static_cast<float>(left))) * to_f64(to_bf16(static_cast<float>(right)));
            break;
          case precision::int8:
            sum += static_cast<wide<T>>(quantized(static_cast<float>(left), row_most[i])) *
                   static_cast<wide<T>>(quantized(static_cast<float>(right), column_most[j]));
            break;
        }
      }
      if (p == precision::int8)
        sum *= static_cast<wide<T>>(row_most[i] / 127.0F) * static_cast<wide<T>>(column_most[j] / 127.0F);
      c(i, j) = sum;
    }
}

}  // namespace hocket::kernels::packed_gemm::reference
