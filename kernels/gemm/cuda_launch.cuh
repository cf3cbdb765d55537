// Launchers of the matrix products: validate, choose grid and entry point, start. They do not wait.
#pragma once

#include <hocket/core/cuda/checks.hpp>
#include <hocket/kernels/gemm/cublas_arguments.hpp>
#include <hocket/kernels/gemm/cuda.cuh>
#include <hocket/kernels/gemm/reference.hpp>

namespace hocket::kernels::gemm::gpu {

enum class arm { tiled_f32, mma_f16, mma_bf16, mma_tf32 };

/// |error| <= promise x 2^-23 x sum over k of |alpha a b| (+ |beta c|): each of k products and additions rounds once,
/// in an order that tensor cores leave open; tf32 rounds both factors to 11 bits first.
inline double promise(arm which, std::size_t k) {
  return 2.0 + static_cast<double>(k) / 2 + (which == arm::mma_tf32 ? 0x1p13 : 0.0);
}
inline double flops(const gemm::shape& s) {
  return 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
}
inline double bytes(const gemm::shape& s, std::size_t element) {
  return static_cast<double>((s.m * s.k + s.k * s.n) * element + s.m * s.n * sizeof(float));
}

namespace detail {

template <class Device, class T>
void require_matrix(const Device& device, const char* what, const T* p, std::size_t rows, std::size_t columns,
                    std::size_t ld, std::size_t count, std::size_t stride) {
  expects(ld >= columns, errc::unsupported_shape, what, ": rows of ", columns, " elements cannot be ", ld, " apart");
  expects(rows < (std::size_t{1} << 31) && ld < (std::size_t{1} << 31), errc::unsupported_shape, what, ": ", rows,
          " x ", ld, " has a dimension above 2^31");
  if (rows && columns && count)
    require_device_memory(device, what, p, ((count - 1) * stride + (rows - 1) * ld + columns) * sizeof(T));
}

template <class T>
bool allows_vectors(const T* p, std::size_t ld, std::size_t stride) {
  return reinterpret_cast<std::uintptr_t>(p) % 16 == 0 && ld * sizeof(T) % 16 == 0 && stride * sizeof(T) % 16 == 0;
}

#define HOCKET_GEMM_ENTRIES(variant, type)                                                                          \
  s.transpose_a ? (s.transpose_b ? entry{"hocket_gemm_" #variant "_tt_" #type, &hocket_gemm_##variant##_tt_##type}  \
                                 : entry{"hocket_gemm_" #variant "_tn_" #type, &hocket_gemm_##variant##_tn_##type}) \
                : (s.transpose_b ? entry{"hocket_gemm_" #variant "_nt_" #type, &hocket_gemm_##variant##_nt_##type}  \
                                 : entry{"hocket_gemm_" #variant "_nn_" #type, &hocket_gemm_##variant##_nn_##type})

}  // namespace detail

/// C (m,n) f32 = alpha op(A) op(B) + beta C on the device, for every matrix of the batch; with beta = 0, C is not read.
/// A and B are float (which = tiled_f32 or mma_tf32), f16 or bf16.
template <CudaDevice Device, class T>
void multiply(const Device& device, const gemm::shape& s, float alpha, const T* a, const T* b, float beta, float* c,
              arm which, const batch& of = {}) {
  detail::require_matrix(device, "gemm: A", a, s.transpose_a ? s.k : s.m, s.transpose_a ? s.m : s.k, s.lda, of.count,
                         of.stride_a);
  detail::require_matrix(device, "gemm: B", b, s.transpose_b ? s.n : s.k, s.transpose_b ? s.k : s.n, s.ldb, of.count,
                         of.stride_b);
  detail::require_matrix(device, "gemm: C", c, s.m, s.n, s.ldc, of.count, of.stride_c);
  if (s.m == 0 || s.n == 0 || of.count == 0) return;
  const auto u = [](std::size_t x) { return static_cast<unsigned>(x); };
  const product p{u(s.m),
                  u(s.n),
                  u(s.k),
                  u(s.lda),
                  u(s.ldb),
                  u(s.ldc),
                  alpha,
                  beta,
                  detail::allows_vectors(a, s.lda, of.stride_a),
                  detail::allows_vectors(b, s.ldb, of.stride_b),
                  u(of.count),
                  of.stride_a,
                  of.stride_b,
                  of.stride_c};
  const extent3 grid{u((s.n + tile_n - 1) / tile_n), u((s.m + tile_m - 1) / tile_m), u(of.count)};
  const auto start = [&](const auto& chosen, unsigned threads) {
    launch(device, chosen.name, {grid, {threads, 1, 1}, 0}, chosen.kernel, a, b, c, p);
  };
  if constexpr (std::is_same_v<T, f16>) {
    expects(which == arm::mma_f16, errc::bad_option, "gemm: f16 matrices need the mma_f16 arm");
    start(HOCKET_GEMM_ENTRIES(mma, f16), mma_threads);
  } else if constexpr (std::is_same_v<T, bf16>) {
    expects(which == arm::mma_bf16, errc::bad_option, "gemm: bf16 matrices need the mma_bf16 arm");
    start(HOCKET_GEMM_ENTRIES(mma, bf16), mma_threads);
  } else {
    expects(which == arm::tiled_f32 || which == arm::mma_tf32, errc::bad_option,
            "gemm: f32 matrices need the tiled_f32 or the mma_tf32 arm");
    if (which == arm::tiled_f32)
      start(HOCKET_GEMM_ENTRIES(tiled, f32), tiled_threads);
    else
      start(HOCKET_GEMM_ENTRIES(mma, tf32), mma_threads);
  }
}
#undef HOCKET_GEMM_ENTRIES

}  // namespace hocket::kernels::gemm::gpu
