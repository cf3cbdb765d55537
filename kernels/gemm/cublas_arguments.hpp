// What cuBLAS is to be called with. Its matrices are column-major; a row-major matrix read column-major is its
// transpose, so C = alpha op(A) op(B) + beta C becomes C^T = alpha op(B)^T op(A)^T + beta C^T: operands and sizes
// change places, and a transposed operand stays transposed. Pure, so that it is tested without the library.
#pragma once

#include <limits>

#include <hocket/core/error.hpp>
#include <hocket/kernels/gemm/reference.hpp>

namespace hocket::kernels::gemm {

/// Arguments of cublasSgemm and cublasGemmEx; the library's first matrix is our B, its second our A.
struct cublas_arguments {
  bool transpose_first = false, transpose_second = false;
  int m = 0, n = 0, k = 0;
  int ld_first = 0, ld_second = 0, ld_result = 0;
};

inline cublas_arguments to_cublas(const shape& s) {
  const auto narrow = [](const char* what, std::size_t x) {
    expects(x <= static_cast<std::size_t>(std::numeric_limits<int>::max()), errc::unsupported_shape, "gemm: ", what,
            " = ", x, "; cuBLAS counts in 32 bits");
    return static_cast<int>(x);
  };
  // A leading dimension of 0 is refused by cuBLAS even for an empty matrix.
  const auto leading = [&](const char* what, std::size_t x) { return narrow(what, x < 1 ? 1 : x); };
  return {s.transpose_b,    s.transpose_a,         narrow("n", s.n),      narrow("m", s.m),
          narrow("k", s.k), leading("ldb", s.ldb), leading("lda", s.lda), leading("ldc", s.ldc)};
}

}  // namespace hocket::kernels::gemm
