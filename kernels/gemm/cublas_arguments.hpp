// What cuBLAS is to be called with. Its matrices are column-major; a row-major matrix read column-major is its
// transpose, so C = alpha op(A) op(B) + beta C becomes C^T = alpha op(B)^T op(A)^T + beta C^T: operands and sizes
// change places, and a transposed operand stays transposed. Pure, so that it is tested without the library.
#pragma once

#include <cstdint>
#include <limits>

#include <hocket/core/error.hpp>
#include <hocket/kernels/gemm/reference.hpp>

namespace hocket::kernels::gemm {

/// Equal products one after the other in memory: matrix i of an operand starts i strides (elements) after its first.
struct batch {
  std::size_t count = 1, stride_a = 0, stride_b = 0, stride_c = 0;
};

/// Arguments of cublasGemmStridedBatchedEx; the library's first matrix is our B, its second our A.
struct cublas_arguments {
  bool transpose_first = false, transpose_second = false;
  int m = 0, n = 0, k = 0;
  int ld_first = 0, ld_second = 0, ld_result = 0;
  int batch_count = 1;
  long long stride_first = 0, stride_second = 0, stride_result = 0;
};

namespace detail {

inline int narrow(const char* what, std::size_t x) {
  expects(x <= static_cast<std::size_t>(std::numeric_limits<int>::max()), errc::unsupported_shape, "gemm: ", what,
          " = ", x, "; cuBLAS counts in 32 bits");
  return static_cast<int>(x);
}
/// A leading dimension of 0 is refused by cuBLAS even for an empty matrix.
inline int leading(const char* what, std::size_t x) { return narrow(what, x < 1 ? 1 : x); }

}  // namespace detail

inline cublas_arguments to_cublas(const shape& s, const batch& of = {}) {
  return {s.transpose_b,
          s.transpose_a,
          detail::narrow("n", s.n),
          detail::narrow("m", s.m),
          detail::narrow("k", s.k),
          detail::leading("ldb", s.ldb),
          detail::leading("lda", s.lda),
          detail::leading("ldc", s.ldc),
          detail::narrow("batch count", of.count),
          static_cast<long long>(of.stride_b),
          static_cast<long long>(of.stride_a),
          static_cast<long long>(of.stride_c)};
}

/// A stored matrix as cublasLtMatrixLayoutCreate takes it: column-major, sizes before op() is applied.
struct cublaslt_layout {
  std::uint64_t rows = 0, columns = 0;
  std::int64_t ld = 1;
  std::int32_t batch_count = 1;
  std::int64_t stride = 0;
};
struct cublaslt_arguments {
  bool transpose_first = false, transpose_second = false;
  cublaslt_layout first, second, result;  ///< our B, our A, our C
};

inline cublaslt_arguments to_cublaslt(const shape& s, const batch& of = {}) {
  expects(s.k > 0 || s.m == 0 || s.n == 0, errc::unsupported_shape,
          "cublaslt: a product over k = 0 has no layout; use the cublas or the own arm");
  // a row-major matrix (rows, columns) is a column-major one (columns, rows) with the same leading dimension
  const auto layout = [&](const char* what, std::size_t rows, std::size_t columns, std::size_t ld, std::size_t stride) {
    return cublaslt_layout{columns, rows, detail::leading(what, ld), detail::narrow("batch count", of.count),
                           static_cast<std::int64_t>(stride)};
  };
  return {s.transpose_b, s.transpose_a,
          layout("ldb", s.transpose_b ? s.n : s.k, s.transpose_b ? s.k : s.n, s.ldb, of.stride_b),
          layout("lda", s.transpose_a ? s.k : s.m, s.transpose_a ? s.m : s.k, s.lda, of.stride_a),
          layout("ldc", s.m, s.n, s.ldc, of.stride_c)};
}

}  // namespace hocket::kernels::gemm
