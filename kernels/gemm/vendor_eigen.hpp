// Eigen's product as the engine "eigen": header-only, as fast as the compiler's own flags allow.
#pragma once

#include <Eigen/Core>

#include <hocket/kernels/gemm/engine.hpp>

namespace hocket::kernels::gemm {

template <Real T>
void eigen(const shape& s, T alpha, const T* a, const T* b, T beta, T* c, T* workspace) noexcept {
  if (s.m == 0 || s.n == 0 || s.k == 0) return own<T>(s, alpha, a, b, beta, c, workspace);
  const one_thread alone;
  using matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using stride = Eigen::OuterStride<>;
  const auto index = [](std::size_t n) { return static_cast<Eigen::Index>(n); };
  const Eigen::Map<const matrix, 0, stride> left(a, index(s.transpose_a ? s.k : s.m), index(s.transpose_a ? s.m : s.k),
                                                 stride(index(s.lda)));
  const Eigen::Map<const matrix, 0, stride> right(b, index(s.transpose_b ? s.n : s.k), index(s.transpose_b ? s.k : s.n),
                                                  stride(index(s.ldb)));
  Eigen::Map<matrix, 0, stride> out(c, index(s.m), index(s.n), stride(index(s.ldc)));
  if (beta == 0)
    out.setZero();
  else if (beta != 1)
    out *= beta;
  if (s.transpose_a && s.transpose_b)
    out.noalias() += alpha * left.transpose() * right.transpose();
  else if (s.transpose_a)
    out.noalias() += alpha * left.transpose() * right;
  else if (s.transpose_b)
    out.noalias() += alpha * left * right.transpose();
  else
    out.noalias() += alpha * left * right;
}

inline const bool eigen_registered =
    register_engine<float>({"eigen", 1, &eigen<float>}) && register_engine<double>({"eigen", 1, &eigen<double>});

}  // namespace hocket::kernels::gemm

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in vendor_eigen.cpp
namespace hocket::kernels::gemm {
extern template void eigen<float>(const shape&, float, const float*, const float*, float, float*, float*) noexcept;
extern template void eigen<double>(const shape&, double, const double*, const double*, double, double*,
                                   double*) noexcept;
}  // namespace hocket::kernels::gemm
#endif
