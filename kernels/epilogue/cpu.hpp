// Bias, activation, dropout and residual on the CPU, forward and backward, f32 and f64.
//
// Ladder
//   1  one pass over a tile that the product has just written, instead of one pass each; masks are made anew in the
//      backward pass from their counters (docs/tape.md), so none is stored.
//   2  GELU's slope kept instead of what went in (`slopes`): its exponentials are there already, and the backward pass
//      only multiplies. Of a LoRA step of MiniLM in bf16 the two passes took 11.5 %, then 9.5 %.
//   3  what is kept in bf16 written past the caches, a line of two registers at a time     another 2 % of that step
//
// Phi of GELU in f32: for a = |x|, Phi(-a) = exp(-a^2 / 2) g(1 / (1 + 0.27 a)), g a polynomial of degree 9 fitted here
// by reweighted least squares to 1.7e-8 relative on a <= 13.5; the same exponential serves the density in the
// derivative. In f64 erfc and exp of the standard library, lane by lane.
//
// noexcept, no allocation; an element's bits depend on its values and its place only, a column sum's on tiles of 64
// rows.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <hocket/core/amx.hpp>
#include <hocket/core/config.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/half.hpp>
#include <hocket/core/parallel.hpp>
#include <hocket/core/simd.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/epilogue/shape.hpp>

namespace hocket::kernels::epilogue {

inline constexpr std::size_t rows_per_tile = 64;
inline std::size_t tiles_of(std::size_t rows) { return (rows + rows_per_tile - 1) / rows_per_tile; }

/// Rows of one pass. Pointers to what is absent are null; u is written by the forward pass and read by the backward
/// pass, y and u may be x where S is T. S, the type that outputs are kept in, is T or, for f32, bf16.
///
/// Masks are made by first_row, the row's number in the whole matrix, if these columns are all it has; for some of its
/// columns they are given: -1 where an element stays and 0 where it does not (keep_groups).
template <Real T, class S = T>
struct forward_rows_of {
  std::size_t rows, columns, first_row;
  const T* x;
  std::size_t ldx;
  const T* bias;
  const T* residual;
  std::size_t ldresidual;
  S* u;
  std::size_t ldu;
  S* y;
  std::size_t ldy;
  const std::int32_t* keep = nullptr;
  std::size_t ldkeep = 0;
  bool far = false;     ///< u is not read soon: it may be written past the caches
  bool slopes = false;  ///< u becomes act'(x + bias) where that is curved: the backward pass only multiplies with it

  /// What lies `row` rows further down and `column` columns further right; masks stay where they are.
  HOCKET_ALWAYS_INLINE forward_rows_of from(std::size_t row, std::size_t column) const {
    forward_rows_of rest = *this;
    rest.rows -= row;
    rest.first_row += row;
    rest.x += row * ldx + column;
    if (bias) rest.bias += column;
    if (residual) rest.residual += row * ldresidual + column;
    if (u) rest.u += row * ldu + column;
    rest.y += row * ldy + column;
    return rest;
  }
};
template <Real T, class S = T>
struct backward_rows_of {
  std::size_t rows, columns, first_row;
  const S* dy;
  std::size_t lddy;
  const S* u;  ///< null without an activation
  std::size_t ldu;
  T* du;  ///< may be dy where S is T
  std::size_t lddu;
  T* sums;  ///< (columns), added to; may be null
  const std::int32_t* keep = nullptr;
  std::size_t ldkeep = 0;
  bool slopes = false;  ///< u was written with `slopes`

  /// As above.
  HOCKET_ALWAYS_INLINE backward_rows_of from(std::size_t row, std::size_t column) const {
    backward_rows_of rest = *this;
    rest.rows -= row;
    rest.first_row += row;
    rest.dy += row * lddy + column;
    if (u) rest.u += row * ldu + column;
    rest.du += row * lddu + column;
    if (sums) rest.sums += column;
    return rest;
  }
};

}  // namespace hocket::kernels::epilogue

#define HOCKET_SIMD_BODY <hocket/kernels/epilogue/cpu_body.inl>
#include <hocket/core/simd_each.hpp>

namespace hocket::kernels::epilogue {

/// On the calling thread.
template <Real T, class S = T>
void forward_rows(activation act, const dropout& drop, const forward_rows_of<T, S>& in) noexcept {
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512: return avx512::forward_rows<T, S>(act, drop, in);
    case isa::avx2: return avx2::forward_rows<T, S>(act, drop, in);
#endif
    default: return baseline::forward_rows<T, S>(act, drop, in);
  }
}
template <Real T, class S = T>
void backward_rows(activation act, const dropout& drop, const backward_rows_of<T, S>& in) noexcept {
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512: return avx512::backward_rows<T, S>(act, drop, in);
    case isa::avx2: return avx2::backward_rows<T, S>(act, drop, in);
#endif
    default: return baseline::backward_rows<T, S>(act, drop, in);
  }
}
/// The masks of group `group` of `rows` rows from first_row on, of a matrix with `columns` columns: keep (rows, 64).
inline void keep_groups(const dropout& drop, std::size_t columns, std::size_t first_row, std::size_t rows,
                        std::size_t group, std::int32_t* keep) noexcept {
  const std::size_t groups = groups_of(columns);
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512: return avx512::keep_groups(drop, first_row * groups + group, groups, rows, keep);
    case isa::avx2: return avx2::keep_groups(drop, first_row * groups + group, groups, rows, keep);
#endif
    default: return baseline::keep_groups(drop, first_row * groups + group, groups, rows, keep);
  }
}

/// Rows of bf16 to f32.
inline void widen_rows(std::size_t rows, std::size_t columns, const bf16* x, std::size_t ldx, float* y,
                       std::size_t ldy) noexcept {
  backward_rows<float, bf16>(activation::none, {}, {rows, columns, 0, x, ldx, nullptr, 0, y, ldy, nullptr});
}

/// y = residual + keep(act(x + bias)); bias (columns), residual (rows, columns) and u may be empty.
template <Real T>
void forward(const cpu& device, const view<const T, 2>& x, const view<const T, 1>& bias,
             const view<const T, 2>& residual, const view<T, 2>& y, activation act = activation::none,
             const dropout& drop = {}, const view<T, 2>& u = {}) noexcept {
  const std::size_t rows = x.extent(0);
  for_each_tile(device, tiles_of(rows), [&](std::size_t tile, std::size_t) {
    const std::size_t first = tile * rows_per_tile;
    const auto at = [&](const auto& m) { return m.data() ? m.data() + first * m.stride(0) : nullptr; };
    forward_rows<T>(act, drop,
                    {std::min(rows_per_tile, rows - first), x.extent(1), first, at(x), x.stride(0), bias.data(),
                     at(residual), residual.stride(0), at(u), u.stride(0), at(y), y.stride(0)});
  });
}

/// Elements of workspace of `backward` where dbias is wanted.
inline std::size_t workspace_size(std::size_t rows, std::size_t columns) { return tiles_of(rows) * columns; }

/// du from dy and u (empty without an activation), and dbias (columns) += or = the sum of du's rows, in order of tiles;
/// dbias may be empty. du may be dy.
template <Real T>
void backward(const cpu& device, const view<const T, 2>& dy, const view<const T, 2>& u, const view<T, 2>& du,
              const view<T, 1>& dbias, bool add_to_dbias, T* work, activation act = activation::none,
              const dropout& drop = {}) noexcept {
  const std::size_t rows = dy.extent(0), columns = dy.extent(1), tiles = tiles_of(rows);
  for_each_tile(device, tiles, [&](std::size_t tile, std::size_t) {
    const std::size_t first = tile * rows_per_tile;
    T* const sums = dbias.data() ? work + tile * columns : nullptr;
    if (sums) std::fill_n(sums, columns, T{0});
    backward_rows<T>(act, drop,
                     {std::min(rows_per_tile, rows - first), columns, first, dy.data() + first * dy.stride(0),
                      dy.stride(0), u.data() ? u.data() + first * u.stride(0) : nullptr, u.stride(0),
                      du.data() + first * du.stride(0), du.stride(0), sums});
  });
  if (!dbias.data()) return;
  if (!add_to_dbias) std::fill_n(dbias.data(), columns, T{0});
  for (std::size_t tile = 0; tile < tiles; ++tile)
    for (std::size_t c = 0; c < columns; ++c) dbias.data()[c] += work[tile * columns + c];
}

}  // namespace hocket::kernels::epilogue

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in instances.cpp
#define HOCKET_INSTANCE extern template
#include <hocket/kernels/epilogue/instances.inl>
#undef HOCKET_INSTANCE
#endif
