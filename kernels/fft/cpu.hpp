// Our own transform: mixed radices 2, 3, 4, 5, 7, 8 and Bluestein, for every length, in SIMD lanes.
//
// Kernels work on lane blocks: HOCKET_SIMD_BYTES / sizeof(T) transforms side by side, element i being two registers
// (the real parts of all lanes, the imaginary parts of all lanes). Every operation is full width and no butterfly
// shuffles. Which transforms share a block does not change a transform's bits.
//
// Ladder of real rows (f32, 32 rows, one AVX-512 core, over FFTW row by row; 512, 1024, 2048):
//   1  gather, halve, passes, split, scatter, a sweep over the block each: 0.82, 1.32, 1.28. Half of the time at 1024
//      went to scattering by 16 bytes: rows of 4 KiB and a little share their sets of the first cache, so a line was
//      fetched anew for each piece.
//   2  scattering whole registers: 0.92, 1.09, 1.04.
//   3  the split goes through a tile that is scattered at once, and halves as it reads: 0.72, 0.86, 0.89. Overlapping
//      the last block of a row instead of finishing it by element, tiles of 8 or 32 bins: nothing.
//   4  the first pass reads rows through a tile too: 0.67, 0.83, 0.89; 256 is at 0.69 again, as in 1, after 0.73 in 3.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

#include <hocket/core/config.hpp>
#include <hocket/core/simd.hpp>
#include <hocket/kernels/fft/plan.hpp>

#define HOCKET_SIMD_BODY <hocket/kernels/fft/cpu_body.inl>
#include <hocket/core/simd_each.hpp>

namespace hocket::kernels::fft {

/// Rows of a batch: first element and distance between rows, both in T's (a complex number is two).
template <class T>
struct rows_of {
  T* data;
  std::size_t stride;
};

/// T's of memory that a run needs, aligned to 64 bytes.
template <Real T>
std::size_t work_size(const plan<T>& tables, isa level) {
  return 2 * register_bytes(level) / sizeof(T) * (2 * tables.size() + tables.work());
}
template <Real T>
std::size_t work_size(const real_plan<T>& tables, isa level) {
  return 2 * register_bytes(level) / sizeof(T) * (2 * (tables.complex().size() + 1) + tables.complex().work());
}

/// `batch` rows of n pairs (re, im) -> the same; an inverse (exponent +) is multiplied by `scale`.
template <Real T>
void run_complex(const plan<T>& tables, isa level, rows_of<const T> in, rows_of<T> out, std::size_t batch, bool inverse,
                 T scale, T* memory) noexcept {
#if defined(__x86_64__)
  if (level == isa::avx512)
    return avx512::complex_rows(tables, in.data, in.stride, out.data, out.stride, batch, inverse, scale, memory);
  if (level == isa::avx2)
    return avx2::complex_rows(tables, in.data, in.stride, out.data, out.stride, batch, inverse, scale, memory);
#endif
  baseline::complex_rows(tables, in.data, in.stride, out.data, out.stride, batch, inverse, scale, memory);
}

/// `batch` rows of n samples -> rows of n / 2 + 1 pairs.
template <Real T>
void run_real(const real_plan<T>& tables, isa level, rows_of<const T> in, rows_of<T> out, std::size_t batch,
              T* memory) noexcept {
#if defined(__x86_64__)
  if (level == isa::avx512)
    return avx512::real_forward_rows(tables, in.data, in.stride, out.data, out.stride, batch, memory);
  if (level == isa::avx2)
    return avx2::real_forward_rows(tables, in.data, in.stride, out.data, out.stride, batch, memory);
#endif
  baseline::real_forward_rows(tables, in.data, in.stride, out.data, out.stride, batch, memory);
}

/// `batch` rows of n / 2 + 1 pairs -> rows of n samples, times `scale`.
template <Real T>
void run_real_inverse(const real_plan<T>& tables, isa level, rows_of<const T> in, rows_of<T> out, std::size_t batch,
                      T scale, T* memory) noexcept {
#if defined(__x86_64__)
  if (level == isa::avx512)
    return avx512::real_inverse_rows(tables, in.data, in.stride, out.data, out.stride, batch, scale, memory);
  if (level == isa::avx2)
    return avx2::real_inverse_rows(tables, in.data, in.stride, out.data, out.stride, batch, scale, memory);
#endif
  baseline::real_inverse_rows(tables, in.data, in.stride, out.data, out.stride, batch, scale, memory);
}

}  // namespace hocket::kernels::fft

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in instances.cpp
#define HOCKET_INSTANCE extern template
#include <hocket/kernels/fft/instances.inl>
#undef HOCKET_INSTANCE
#endif
