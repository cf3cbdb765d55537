// The gradient of x through low-rank terms, dx += keep(du A), on AMX (amx.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include <hocket/kernels/low_rank/amx.hpp>

#if HOCKET_HAS_AMX

namespace hocket::kernels::low_rank::amx {

HOCKET_AMX_BEGIN

/// Pieces of terms, 32 ranks of one each, that one pass over dx takes; columns that it takes at a time.
inline constexpr std::size_t pieces_at_once = 4, columns_at_once = 128;
inline constexpr std::size_t tiles_at_once = columns_at_once / 16;

/// Sums of 16 rows.
using band_sums = float[16][columns_at_once];

struct back_piece {
  const float* du;
  std::span<const float* const> lines;
  std::size_t sum;  ///< which of the sums it adds to
};

/// Rows of A, from column c on, as a right operand (32, columns_at_once), zeros past `columns`.
inline void pack_ranks(std::span<const float* const> lines, std::size_t c, std::size_t columns,
                       std::byte* to) noexcept {
  const auto row = [&](std::size_t j, std::size_t i) {
    return j < lines.size() && i < columns ? some_of(lines[j] + c + i, columns - i) : lanes_f32{};
  };
  for (std::size_t i = 0; i < columns_at_once; i += 16)
    for (std::size_t p = 0; p < 16; ++p, to += row_bytes)
      _mm512_store_si512(to, interleaved(row(2 * p, i), row(2 * p + 1, i)));
}
HOCKET_ALWAYS_INLINE __m512 some_in(const float* from, __mmask16 which) { return _mm512_maskz_loadu_ps(which, from); }
HOCKET_ALWAYS_INLINE __m512 some_in(const bf16* from, __mmask16 which) {
  const __m512i wide = _mm512_maskz_cvtepu16_epi32(which, _mm256_maskz_loadu_epi16(which, from));
  return reinterpret_cast<__m512>(_mm512_maskz_slli_epi32(which, wide, 16));
}
HOCKET_ALWAYS_INLINE void put_some(float* to, __mmask16 which, __m512 x) { _mm512_mask_storeu_ps(to, which, x); }
HOCKET_ALWAYS_INLINE void put_some(bf16* to, __mmask16 which, __m512 x) {
  _mm256_mask_storeu_epi16(to, which, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
}
/// Masks of a row without any, beside others that have some.
inline constexpr auto all_stay = [] {
  std::array<std::byte, columns_at_once / 8> bits{};
  for (std::byte& b : bits) b = std::byte{0xff};
  return bits;
}();

/// dx (rows, columns) = or += what of the sums stays; `row` and `column`: of their first element among the masks.
template <std::size_t Sums, bool Masked, class X>
void add_sums(std::size_t rows, std::size_t columns, const band_sums* sums, const kept_elements* keeps, std::size_t row,
              std::size_t column, bool add, X* dx, std::size_t lddx) noexcept {
  __m512 scale[Sums];
  const std::byte* bits[Sums];
  for (std::size_t i = 0; i < Sums; ++i) {
    scale[i] = _mm512_set1_ps(static_cast<float>(keeps[i].scale));
    bits[i] = keeps[i].bits ? keeps[i].bits + row * keeps[i].apart + column / 8 : all_stay.data();
  }
  const auto put = [&](std::size_t k, std::size_t j, __mmask16 valid) {
    __m512 sum = add ? some_in(dx + j, valid) : __m512{};
#pragma GCC unroll 4
    for (std::size_t i = 0; i < Sums; ++i) {
      const __m512 x = _mm512_load_ps(sums[i][k] + j);
      sum = Masked ? _mm512_mask3_fmadd_ps(x, scale[i], sum, stay_of<__mmask16>(bits[i], j))
                   : _mm512_fmadd_ps(x, scale[i], sum);
    }
    put_some(dx + j, valid, sum);
  };
  for (std::size_t k = 0; k < rows; ++k, dx += lddx) {
    std::size_t j = 0;
    for (; j + 16 <= columns; j += 16) put(k, j, static_cast<__mmask16>(-1));
    if (j < columns) put(k, j, static_cast<__mmask16>(first_of(columns - j)));
#pragma GCC unroll 4
    for (std::size_t i = 0; i < Sums; ++i) bits[i] += keeps[i].apart;
  }
}
template <class X, std::size_t Sums = pieces_at_once>
void add_sums(std::size_t rows, std::size_t columns, const band_sums* sums, std::span<const kept_elements> keeps,
              std::size_t row, std::size_t column, bool add, X* dx, std::size_t lddx) noexcept {
  if constexpr (Sums > 0) {
    if (keeps.size() < Sums) return add_sums<X, Sums - 1>(rows, columns, sums, keeps, row, column, add, dx, lddx);
    const bool masked = std::any_of(keeps.begin(), keeps.end(), [](const kept_elements& k) { return k.bits; });
    masked ? add_sums<Sums, true>(rows, columns, sums, keeps.data(), row, column, add, dx, lddx)
           : add_sums<Sums, false>(rows, columns, sums, keeps.data(), row, column, add, dx, lddx);
  } else if (!add) {
    for (std::size_t k = 0; k < rows; ++k) std::fill_n(dx + k * lddx, columns, X{});
  }
}

/// One pass: at most pieces_at_once pieces, of which those with masks have sums of their own. Sums of 16 rows are added
/// while those of the next ones are made.
template <class X>
void add_pieces(std::size_t rows, std::size_t lddu, std::size_t in, std::span<const back_piece> pieces,
                std::span<const kept_elements> keeps, bool add, X* dx, std::size_t lddx) noexcept {
  alignas(64) std::byte left[2][pieces_at_once][tile_bytes], right[pieces_at_once][tiles_at_once * tile_bytes];
  alignas(64) band_sums sums[2][pieces_at_once];
  const std::size_t bands = (rows + 15) / 16;
  const auto pack_band = [&](std::size_t band) {
    const std::size_t r = band * 16, here = std::min<std::size_t>(16, rows - r);
    for (std::size_t i = 0; i < pieces.size(); ++i)
      for (std::size_t k = 0; k < 16; ++k)
        _mm512_store_si512(left[band % 2][i] + k * row_bytes,
                           k < here ? rounded_row(pieces[i].du + (r + k) * lddu, pieces[i].lines.size()) : __m512i{});
  };
  for (std::size_t c = 0; c < in; c += columns_at_once) {
    const std::size_t columns = std::min(columns_at_once, in - c);
    for (std::size_t i = 0; i < pieces.size(); ++i) pack_ranks(pieces[i].lines, c, columns, right[i]);
    const auto multiply_band = [&](std::size_t band) {
      for (std::size_t h = 0; h * 16 < columns; h += 4)
        for (std::size_t i = 0; i < pieces.size(); ++i) {
          if (i == 0 || pieces[i].sum != pieces[i - 1].sum) zero_sums();
          add_row(left[band % 2][i], right[i] + h * tile_bytes);
          if (i + 1 < pieces.size() && pieces[i + 1].sum == pieces[i].sum) continue;
          float* const to = sums[band % 2][pieces[i].sum][0] + h * 16;
          store_sums(to, columns_at_once * sizeof(float), 16, 32);
        }
    };
    const auto add_band = [&](std::size_t band) {
      add_sums(std::min<std::size_t>(16, rows - band * 16), columns, sums[band % 2], keeps, band * 16, c, add,
               dx + band * 16 * lddx + c, lddx);
    };
    pack_band(0);
    for (std::size_t band = 0; band <= bands; ++band) {
      if (band + 1 < bands) pack_band(band + 1);
      if (band < bands) multiply_band(band);
      if (band > 0) add_band(band - 1);
    }
  }
}
template <class X>
void add_back(std::size_t rows, std::size_t lddu, std::size_t in, std::span<const back_term> terms, bool add, X* dx,
              std::size_t lddx) noexcept {
  if (rows == 0) return;
  const amx_tiles configured;
  back_piece pieces[pieces_at_once];
  kept_elements keeps[pieces_at_once];
  std::size_t count = 0, sums = 0;
  const auto run = [&] {
    add_pieces(rows, lddu, in, {pieces, count}, {keeps, sums}, add, dx, lddx);
    add = true;
    count = sums = 0;
  };
  for (const back_term& term : terms)
    for (std::size_t j = 0; j < term.lines.size(); j += tile_depth) {
      const bool joins = sums > 0 && keeps[sums - 1].bits == term.keep.bits;  // none, or the same part's
      if (!joins) keeps[sums++] = term.keep;
      pieces[count++] = {term.du + j, term.lines.subspan(j, std::min(tile_depth, term.lines.size() - j)), sums - 1};
      if (count == pieces_at_once) run();
    }
  if (count > 0 || !add) run();
}

HOCKET_AMX_END

}  // namespace hocket::kernels::low_rank::amx

#endif
