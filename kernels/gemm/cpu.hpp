// Our own product: register tiles over packed strips, chosen by instruction set at run time.
#pragma once

#include <cstddef>

#include <hocket/core/config.hpp>
#include <hocket/core/simd.hpp>
#include <hocket/kernels/gemm/reference.hpp>

namespace hocket::kernels::gemm {

inline constexpr std::size_t block_k =
    256;  ///< depth of a packed strip; also the longest sum that is rounded in T alone
inline constexpr std::size_t block_n = 1024;  ///< columns packed at once: block_k x block_n f32 are 1 MiB of L2
inline constexpr std::size_t max_tile_rows = 12;

/// Elements of workspace that a call needs, whatever its shape.
inline constexpr std::size_t workspace_size = block_k * block_n + block_k * max_tile_rows;

}  // namespace hocket::kernels::gemm

#define HOCKET_SIMD_BODY <hocket/kernels/gemm/cpu_body.inl>
#include <hocket/core/simd_each.hpp>

namespace hocket::kernels::gemm {

/// Runs on the calling thread with the best instruction set of this machine.
template <Real T>
void own(const shape& s, T alpha, const T* a, const T* b, T beta, T* c, T* workspace) noexcept {
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512: return avx512::run<T>(s, alpha, a, b, beta, c, workspace);
    case isa::avx2: return avx2::run<T>(s, alpha, a, b, beta, c, workspace);
#endif
    default: return baseline::run<T>(s, alpha, a, b, beta, c, workspace);
  }
}

}  // namespace hocket::kernels::gemm

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in instances.cpp
#define HOCKET_INSTANCE extern template
#include <hocket/kernels/gemm/instances.inl>
#undef HOCKET_INSTANCE
#endif
