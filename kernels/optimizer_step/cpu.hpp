// A step of SGD or Adam on the CPU, f32 and f64, and the norm of a gradient.
//
// Ladder
//   1  one pass over weights, gradient and moments, in registers, that also clears the gradient: a step is limited by
//      memory, and a separate clearing would read and write the gradient once more.
//   2  runs whose moments are still zero are left alone while their gradient is zero (words that no text has had):
//      12 or 4 bytes an element instead of 32.
//   3  tiles of 8,192 elements instead of 65,536: of a weight of 384 x 384 one of two threads had four fifths; weights
//      at rest decay by whole registers: 5.8 -> 3.4 ms for MiniLM's words, the speed of memory.
// Failed: leaving the gradient as it is and overwriting it in the next pass, no change; gradients written past the
// caches by that pass, +3 % of a step.
//
// noexcept, no allocation; an element's bits depend on its values only, a norm's on tiles of a fixed size.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <hocket/core/config.hpp>
#include <hocket/core/parallel.hpp>
#include <hocket/core/simd.hpp>
#include <hocket/kernels/optimizer_step/constants.hpp>

namespace hocket::kernels::optimizer_step {

inline constexpr std::size_t elements_per_tile = 65536;  ///< of the sums of a norm
inline constexpr std::size_t elements_per_step = 8192;   ///< of a step: small, so that threads end together
inline constexpr std::size_t resting_run = 256;  ///< elements that rest or move together
inline std::size_t resting_runs(std::size_t n) { return (n + resting_run - 1) / resting_run; }
inline std::size_t tiles_of(std::size_t n) { return (n + elements_per_tile - 1) / elements_per_tile; }
inline std::size_t step_tiles_of(std::size_t n) { return (n + elements_per_step - 1) / elements_per_step; }

}  // namespace hocket::kernels::optimizer_step

#define HOCKET_SIMD_BODY <hocket/kernels/optimizer_step/cpu_body.inl>
#include <hocket/core/simd_each.hpp>

namespace hocket::kernels::optimizer_step {

namespace detail {

template <Real T>
void adam_run(const adam_constants<T>& c, std::size_t n, T* p, T* g, T* m, T* v, bool clear) noexcept {
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512: return avx512::adam<T>(c, n, p, g, m, v, clear);
    case isa::avx2: return avx2::adam<T>(c, n, p, g, m, v, clear);
#endif
    default: return baseline::adam<T>(c, n, p, g, m, v, clear);
  }
}
template <Real T>
void adam_of_resting_run(const adam_constants<T>& c, std::size_t n, T* p, T* g, T* m, T* v, bool clear,
                         std::uint8_t* resting) noexcept {
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512: return avx512::adam_of_resting<T>(c, n, p, g, m, v, clear, resting);
    case isa::avx2: return avx2::adam_of_resting<T>(c, n, p, g, m, v, clear, resting);
#endif
    default: return baseline::adam_of_resting<T>(c, n, p, g, m, v, clear, resting);
  }
}
template <Real T>
void sgd_run(const sgd_constants<T>& c, std::size_t n, T* p, T* g, T* buffer, bool clear) noexcept {
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512: return avx512::sgd<T>(c, n, p, g, buffer, clear);
    case isa::avx2: return avx2::sgd<T>(c, n, p, g, buffer, clear);
#endif
    default: return baseline::sgd<T>(c, n, p, g, buffer, clear);
  }
}
template <Real T>
double squares_run(std::size_t n, const T* g) noexcept {
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512: return avx512::squares<T>(n, g);
    case isa::avx2: return avx2::squares<T>(n, g);
#endif
    default: return baseline::squares<T>(n, g);
  }
}

}  // namespace detail

/// p, m, v (n) updated from g (n); g becomes 0 where `clear`.
template <Real T>
void adam(const cpu& device, const adam_settings& s, std::size_t n, T* p, T* g, T* m, T* v, bool clear) noexcept {
  const adam_constants<T> c = constants_of<T>(s);
  for_each_tile(device, step_tiles_of(n), [&](std::size_t tile, std::size_t) {
    const std::size_t first = tile * elements_per_step;
    detail::adam_run(c, std::min(elements_per_step, n - first), p + first, g + first, m + first, v + first, clear);
  });
}

/// The same bits with less memory traffic where gradients are often zero: resting (resting_runs(n)) tells of each run
/// of elements whether its moments are known to be zero, and is kept up to date; 0 is always right. Without coupled
/// decay, and eps > 0.
template <Real T>
void adam(const cpu& device, const adam_settings& s, std::size_t n, T* p, T* g, T* m, T* v, bool clear,
          std::uint8_t* resting) noexcept {
  static_assert(elements_per_step % resting_run == 0);
  const adam_constants<T> c = constants_of<T>(s);
  for_each_tile(
      device, step_tiles_of(n),
      [&](std::size_t tile, std::size_t) {
        const std::size_t first = tile * elements_per_step;
        detail::adam_of_resting_run(c, std::min(elements_per_step, n - first), p + first, g + first, m + first,
                                    v + first, clear, resting + first / resting_run);
      },
      true);
}

/// p and buffer (n; null without momentum) updated from g (n); g becomes 0 where `clear`.
template <Real T>
void sgd(const cpu& device, const sgd_settings& s, std::size_t n, T* p, T* g, T* buffer, bool clear) noexcept {
  const sgd_constants<T> c = constants_of<T>(s);
  for_each_tile(device, step_tiles_of(n), [&](std::size_t tile, std::size_t) {
    const std::size_t first = tile * elements_per_step;
    detail::sgd_run(c, std::min(elements_per_step, n - first), p + first, g + first, buffer ? buffer + first : nullptr,
                    clear);
  });
}

/// Sum of squares of g (n), in f64; `work` holds tiles_of(n) numbers.
template <Real T>
double squares(const cpu& device, std::size_t n, const T* g, double* work) noexcept {
  for_each_tile(device, tiles_of(n), [&](std::size_t tile, std::size_t) {
    const std::size_t first = tile * elements_per_tile;
    work[tile] = detail::squares_run(std::min(elements_per_tile, n - first), g + first);
  });
  double sum = 0;
  for (std::size_t tile = 0; tile < tiles_of(n); ++tile) sum += work[tile];
  return sum;
}

}  // namespace hocket::kernels::optimizer_step

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in instances.cpp
#define HOCKET_INSTANCE extern template
#include <hocket/kernels/optimizer_step/instances.inl>
#undef HOCKET_INSTANCE
#endif
