// The products of this build. Magnitude for promises: |alpha| k max|A| max|B| + |beta| max|C|.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/kernels/gemm/cpu.hpp>
#include <hocket/kernels/gemm/reference.hpp>
#include <hocket/kernels/gemm/vendor_blas.hpp>
#include <hocket/kernels/gemm/vendor_eigen.hpp>
#include <hocket/kernels/gemm/vendor_onednn.hpp>

namespace hocket::kernels::gemm {

inline bool any_shape(const shape&) { return true; }
/// Sums of k products in any order err by less than k epsilon / 2 of the magnitude and, as rounding is not all of one
/// sign, by far less than that.
inline double sum_promise(const shape&) { return 1; }
inline double multiply_add_flops(const shape& s) {
  return 2 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
}
template <Real T>
double operand_bytes(const shape& s) {
  const double m = static_cast<double>(s.m), n = static_cast<double>(s.n), k = static_cast<double>(s.k);
  return static_cast<double>(sizeof(T)) * (m * k + k * n + m * n);
}

template <Real T>
using gemm_arm = arm<shape, call<T>>;

template <Real T>
constexpr gemm_arm<T> make_arm(std::string_view name, call<T> run) {
  return {name, backend::cpu, dtype_of<T>, &any_shape, &sum_promise, &multiply_add_flops, &operand_bytes<T>, run};
}

template <Real T>
std::vector<gemm_arm<T>> arms() {
  std::vector<gemm_arm<T>> list{make_arm<T>("own", &own<T>), make_arm<T>("eigen", &eigen<T>)};
#if defined(HOCKET_HAVE_BLAS)
  list.push_back(make_arm<T>("blas", &blas<T>));
#endif
#if defined(HOCKET_HAVE_ONEDNN)
  if constexpr (std::is_same_v<T, float>) list.push_back(make_arm<T>("onednn", &onednn));
#endif
  return list;
}

}  // namespace hocket::kernels::gemm
