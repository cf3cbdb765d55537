// Softmax over rows on the CPU, forward and backward, f32 and f64.
//
// Ladder (one AVX-512 core, f32; time over reference.hpp's own in f32, see bench/softmax.cpp)
//   1  three passes over a row in registers: maximum, exponentials and their sum, scale. A row of a transformer stays
//   in
//      the first cache, so that only the first pass reads memory.
//   -  the online rule in one pass (as cuda.cuh): a second exponential for every register, more than the pass it saves.
//
// Views are taken as they are: (rows, columns), the columns next to each other, rows any stride apart. noexcept, no
// allocation; a row's bits do not depend on the number of threads. A row without a finite largest entry, or with a NaN,
// is NaN, as in PyTorch.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <hocket/core/config.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/parallel.hpp>
#include <hocket/core/simd.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/softmax/shape.hpp>

#define HOCKET_SIMD_BODY <hocket/kernels/softmax/cpu_body.inl>
#include <hocket/core/simd_each.hpp>

namespace hocket::kernels::softmax {

namespace detail {

/// Rows that one worker takes at once: enough elements to be worth handing out.
inline std::size_t tile_rows(std::size_t columns) {
  return std::max<std::size_t>(1, 8192 / std::max<std::size_t>(columns, 1));
}

template <Real T>
void forward_rows(std::size_t rows, std::size_t columns, const T* x, std::size_t ldx, T* y, std::size_t ldy) noexcept {
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512: return avx512::forward_rows<T>(rows, columns, x, ldx, y, ldy);
    case isa::avx2: return avx2::forward_rows<T>(rows, columns, x, ldx, y, ldy);
#endif
    default: return baseline::forward_rows<T>(rows, columns, x, ldx, y, ldy);
  }
}

template <Real T>
void backward_rows(std::size_t rows, std::size_t columns, const T* y, std::size_t ldy, const T* dy, std::size_t lddy,
                   T* dx, std::size_t lddx) noexcept {
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512: return avx512::backward_rows<T>(rows, columns, y, ldy, dy, lddy, dx, lddx);
    case isa::avx2: return avx2::backward_rows<T>(rows, columns, y, ldy, dy, lddy, dx, lddx);
#endif
    default: return baseline::backward_rows<T>(rows, columns, y, ldy, dy, lddy, dx, lddx);
  }
}

}  // namespace detail

/// y = softmax over the columns of x, both (rows, columns); y may be x.
template <Real T>
void forward(const view<const T, 2>& x, const view<T, 2>& y, const cpu& device = {}) noexcept {
  const std::size_t rows = x.extent(0), columns = x.extent(1), tile = detail::tile_rows(columns);
  for_each_tile(device, (rows + tile - 1) / tile, [&](std::size_t t, std::size_t) {
    const std::size_t first = t * tile;
    detail::forward_rows(std::min(tile, rows - first), columns, x.data() + first * x.stride(0), x.stride(0),
                         y.data() + first * y.stride(0), y.stride(0));
  });
}

/// dx from y = softmax(x) and dy, all (rows, columns); dx may be dy.
template <Real T>
void backward(const view<const T, 2>& y, const view<const T, 2>& dy, const view<T, 2>& dx,
              const cpu& device = {}) noexcept {
  const std::size_t rows = y.extent(0), columns = y.extent(1), tile = detail::tile_rows(columns);
  for_each_tile(device, (rows + tile - 1) / tile, [&](std::size_t t, std::size_t) {
    const std::size_t first = t * tile;
    detail::backward_rows(std::min(tile, rows - first), columns, y.data() + first * y.stride(0), y.stride(0),
                          dy.data() + first * dy.stride(0), dy.stride(0), dx.data() + first * dx.stride(0),
                          dx.stride(0));
  });
}

}  // namespace hocket::kernels::softmax

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in instances.cpp
#define HOCKET_INSTANCE extern template
#include <hocket/kernels/softmax/instances.inl>
#undef HOCKET_INSTANCE
#endif
