// Version, compiler and host/device attributes. Every other header may include this one; it includes nothing of ours.
#pragma once

#include <cstddef>

#define HOCKET_VERSION_MAJOR 0
#define HOCKET_VERSION_MINOR 1
#define HOCKET_VERSION_PATCH 0
#define HOCKET_VERSION "0.1.0"

// HOCKET_WITH_CUDA: the CUDA runtime and its libraries can be called. A build defines it for all of its units (CMake:
// HOCKET_CUDA=ON); a unit that nvcc compiles always can.
#if defined(__CUDACC__) && !defined(HOCKET_WITH_CUDA)
#define HOCKET_WITH_CUDA 1
#endif

// HOCKET_HD marks a function that a CUDA kernel may call too.
#if defined(__CUDACC__)
#define HOCKET_HD __host__ __device__
#else
#define HOCKET_HD
#endif

#define HOCKET_ALWAYS_INLINE inline __attribute__((always_inline))
#define HOCKET_RESTRICT __restrict__

// HOCKET_EXTERN_TEMPLATES: the programs of a checkout take what hocket_instances (CMake) compiled once for f32 and f64
// instead of instantiating it in every unit. A room's instances.cpp has its macro say `template`.
#if defined(HOCKET_EXTERN_TEMPLATES)
#ifndef HOCKET_AUDIO_INSTANCE
#define HOCKET_AUDIO_INSTANCE extern template
#endif
#ifndef HOCKET_LINALG_INSTANCE
#define HOCKET_LINALG_INSTANCE extern template
#endif
#ifndef HOCKET_NN_INSTANCE
#define HOCKET_NN_INSTANCE extern template
#endif
#ifndef HOCKET_PEFT_INSTANCE
#define HOCKET_PEFT_INSTANCE extern template
#endif
#endif

namespace hocket {

inline constexpr const char* version = HOCKET_VERSION;

/// Bytes: every buffer that a kernel reads starts on such a boundary (one cache line, one AVX-512 register).
inline constexpr std::size_t alignment = 64;

}  // namespace hocket
