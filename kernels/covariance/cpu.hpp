// P^T P (d,d) of a tall P (n,d), panel after panel of at most panel_depth rows: products and sums in T within a panel,
// the panels' sums joined in f64. A panel lies in strips of strip_columns<T> columns, each (panel_depth,
// strip_columns<T>); what fills the last one past column d does not matter. The result lies in blocks of
// strip_columns<T> squared of its upper triangle.
//
// Ladder (20000 x 512 f32 with centring, two AVX-512 cores, 36.1 ms by oneDNN in squares of 128 x 128 x 240 that were
// added to a square f64 matrix):
//   1  this form, 25.1 ms, 1.44 x: data are centred into the strips themselves, sums go from registers to f64, and the
//      result stays in the second-level cache because only its triangle is kept.
//   2  asking for the result's lines while a tile is multiplied: 1.02 x. Asking for the strip's next lines too, or for
//      two lines at a time: nothing.
#pragma once

#include <algorithm>
#include <cstddef>

#include <hocket/core/config.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/simd.hpp>

namespace hocket::kernels::covariance {

inline constexpr std::size_t panel_depth = 240;  ///< longest sum that is rounded in T alone

/// Columns of a strip: two cache lines of T.
template <Real T>
inline constexpr std::size_t strip_columns = 128 / sizeof(T);
template <Real T>
constexpr std::size_t strips_of(std::size_t d) {
  return (d + strip_columns<T> - 1) / strip_columns<T>;
}
/// Elements of a panel of `strips` strips.
template <Real T>
constexpr std::size_t panel_size(std::size_t strips) {
  return strips * panel_depth * strip_columns<T>;
}
/// Which block of the result holds strip i's columns times strip j's, i <= j < strips.
constexpr std::size_t block_index(std::size_t i, std::size_t j, std::size_t strips) {
  return i * strips - i * (i + 1) / 2 + j;
}
/// Elements of a block, and of the result of d columns.
template <Real T>
inline constexpr std::size_t block_size = strip_columns<T>* strip_columns<T>;
template <Real T>
constexpr std::size_t result_size(std::size_t d) {
  return strips_of<T>(d) * (strips_of<T>(d) + 1) / 2 * block_size<T>;
}

}  // namespace hocket::kernels::covariance

#define HOCKET_SIMD_BODY <hocket/kernels/covariance/cpu_body.inl>
#include <hocket/core/simd_each.hpp>

namespace hocket::kernels::covariance {

/// Blocks (i, j) of the result, first <= i < last and i <= j < strips, = or, with `add`, += the products of `depth`
/// rows of a panel, whose strip 0 is strip `first` of the data.
template <Real T>
void add_panel(std::size_t depth, std::size_t first, std::size_t last, std::size_t strips, const T* panel, double* sums,
               bool add) noexcept {
  switch (best_isa()) {
#if defined(__x86_64__)
    case isa::avx512: return avx512::add_panel<T>(depth, first, last, strips, panel, sums, add);
    case isa::avx2: return avx2::add_panel<T>(depth, first, last, strips, panel, sums, add);
#endif
    default: return baseline::add_panel<T>(depth, first, last, strips, panel, sums, add);
  }
}

/// Block (i, j), i <= j, to where it belongs in out (d,d), and to its mirror image.
template <Real T>
void place(std::size_t i, std::size_t j, std::size_t d, const double* block, double* out) noexcept {
  constexpr std::size_t width = strip_columns<T>;
  const std::size_t row = i * width, column = j * width;
  const std::size_t rows = std::min(width, d - row), columns = std::min(width, d - column);
  for (std::size_t p = 0; p < rows; ++p) std::copy_n(block + p * width, columns, out + (row + p) * d + column);
  for (std::size_t q = 0; q < columns; ++q)
    for (std::size_t p = 0; p < rows; ++p)
      if (column + q > row + p) out[(column + q) * d + row + p] = block[p * width + q];
}

}  // namespace hocket::kernels::covariance

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in instances.cpp
#define HOCKET_INSTANCE extern template
#include <hocket/kernels/covariance/instances.inl>
#undef HOCKET_INSTANCE
#endif
