// The narrow products of a low-rank term (shape.hpp) on AMX (core/amx_tiles.hpp), u and dA here, dx in amx_back.hpp:
// operands that are not bf16 are rounded to it on their way, as autocast does; sums are f32.
//
// Ladder (256 x 384 of f32 on one core, microseconds for two adapters of rank 8 without dropout: u, dA, dx; in f32 by
// registers 28, 20, 25)
//   1  a tile of x packed and multiplied, then the next one                          17, 25, 39
//   2  rows of sums and masks in loops that the compiler knows                       17, 22, 29
//   3  two adapters that do not drop in one product; u by 64 rows                     8, 12, 14
//   4  pairs of rows by unpacking, columns put in order in the sums; sums over all rows stay in the tiles; strips of
//      4 KiB, packed one ahead of the products (of 16 KiB 9)                          8,  8, 14
// With dropout, where each adapter has a product, 4 takes 16, 18 and 19. A LoRA step of MiniLM in bf16 on two threads
// takes 1.5 to 2 % less with 4. What is left is x and dx on their way from the second cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include <hocket/core/amx_tiles.hpp>
#include <hocket/core/half.hpp>
#include <hocket/kernels/low_rank/cpu_bodies.hpp>
#include <hocket/kernels/low_rank/shape.hpp>

#if HOCKET_HAS_AMX

namespace hocket::kernels::low_rank::amx {

#include <hocket/core/amx_lanes.inl>

// What a tile is loaded from or stored to takes its way through the first cache: it is touched some hundred cycles
// later, behind the packing or the products of what comes next.

HOCKET_AMX_BEGIN

/// Up to 16 elements, zeros behind.
HOCKET_ALWAYS_INLINE lanes_f32 some_of(const float* from, std::size_t count) {
  return reinterpret_cast<lanes_f32>(
      _mm512_maskz_loadu_ps(static_cast<__mmask16>(first_of(std::min(count, tile_rows))), from));
}
/// Up to 32 elements, rounded.
HOCKET_ALWAYS_INLINE __m512i rounded_row(const float* from, std::size_t count) {
  return joined(some_of(from, count), some_of(from + 16, count > 16 ? count - 16 : 0));
}
/// Which of 32 (16) elements of a row stay, from column c on.
template <class Mask>
HOCKET_ALWAYS_INLINE Mask stay_of(const std::byte* row, std::size_t c) {
  Mask bits;
  std::memcpy(&bits, row + c / 8, sizeof bits);
  return bits;
}
HOCKET_ALWAYS_INLINE __m512i all_of(const bf16* from) { return _mm512_loadu_si512(from); }
HOCKET_ALWAYS_INLINE __m512i all_of(const float* from) { return joined(avx512::load(from), avx512::load(from + 16)); }
/// Those of 32 elements that `which` says, rounded, zeros elsewhere; nothing else is read.
HOCKET_ALWAYS_INLINE __m512i chosen_of(const bf16* from, __mmask32 which) {
  return _mm512_maskz_loadu_epi16(which, from);
}
HOCKET_ALWAYS_INLINE __m512i chosen_of(const float* from, __mmask32 which) {
  return joined(reinterpret_cast<lanes_f32>(_mm512_maskz_loadu_ps(static_cast<__mmask16>(which), from)),
                reinterpret_cast<lanes_f32>(_mm512_maskz_loadu_ps(static_cast<__mmask16>(which >> 16), from + 16)));
}

/// 32 columns of a row of keep(x), without its scale, of which `valid` exist; bits: null if all stay.
template <class X>
HOCKET_ALWAYS_INLINE __m512i kept_of(const X* x, const std::byte* bits, std::size_t column, __mmask32 valid) {
  return chosen_of(x, bits ? stay_of<__mmask32>(bits, column) & valid : valid);
}

// u = keep(x) A' -----------------------------------------------------------------------------------------------------

/// Rows of x side by side, 32 of its columns that are packed at a time, and those whose A is.
inline constexpr std::size_t band_rows = 64, packed_steps = 4, line_steps = 16;

/// A' as a right operand (columns, 16): `lines` are its columns, from element c on.
inline void pack_lines(std::span<const float* const> lines, std::size_t c, std::size_t columns,
                       std::byte* to) noexcept {
  for (std::size_t i = 0; i < columns; i += tile_depth, to += tile_bytes) {
    __m512i square[16];
    for (std::size_t j = 0; j < 16; ++j)
      square[j] = j < lines.size() ? rounded_row(lines[j] + c + i, columns - i) : __m512i{};
    turn(square);
    for (std::size_t p = 0; p < 16; ++p) _mm512_store_si512(to + p * row_bytes, square[p]);
  }
}
/// keep(x) without its scale as a left operand (64, columns), zeros past rows and columns.
template <bool Masked, class X>
void pack_kept(std::size_t rows, std::size_t columns, const X* x, std::size_t ldx, const kept_elements& keep,
               std::size_t column, std::byte* to) noexcept {
  constexpr std::size_t step = band_rows * row_bytes;
  const std::byte* bits = keep.bits;
  for (std::size_t i = 0; i < band_rows; ++i, x += ldx, bits += keep.apart, to += row_bytes) {
    std::byte* out = to;
    std::size_t c = 0;
    for (; i < rows && c + tile_depth <= columns; c += tile_depth, out += step)
      _mm512_store_si512(out, Masked ? chosen_of(x + c, stay_of<__mmask32>(bits, column + c)) : all_of(x + c));
    for (; c < columns; c += tile_depth, out += step)
      _mm512_store_si512(out, i < rows ? kept_of(x + c, bits, column + c, first_of(columns - c)) : __m512i{});
  }
}
/// Tiles 0 to 3 += four tiles of a left operand below each other, `down` bytes apart, times one of a right one, step by
/// step.
HOCKET_ALWAYS_INLINE void add_column(std::size_t steps, const void* left, std::size_t row, std::size_t down,
                                     std::size_t next, const std::byte* right) {
  const auto* a = static_cast<const std::byte*>(left);
  for (std::size_t s = 0; s < steps; ++s, a += next, right += tile_bytes) {
    _tile_loadd(7, right, row_bytes);
    _tile_loadd(4, a, row);
    _tile_dpbf16ps(0, 4, 7);
    _tile_loadd(5, a + down, row);
    _tile_dpbf16ps(1, 5, 7);
    _tile_loadd(6, a + 2 * down, row);
    _tile_dpbf16ps(2, 6, 7);
    _tile_loadd(4, a + 3 * down, row);
    _tile_dpbf16ps(3, 4, 7);
  }
}
HOCKET_ALWAYS_INLINE void zero_sums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}
/// Tiles 0 and 1 `across` elements apart, 2 and 3 `down` elements behind them, rows of `row` bytes.
HOCKET_ALWAYS_INLINE void store_sums(float* to, std::size_t row, std::size_t across, std::size_t down) {
  _tile_stored(0, to, row);
  _tile_stored(1, to + across, row);
  _tile_stored(2, to + down, row);
  _tile_stored(3, to + down + across, row);
}
/// Those of 16 elements that `which` says = or += scale x.
HOCKET_ALWAYS_INLINE void put_scaled(__m512 x, __m512 scale, bool add, __mmask16 which, float* to) {
  _mm512_mask_storeu_ps(to, which,
                        add ? _mm512_fmadd_ps(x, scale, _mm512_maskz_loadu_ps(which, to)) : _mm512_mul_ps(x, scale));
}

template <class X>
void project(std::size_t rows, std::size_t in, const X* x, std::size_t ldx, const kept_elements& keep,
             std::span<const float* const> lines, float* u, std::size_t ldu) noexcept {
  constexpr std::size_t width = line_steps * tile_depth, piece = packed_steps * tile_depth;
  const amx_tiles configured;
  alignas(64) std::byte left[band_rows / tile_rows * packed_steps * tile_bytes], right[line_steps * tile_bytes];
  alignas(64) float sums[band_rows * 16];
  const __m512 scale = _mm512_set1_ps(static_cast<float>(keep.scale));
  for (std::size_t j = 0; j < lines.size(); j += 16)
    for (std::size_t c0 = 0; c0 < in; c0 += width) {
      const std::size_t columns = std::min(width, in - c0), ranks = std::min<std::size_t>(16, lines.size() - j);
      pack_lines(lines.subspan(j, ranks), c0, columns, right);
      for (std::size_t r = 0; r < rows; r += band_rows) {
        const std::size_t here = std::min(band_rows, rows - r);
        const X* const from = x + r * ldx + c0;
        zero_sums();
        if (std::is_same_v<X, bf16> && !keep.bits && here == band_rows && columns % tile_depth == 0) {
          add_column(columns / tile_depth, from, ldx * sizeof(X), tile_rows * ldx * sizeof(X), tile_depth * sizeof(X),
                     right);
        } else {
          for (std::size_t c = 0; c < columns; c += piece) {
            const std::size_t some = std::min(piece, columns - c);
            const kept_elements rest = from_row(keep, r);
            keep.bits ? pack_kept<true>(here, some, from + c, ldx, rest, c0 + c, left)
                      : pack_kept<false>(here, some, from + c, ldx, rest, c0 + c, left);
            add_column((some + tile_depth - 1) / tile_depth, left, row_bytes, tile_bytes, 4 * tile_bytes,
                       right + c / tile_depth * tile_bytes);
          }
        }
        store_sums(sums, row_bytes, tile_rows * 16, 2 * tile_rows * 16);
        const auto live = static_cast<__mmask16>(first_of(ranks));
        for (std::size_t i = 0; i < here; ++i)
          put_scaled(_mm512_load_ps(sums + i * 16), scale, c0 > 0, live, u + (r + i) * ldu + j);
      }
    }
}

// C += A' keep(B) ----------------------------------------------------------------------------------------------------

/// Steps of 32 rows whose A is packed at a time; those of B are one by one.
inline constexpr std::size_t narrow_steps = 12;

/// The transpose of A (rows, columns <= 16) as a left operand (16, rows), zeros past rows and columns.
inline void pack_narrow(std::size_t rows, std::size_t columns, const float* a, std::size_t lda,
                        std::byte* to) noexcept {
  const auto row = [&](std::size_t r) { return r < rows ? some_of(a + r * lda, columns) : lanes_f32{}; };
  for (std::size_t r = 0; r < rows; r += tile_depth, to += tile_bytes) {
    __m512i square[16];
    for (std::size_t p = 0; p < 16; ++p) square[p] = interleaved(row(r + 2 * p), row(r + 2 * p + 1));
    turn(square);
    for (std::size_t p = 0; p < 16; ++p) _mm512_store_si512(to + p * row_bytes, square[p]);
  }
}
/// Columns [low, end) of B, counted from `first` on, a multiple of 32.
struct column_range {
  std::size_t first, low, end;

  /// Which of 32 columns, `at` behind the first one, belong to it.
  __mmask32 valid(std::size_t at) const {
    return at < end
               ? first_of(std::min(end - at, tile_depth)) & ~first_of(low > at ? std::min(low - at, tile_depth) : 0)
               : 0;
  }
};
/// `Strips` strips of 32 columns of keep(B), without its scale, as a right operand (32, columns): two tiles a strip,
/// zeros past rows and columns. Of every eight columns the first tile has four, the second one the others: in this
/// order a pair of rows costs an instruction a tile.
template <std::size_t Strips, bool Masked, class X>
void pack_strips(std::size_t rows, const tiled_matrix<X>& b, std::size_t first_row, const column_range& range,
                 const kept_elements& keep, std::byte* to) noexcept {
  const std::byte* bits = keep.bits + first_row * keep.apart;
  const __mmask32 last = range.valid((Strips - 1) * tile_depth);
  const bool whole = range.low == 0 && last == static_cast<__mmask32>(-1);
  for (std::size_t r = 0; r < tile_depth; r += 2, bits += 2 * keep.apart) {
    std::byte* out = to + r / 2 * row_bytes;
    const X* x = b.columns(first_row + r, range.first / tile_depth);
#pragma GCC unroll 2
    for (std::size_t s = 0; s < Strips; ++s, out += 2 * tile_bytes, x += b.strip) {
      const std::size_t column = range.first + s * tile_depth;
      __m512i one{}, two{};
      if (whole && r + 2 <= rows) {
        one = Masked ? chosen_of(x, stay_of<__mmask32>(bits, column)) : all_of(x);
        two = Masked ? chosen_of(x + b.row, stay_of<__mmask32>(bits + keep.apart, column)) : all_of(x + b.row);
      } else if (r < rows) {
        const __mmask32 valid = range.valid(s * tile_depth);
        if (valid) one = kept_of(x, Masked ? bits : nullptr, column, valid);
        if (valid && r + 1 < rows) two = kept_of(x + b.row, Masked ? bits + keep.apart : nullptr, column, valid);
      }
      _mm512_store_si512(out, _mm512_unpacklo_epi16(one, two));
      _mm512_store_si512(out + tile_bytes, _mm512_unpackhi_epi16(one, two));
    }
  }
}
/// 32 columns in their order, from those of two tiles of such strips.
HOCKET_ALWAYS_INLINE void in_order(const float* from, __m512 (&to)[2]) {
  const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23),
                last = _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  const __m512 x = _mm512_load_ps(from), y = _mm512_load_ps(from + 16);
  to[0] = _mm512_permutex2var_ps(x, first, y);
  to[1] = _mm512_permutex2var_ps(x, last, y);
}
/// Tiles 0 to 3 += a tile of a left operand times four of a right one beside each other.
HOCKET_ALWAYS_INLINE void add_row(const std::byte* left, const std::byte* right) {
  _tile_loadd(4, left, row_bytes);
  _tile_loadd(5, right, row_bytes);
  _tile_dpbf16ps(0, 4, 5);
  _tile_loadd(6, right + tile_bytes, row_bytes);
  _tile_dpbf16ps(1, 4, 6);
  _tile_loadd(7, right + 2 * tile_bytes, row_bytes);
  _tile_dpbf16ps(2, 4, 7);
  _tile_loadd(5, right + 3 * tile_bytes, row_bytes);
  _tile_dpbf16ps(3, 4, 5);
}
/// The same of two tiles that lie `down` bytes apart, times two.
HOCKET_ALWAYS_INLINE void add_square(const std::byte* left, std::size_t down, const std::byte* right) {
  _tile_loadd(4, left, row_bytes);
  _tile_loadd(5, right, row_bytes);
  _tile_dpbf16ps(0, 4, 5);
  _tile_loadd(6, right + tile_bytes, row_bytes);
  _tile_dpbf16ps(1, 4, 6);
  _tile_loadd(7, left + down, row_bytes);
  _tile_dpbf16ps(2, 7, 5);
  _tile_dpbf16ps(3, 7, 6);
}

/// C (m, n) += what at most 384 rows give, m <= 16 for two strips at a time, m <= 32 for one.
template <std::size_t Strips, bool Masked, class X>
void add_rows(std::size_t rows, std::size_t m, const float* a, std::size_t lda, std::size_t first, std::size_t n,
              const tiled_matrix<X>& b, std::size_t first_row, const kept_elements& keep, float* c,
              std::size_t ldc) noexcept {
  constexpr std::size_t tiles_of_ranks = 2 / Strips, down = narrow_steps * tile_bytes, columns = Strips * tile_depth;
  alignas(64) std::byte left[tiles_of_ranks * down], right[2][2 * Strips * tile_bytes];
  alignas(64) float sums[2][16 * tiles_of_ranks][columns];
  for (std::size_t i = 0; i < tiles_of_ranks; ++i)
    pack_narrow(rows, m > 16 * i ? std::min<std::size_t>(16, m - 16 * i) : 0, a + 16 * i, lda, left + i * down);
  const std::size_t steps = (rows + tile_depth - 1) / tile_depth, begin = first / tile_depth * tile_depth,
                    groups = (first + n - begin + columns - 1) / columns;
  const auto range_of = [&](std::size_t group) {
    const std::size_t at = begin + group * columns;
    return column_range{at, first > at ? first - at : 0, std::min(columns, first + n - at)};
  };
  const auto pack = [&](std::size_t group, std::size_t i) {
    pack_strips<Strips, Masked>(std::min(tile_depth, rows - i * tile_depth), b, first_row + i * tile_depth,
                                range_of(group), keep, right[i % 2]);
  };
  const auto add = [&](std::size_t group) {
    const column_range range = range_of(group);
    const __m512 scale = _mm512_set1_ps(static_cast<float>(keep.scale));
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t s = 0; s < Strips; ++s) {
        __m512 sum[2];
        in_order(sums[group % 2][i] + s * tile_depth, sum);
        const __mmask32 valid = range.valid(s * tile_depth);
        for (std::size_t h = 0; h < 2; ++h) {
          const auto which = static_cast<__mmask16>(valid >> (16 * h));
          if (which)  // otherwise they may lie outside of C
            put_scaled(sum[h], scale, true, which,
                       c + i * ldc + static_cast<std::ptrdiff_t>(range.first + s * tile_depth + 16 * h) -
                           static_cast<std::ptrdiff_t>(first));
        }
      }
  };
  for (std::size_t group = 0; group < groups; ++group) {
    pack(group, 0);
    if (group > 0) add(group - 1);
    zero_sums();
    for (std::size_t i = 0; i < steps; ++i) {
      if (i + 1 < steps) pack(group, i + 1);
      if constexpr (Strips == 2)
        add_row(left + i * tile_bytes, right[i % 2]);
      else
        add_square(left + i * tile_bytes, down, right[i % 2]);
    }
    store_sums(sums[group % 2][0], columns * sizeof(float), 16, Strips == 2 ? 32 : 16 * columns);
  }
  if (groups > 0) add(groups - 1);
}
template <class X>
void add_outer(std::size_t rows, std::size_t m, const float* a, std::size_t lda, std::size_t first, std::size_t n,
               const tiled_matrix<X>& b, const kept_elements& keep, float* c, std::size_t ldc) noexcept {
  if (n == 0) return;
  const amx_tiles configured;
  for (std::size_t r = 0; r < rows; r += narrow_steps * tile_depth) {
    const std::size_t here = std::min(narrow_steps * tile_depth, rows - r);
    for (std::size_t i = 0; i < m; i += 32) {
      const std::size_t high = std::min<std::size_t>(32, m - i);
      const auto run = [&](auto strips, auto masked) {
        add_rows<strips(), masked()>(here, high, a + r * lda + i, lda, first, n, b, r, keep, c + i * ldc, ldc);
      };
      using std::integral_constant;
      constexpr integral_constant<std::size_t, 1> one;
      constexpr integral_constant<std::size_t, 2> two;
      if (high <= 16)
        keep.bits ? run(two, std::true_type{}) : run(two, std::false_type{});
      else
        keep.bits ? run(one, std::true_type{}) : run(one, std::false_type{});
    }
  }
}

HOCKET_AMX_END

}  // namespace hocket::kernels::low_rank::amx

#endif
