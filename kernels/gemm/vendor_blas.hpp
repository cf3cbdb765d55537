// A BLAS through its C interface (OpenBLAS, MKL, ...) as the engine "blas". Included by choice; link with the library.
#pragma once

#if defined(HOCKET_HAVE_BLAS)

#include <limits>

#include <cblas.h>

#include <hocket/kernels/gemm/engine.hpp>

namespace hocket::kernels::gemm {

inline bool fits_int(const shape& s) {
  constexpr auto most = static_cast<std::size_t>(std::numeric_limits<int>::max());
  return s.m <= most && s.n <= most && s.k <= most && s.lda <= most && s.ldb <= most && s.ldc <= most;
}

template <Real T>
void blas(const shape& s, T alpha, const T* a, const T* b, T beta, T* c, T* workspace) noexcept {
  // BLAS refuses leading dimensions of 0, and its integers end at 2^31
  if (s.m == 0 || s.n == 0 || s.k == 0 || !fits_int(s)) return own<T>(s, alpha, a, b, beta, c, workspace);
  const one_thread alone;
  const auto turn_a = s.transpose_a ? CblasTrans : CblasNoTrans, turn_b = s.transpose_b ? CblasTrans : CblasNoTrans;
  const int m = static_cast<int>(s.m), n = static_cast<int>(s.n), k = static_cast<int>(s.k);
  const int lda = static_cast<int>(s.lda), ldb = static_cast<int>(s.ldb), ldc = static_cast<int>(s.ldc);
  if constexpr (std::is_same_v<T, float>)
    cblas_sgemm(CblasRowMajor, turn_a, turn_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  else
    cblas_dgemm(CblasRowMajor, turn_a, turn_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

inline const bool blas_registered =
    register_engine<float>({"blas", 5, &blas<float>}) && register_engine<double>({"blas", 15, &blas<double>});

}  // namespace hocket::kernels::gemm

#endif
