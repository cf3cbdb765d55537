// C = alpha op(A) op(B) + beta C from the definition: one plain sum per element, in the next wider type. Never
// optimised; everything in this room is measured against it.
#pragma once

#include <cstddef>
#include <type_traits>

#include <hocket/core/dtype.hpp>

namespace hocket::kernels::gemm {

/// Sizes and layout of one product. All matrices are row-major: op(A) is (m,k), op(B) is (k,n), C is (m,n); a
/// transposed operand is stored as (k,m) or (n,k). `ld` is the distance between stored rows, in elements.
struct shape {
  std::size_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  std::size_t lda = 0, ldb = 0, ldc = 0;
};

/// The function type of every engine. `workspace` holds workspace_size<T>() elements (cpu.hpp), aligned to 64 bytes; an
/// engine that needs none ignores it. With beta = 0, C is written and never read. Runs on the calling thread alone.
template <Real T>
using call = void (*)(const shape&, T alpha, const T* a, const T* b, T beta, T* c, T* workspace) noexcept;

template <Real T>
void reference(const shape& s, T alpha, const T* a, const T* b, T beta, T* c, T* /*workspace*/ = nullptr) noexcept {
  using wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;
  for (std::size_t i = 0; i < s.m; ++i)
    for (std::size_t j = 0; j < s.n; ++j) {
      wide sum = 0;
      for (std::size_t p = 0; p < s.k; ++p) {
        const T left = s.transpose_a ? a[p * s.lda + i] : a[i * s.lda + p];
        const T right = s.transpose_b ? b[j * s.ldb + p] : b[p * s.ldb + j];
        sum += static_cast<wide>(left) * static_cast<wide>(right);
      }
      T& out = c[i * s.ldc + j];
      const wide before = beta == 0 ? wide{0} : static_cast<wide>(beta) * static_cast<wide>(out);
      out = static_cast<T>(static_cast<wide>(alpha) * sum + before);
    }
}

}  // namespace hocket::kernels::gemm
