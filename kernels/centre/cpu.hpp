// The passes of reference.hpp in SIMD.
//
// Ladder (20000 x 512 f32, column sums, one AVX-512 core): plain loops at -O2 were limited by one f64 conversion and
// one dependent store per element; whole registers along a row are limited by memory.
#pragma once

#include <cstddef>

#include <hocket/core/config.hpp>
#include <hocket/core/simd.hpp>
#include <hocket/kernels/centre/reference.hpp>

#define HOCKET_SIMD_BODY <hocket/kernels/centre/cpu_body.inl>
#include <hocket/core/simd_each.hpp>

namespace hocket::kernels::centre {

template <Real T>
void column_sums(std::size_t rows, std::size_t columns, const T* x, std::size_t ldx, const T* origin,
                 double* sums) noexcept {
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512: return avx512::column_sums<T>(rows, columns, x, ldx, origin, sums);
    case isa::avx2: return avx2::column_sums<T>(rows, columns, x, ldx, origin, sums);
#endif
    default: return baseline::column_sums<T>(rows, columns, x, ldx, origin, sums);
  }
}

template <Real T>
void subtract(std::size_t rows, std::size_t columns, const T* x, std::size_t ldx, const T* high, const T* low, T* out,
              std::size_t ldout) noexcept {
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512: return avx512::subtract<T>(rows, columns, x, ldx, high, low, out, ldout);
    case isa::avx2: return avx2::subtract<T>(rows, columns, x, ldx, high, low, out, ldout);
#endif
    default: return baseline::subtract<T>(rows, columns, x, ldx, high, low, out, ldout);
  }
}

template <Real T>
double squares(std::size_t rows, std::size_t columns, const T* x, std::size_t ldx) noexcept {
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512: return avx512::squares<T>(rows, columns, x, ldx);
    case isa::avx2: return avx2::squares<T>(rows, columns, x, ldx);
#endif
    default: return baseline::squares<T>(rows, columns, x, ldx);
  }
}

template <Real T>
void add(std::size_t rows, std::size_t columns, const T* x, std::size_t ldx, double* sum, std::size_t ldsum) noexcept {
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512: return avx512::add<T>(rows, columns, x, ldx, sum, ldsum);
    case isa::avx2: return avx2::add<T>(rows, columns, x, ldx, sum, ldsum);
#endif
    default: return baseline::add<T>(rows, columns, x, ldx, sum, ldsum);
  }
}

}  // namespace hocket::kernels::centre

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in instances.cpp
#define HOCKET_INSTANCE extern template
#include <hocket/kernels/centre/instances.inl>
#undef HOCKET_INSTANCE
#endif
