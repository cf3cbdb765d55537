// Includes HOCKET_SIMD_BODY once per instruction set (see simd.hpp). No include guard: every kernel includes it anew.
// Whatever the body needs from the standard library is included by the kernel before this file: headers first seen
// inside a target region would be compiled for that target.

#if !defined(HOCKET_SIMD_BODY)
#error "define HOCKET_SIMD_BODY before including simd_each.hpp"
#endif

#if defined(__NVCC__)  // its front end warns of GCC's unroll pragmas, and hands them on to the host compiler
#pragma nv_diagnostic push
#pragma nv_diag_suppress 1675
#endif

#if defined(__x86_64__)

#define HOCKET_SIMD_NS avx512
#define HOCKET_SIMD_BYTES 64
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi2,f16c"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi2,f16c,prefer-vector-width=512")
#endif
#include HOCKET_SIMD_BODY
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef HOCKET_SIMD_NS
#undef HOCKET_SIMD_BYTES

#define HOCKET_SIMD_NS avx2
#define HOCKET_SIMD_BYTES 32
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi2,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi2,f16c")
#endif
#include HOCKET_SIMD_BODY
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef HOCKET_SIMD_NS
#undef HOCKET_SIMD_BYTES

#endif  // x86-64

#define HOCKET_SIMD_NS baseline
#define HOCKET_SIMD_BYTES 16
#include HOCKET_SIMD_BODY
#undef HOCKET_SIMD_NS
#undef HOCKET_SIMD_BYTES

#if defined(__NVCC__)
#pragma nv_diagnostic pop
#endif

#undef HOCKET_SIMD_BODY
