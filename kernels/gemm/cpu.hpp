// Our own product: register tiles over packed strips, chosen by instruction set at run time.
//
// Ladder (f32, one core of an Intel Xeon with AVX-512; GFLOP/s, from its lower to its turbo clock):
//   SSE2                    11 to 13 at every size
//   AVX2, tiles of 6 x 16   about 60 at every size
//   AVX-512, 12 x 32        60 to 105 (64^3), 68 to 115 (512^3), 51 to 78 (2048 x 48 x 512), 45 to 71 (512 x 48 x
//                           2048, A transposed), 33 to 54 (512^3, f64)
// Failed, as medians of seven rounds against the last version in the same run: tiles of 6 rows with AVX-512 1.01 on
// squares, 0.88 on the narrow products, 0.91 in f64; packing A always 0.78 at 64^3, 0.75 on the narrow products,
// 1.02 at 512^3. Never packing A gave 1.04 on squares, 0.97 on the narrow products and 0.99 in f64, and was not
// tried beyond 512.
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
