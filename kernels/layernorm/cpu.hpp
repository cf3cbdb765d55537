// Layer norm and RMS norm over rows on the CPU, forward and backward, f32 and f64.
//
// Ladder (one AVX-512 core)
//   1  a row in registers: mean, then the variance about that mean (the one-pass sum of squares loses all digits when
//      the mean is large), then the output; the row stays in the first cache between the passes.
//   2  gradients of gain and bias summed in the same visit as dx, over tiles of 64 rows, and the tiles then in order: x
//      and dy are read from memory once.
//
// Views are taken as they are: (rows, columns), the columns next to each other, rows any stride apart. noexcept, no
// allocation; the same bits for any number of threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include <hocket/core/config.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/parallel.hpp>
#include <hocket/core/simd.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/layernorm/shape.hpp>

namespace hocket::kernels::layernorm {

/// Rows of a tile: the unit of work, and of the column sums.
inline constexpr std::size_t rows_per_tile = 64;

inline std::size_t tiles_of(std::size_t rows) { return (rows + rows_per_tile - 1) / rows_per_tile; }

/// Elements of workspace that `backward` needs: sums of gain and bias for every tile.
inline std::size_t workspace_size(const shape& s) { return 2 * tiles_of(s.rows) * s.columns; }

/// What the forward pass keeps for the backward pass: (rows) each; RMS norm has no mean.
template <Real T>
struct kept {
  view<T, 1> mean, inverse_sd;
};

/// Rows of x (rows, columns), `ldx` elements apart, and the gain (columns): what a tile is made from.
template <class T>
struct rows_of {
  std::size_t rows, columns;
  const T* x;
  std::size_t ldx;
  const T* gain;
};

}  // namespace hocket::kernels::layernorm

#define HOCKET_SIMD_BODY <hocket/kernels/layernorm/cpu_body.inl>
#include <hocket/core/simd_each.hpp>

namespace hocket::kernels::layernorm {

namespace detail {

template <bool Centred, Real T>
void forward_rows(const rows_of<T>& in, const T* bias, T eps, T* y, std::size_t ldy, T* mean, T* inverse_sd) noexcept {
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512: return avx512::forward_rows<Centred>(in, bias, eps, y, ldy, mean, inverse_sd);
    case isa::avx2: return avx2::forward_rows<Centred>(in, bias, eps, y, ldy, mean, inverse_sd);
#endif
    default: return baseline::forward_rows<Centred>(in, bias, eps, y, ldy, mean, inverse_sd);
  }
}

template <bool Centred, Real T>
void backward_rows(const rows_of<T>& in, const T* dy, std::size_t lddy, const T* mean, const T* inverse_sd, T* dx,
                   std::size_t lddx, T* gain, T* bias) noexcept {
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512: return avx512::backward_rows<Centred>(in, dy, lddy, mean, inverse_sd, dx, lddx, gain, bias);
    case isa::avx2: return avx2::backward_rows<Centred>(in, dy, lddy, mean, inverse_sd, dx, lddx, gain, bias);
#endif
    default: return baseline::backward_rows<Centred>(in, dy, lddy, mean, inverse_sd, dx, lddx, gain, bias);
  }
}

template <class T>
rows_of<T> tile_of(const view<const T, 2>& x, const view<const T, 1>& gain, std::size_t tile) {
  const std::size_t first = tile * rows_per_tile;
  return {std::min(rows_per_tile, x.extent(0) - first), x.extent(1), x.data() + first * x.stride(0), x.stride(0),
          gain.data()};
}

}  // namespace detail

/// Layer norm of `in` on the calling thread: y, and what the backward pass needs (rows each).
template <Real T>
void forward_rows(const rows_of<T>& in, const T* bias, T eps, T* y, std::size_t ldy, T* mean, T* inverse_sd) noexcept {
  detail::forward_rows<true, T>(in, bias, eps, y, ldy, mean, inverse_sd);
}
/// dx, and into gain and bias (columns each) the sums of their gradients over these rows are added.
template <Real T>
void backward_rows(const rows_of<T>& in, const T* dy, std::size_t lddy, const T* mean, const T* inverse_sd, T* dx,
                   std::size_t lddx, T* gain, T* bias) noexcept {
  detail::backward_rows<true, T>(in, dy, lddy, mean, inverse_sd, dx, lddx, gain, bias);
}

/// y (rows, columns) from x; gain and bias (columns); bias is not read by RMS norm. y may be x.
template <Real T>
void forward(norm kind, const view<const T, 2>& x, const view<const T, 1>& gain, const view<const T, 1>& bias, T eps,
             const view<T, 2>& y, const kept<T>& keep, const cpu& device = {}) noexcept {
  for_each_tile(device, tiles_of(x.extent(0)), [&](std::size_t tile, std::size_t) {
    const std::size_t first = tile * rows_per_tile;
    const auto in = detail::tile_of(x, gain, tile);
    T* const out = y.data() + first * y.stride(0);
    if (kind == norm::layer)
      detail::forward_rows<true, T>(in, bias.data(), eps, out, y.stride(0), keep.mean.data() + first,
                                    keep.inverse_sd.data() + first);
    else
      detail::forward_rows<false, T>(in, nullptr, eps, out, y.stride(0), nullptr, keep.inverse_sd.data() + first);
  });
}

/// dx (rows, columns), dgain and dbias (columns) from what the forward pass read and kept; `work` holds
/// workspace_size() elements. dbias is not written by RMS norm. dx may be dy.
template <Real T>
void backward(norm kind, const view<const T, 2>& x, const view<const T, 1>& gain, const view<const T, 2>& dy,
              const kept<T>& keep, const view<T, 2>& dx, const view<T, 1>& dgain, const view<T, 1>& dbias, T* work,
              const cpu& device = {}) noexcept {
  const std::size_t columns = x.extent(1), tiles = tiles_of(x.extent(0));
  const bool layer = kind == norm::layer;
  for_each_tile(device, tiles, [&](std::size_t tile, std::size_t) {
    const std::size_t first = tile * rows_per_tile;
    const auto in = detail::tile_of(x, gain, tile);
    T* const sums = work + 2 * tile * columns;  // gain, then bias
    std::fill_n(sums, 2 * columns, T{0});
    const T* const from = dy.data() + first * dy.stride(0);
    T* const out = dx.data() + first * dx.stride(0);
    if (layer)
      detail::backward_rows<true, T>(in, from, dy.stride(0), keep.mean.data() + first, keep.inverse_sd.data() + first,
                                     out, dx.stride(0), sums, sums + columns);
    else
      detail::backward_rows<false, T>(in, from, dy.stride(0), nullptr, keep.inverse_sd.data() + first, out,
                                      dx.stride(0), sums, nullptr);
  });
  std::fill_n(dgain.data(), columns, T{0});
  if (layer) std::fill_n(dbias.data(), columns, T{0});
  for (std::size_t tile = 0; tile < tiles; ++tile) {
    const T* const sums = work + 2 * tile * columns;
    for (std::size_t c = 0; c < columns; ++c) dgain.data()[c] += sums[c];
    if (layer)
      for (std::size_t c = 0; c < columns; ++c) dbias.data()[c] += sums[columns + c];
  }
}

}  // namespace hocket::kernels::layernorm

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in instances.cpp
#define HOCKET_INSTANCE extern template
#include <hocket/kernels/layernorm/instances.inl>
#undef HOCKET_INSTANCE
#endif
