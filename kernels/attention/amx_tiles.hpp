// Operands of attention's products on AMX: what is packed how, and a product of tiles (core/amx_lanes.inl says what one
// is).
#pragma once

#include <cstddef>
#include <cstdint>

#include <hocket/core/amx_tiles.hpp>
#include <hocket/core/half.hpp>
#include <hocket/kernels/attention/cpu_bodies.hpp>

#if HOCKET_HAS_AMX

namespace hocket::kernels::attention::amx {

#include <hocket/core/amx_lanes.inl>

constexpr std::size_t tiles_of(std::size_t n, std::size_t of) { return (n + of - 1) / of; }

/// Where the tiles of an operand lie: `row` bytes between rows, `down` and `across` between neighbours.
struct operand {
  const std::byte* at;
  std::size_t row, down, across;
};
/// Whole tiles, those of a row of tiles side by side.
inline operand dense(const void* at, std::size_t tiles_across) {
  return {static_cast<const std::byte*>(at), row_bytes, tiles_across * tile_bytes, tile_bytes};
}
/// Its w-th column of tiles.
inline operand column_of(const operand& x, std::size_t w) { return {x.at + w * x.across, x.row, x.down, x.across}; }

HOCKET_AMX_BEGIN

template <bool Add, int Down, int Across>
HOCKET_ALWAYS_INLINE void block(std::size_t depth, const operand& a, const operand& b, float* c, std::size_t c_row) {
  std::byte* const out = reinterpret_cast<std::byte*>(c);
  const auto stride = static_cast<std::ptrdiff_t>(c_row * sizeof(float));
  std::byte* const below = out + 16 * stride;
  if constexpr (Add) {
    _tile_loadd(0, out, stride);
    if constexpr (Across == 2) _tile_loadd(1, out + row_bytes, stride);
    if constexpr (Down == 2) _tile_loadd(2, below, stride);
    if constexpr (Down == 2 && Across == 2) _tile_loadd(3, below + row_bytes, stride);
  } else {
    _tile_zero(0);
    if constexpr (Across == 2) _tile_zero(1);
    if constexpr (Down == 2) _tile_zero(2);
    if constexpr (Down == 2 && Across == 2) _tile_zero(3);
  }
  const std::byte *left = a.at, *right = b.at;
  const auto a_row = static_cast<std::ptrdiff_t>(a.row), b_row = static_cast<std::ptrdiff_t>(b.row);
  for (std::size_t k = 0; k < depth; ++k, left += a.across, right += b.down) {
    _tile_loadd(4, left, a_row);
    if constexpr (Down == 2) _tile_loadd(5, left + a.down, a_row);
    _tile_loadd(6, right, b_row);
    if constexpr (Across == 2) _tile_loadd(7, right + b.across, b_row);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (Across == 2) _tile_dpbf16ps(1, 4, 7);
    if constexpr (Down == 2) _tile_dpbf16ps(2, 5, 6);
    if constexpr (Down == 2 && Across == 2) _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, out, stride);
  if constexpr (Across == 2) _tile_stored(1, out + row_bytes, stride);
  if constexpr (Down == 2) _tile_stored(2, below, stride);
  if constexpr (Down == 2 && Across == 2) _tile_stored(3, below + row_bytes, stride);
}

/// The same of four tiles below each other.
template <bool Add>
HOCKET_ALWAYS_INLINE void column_block(std::size_t depth, const operand& a, const operand& b, float* c,
                                       std::size_t c_row) {
  std::byte* const out = reinterpret_cast<std::byte*>(c);
  const auto stride = static_cast<std::ptrdiff_t>(c_row * sizeof(float));
  if constexpr (Add) {
    _tile_loadd(0, out, stride);
    _tile_loadd(1, out + 16 * stride, stride);
    _tile_loadd(2, out + 32 * stride, stride);
    _tile_loadd(3, out + 48 * stride, stride);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const std::byte *left = a.at, *right = b.at;
  const auto a_row = static_cast<std::ptrdiff_t>(a.row), b_row = static_cast<std::ptrdiff_t>(b.row);
  for (std::size_t k = 0; k < depth; ++k, left += a.across, right += b.down) {
    _tile_loadd(7, right, b_row);
    _tile_loadd(4, left, a_row);
    _tile_dpbf16ps(0, 4, 7);
    _tile_loadd(5, left + a.down, a_row);
    _tile_dpbf16ps(1, 5, 7);
    _tile_loadd(6, left + 2 * a.down, a_row);
    _tile_dpbf16ps(2, 6, 7);
    _tile_loadd(4, left + 3 * a.down, a_row);
    _tile_dpbf16ps(3, 4, 7);
  }
  _tile_stored(0, out, stride);
  _tile_stored(1, out + 16 * stride, stride);
  _tile_stored(2, out + 32 * stride, stride);
  _tile_stored(3, out + 48 * stride, stride);
}

/// C (16 down, 16 across), rows c_row apart, = or += A (down, depth tiles) B (depth, across). The tiles are configured.
template <bool Add>
inline void product(std::size_t down, std::size_t across, std::size_t depth, const operand& a, const operand& b,
                    float* c, std::size_t c_row) noexcept {
  std::size_t i = 0;
  if (across == 1)
    for (; i + 4 <= down; i += 4)
      column_block<Add>(depth, {a.at + i * a.down, a.row, a.down, a.across}, b, c + i * tile_rows * c_row, c_row);
  for (; i < down; i += 2)
    for (std::size_t j = 0; j < across; j += 2) {
      const operand left{a.at + i * a.down, a.row, a.down, a.across},
          right{b.at + j * b.across, b.row, b.down, b.across};
      float* const out = c + i * tile_rows * c_row + j * tile_rows;
      if (i + 1 < down && j + 1 < across)
        block<Add, 2, 2>(depth, left, right, out, c_row);
      else if (i + 1 < down)
        block<Add, 2, 1>(depth, left, right, out, c_row);
      else if (j + 1 < across)
        block<Add, 1, 2>(depth, left, right, out, c_row);
      else
        block<Add, 1, 1>(depth, left, right, out, c_row);
    }
}

/// Up to 16 elements, zeros behind.
HOCKET_ALWAYS_INLINE __m256i half_row_of(const bf16* from, std::size_t count) {
  if (count >= tile_rows) return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return _mm256_maskz_loadu_epi16(static_cast<__mmask16>(first_of(count)), from);
}

/// A left operand (rows, width) as dense tiles, tiles_of(width, 32) across; zeros past rows and width.
inline void pack_left(const bf16* from, std::size_t from_row, std::size_t rows, std::size_t width, void* to) noexcept {
  auto* out = static_cast<std::byte*>(to);
  for (std::size_t r = 0; r < rows; r += tile_rows)
    for (std::size_t d = 0; d < width; d += tile_depth)
      for (std::size_t i = 0; i < tile_rows; ++i, out += row_bytes)
        _mm512_store_si512(out, r + i < rows ? row_of(from + (r + i) * from_row + d, width - d) : __m512i{});
}

/// 16 columns of two rows beside each other: (x[0], y[0]), (x[1], y[1]), ...; an absent row is zeros.
HOCKET_ALWAYS_INLINE __m512i pairs_of(const bf16* x, const bf16* y, std::size_t count) {
  const auto words = [count](const bf16* from) {
    return avx512::widened(reinterpret_cast<avx512::register_halves>(half_row_of(from, count)));
  };
  avx512::register_words low{}, high{};
  if (x) low = words(x);
  if (y) high = words(y);
  return reinterpret_cast<__m512i>(low | high << 16);
}

/// The right operand (rows, width) as dense tiles, tiles_of(width, 16) across; zeros past rows, up to 32, and width.
inline void pack_right(const bf16* from, std::size_t from_row, std::size_t rows, std::size_t width, void* to) noexcept {
  auto* out = static_cast<std::byte*>(to);
  const auto row = [&](std::size_t r) { return r < rows ? from + r * from_row : nullptr; };
  for (std::size_t r = 0; r < rows; r += tile_depth)
    for (std::size_t d = 0; d < width; d += tile_rows)
      for (std::size_t p = 0; p < tile_rows; ++p, out += row_bytes) {
        const bf16 *const x = row(r + 2 * p), *const y = row(r + 2 * p + 1);
        _mm512_store_si512(out, pairs_of(x ? x + d : x, y ? y + d : y, width - d));
      }
}

/// The transpose of (rows, width) as a left operand (width, rows): dense tiles, tiles_of(rows, 32) across; zeros past
/// rows and width.
inline void pack_left_turned(const bf16* from, std::size_t from_row, std::size_t rows, std::size_t width,
                             void* to) noexcept {
  const std::size_t across = tiles_of(rows, tile_depth);
  const auto row = [&](std::size_t r) { return r < rows ? from + r * from_row : nullptr; };
  for (std::size_t r = 0; r < rows; r += tile_depth)
    for (std::size_t d = 0; d < width; d += tile_rows) {
      __m512i square[16];
      for (std::size_t p = 0; p < tile_rows; ++p) {
        const bf16 *const x = row(r + 2 * p), *const y = row(r + 2 * p + 1);
        square[p] = pairs_of(x ? x + d : x, y ? y + d : y, width - d);
      }
      turn(square);
      auto* const out = static_cast<std::byte*>(to) + (d / tile_rows * across + r / tile_depth) * tile_bytes;
      for (std::size_t p = 0; p < tile_rows; ++p) _mm512_store_si512(out + p * row_bytes, square[p]);
    }
}

/// The transpose of (rows, width) as a right operand (width, rows): dense tiles, tiles_of(rows, 16) across; zeros past
/// rows and width.
inline void pack_right_turned(const bf16* from, std::size_t from_row, std::size_t rows, std::size_t width,
                              void* to) noexcept {
  auto* out = static_cast<std::byte*>(to);
  for (std::size_t d = 0; d < width; d += tile_depth)
    for (std::size_t r = 0; r < rows; r += tile_rows, out += tile_bytes) {
      __m512i square[16];
      for (std::size_t i = 0; i < tile_rows; ++i)
        square[i] = r + i < rows ? row_of(from + (r + i) * from_row + d, width - d) : __m512i{};
      turn(square);
      for (std::size_t p = 0; p < tile_rows; ++p) _mm512_store_si512(out + p * row_bytes, square[p]);
    }
}

/// to (rows, to_row) = from (width, from_row) transposed, its row i times by[i], in bf16. Neighbouring rows of `from`
/// are paired first, so that a transpose moves two elements a lane.
inline void put_turned(const float* from, std::size_t from_row, std::size_t rows, std::size_t width, const float* by,
                       bf16* to, std::size_t to_row) noexcept {
  for (std::size_t r = 0; r < rows; r += tile_rows) {
    const lanes_f32 factor = avx512::load(by + r);
    for (std::size_t d = 0; d < width; d += tile_depth) {
      const std::size_t in = width - d < tile_depth ? width - d : tile_depth;
      const float* const here = from + d * from_row + r;
      __m512i square[16];
      for (std::size_t p = 0; p < 16; ++p) {
        lanes_f32 one{}, two{};
        if (2 * p < in) one = avx512::load(here + 2 * p * from_row) * factor;
        if (2 * p + 1 < in) two = avx512::load(here + (2 * p + 1) * from_row) * factor;
        square[p] = interleaved(one, two);
      }
      turn(square);
      bf16* const out = to + r * to_row + d;
      for (std::size_t i = 0; i < tile_rows && r + i < rows; ++i)
        _mm512_mask_storeu_epi16(out + i * to_row, first_of(in), square[i]);
    }
  }
}
/// to (rows, to_row) = by x from (rows, from_row), in bf16.
inline void put_rows(const float* from, std::size_t from_row, std::size_t rows, std::size_t width, float by, bf16* to,
                     std::size_t to_row) noexcept {
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t d = 0; d < width; d += 16) {
      const auto mask = static_cast<__mmask16>(first_of(width - d < 16 ? width - d : 16));
      const lanes_f32 scaled = avx512::load(from + r * from_row + d) * by;
      _mm256_mask_storeu_epi16(to + r * to_row + d, mask,
                               reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(scaled))));
    }
}

HOCKET_AMX_END

}  // namespace hocket::kernels::attention::amx

#endif
