// Packing and products on registers; compiled once per instruction set (core/simd_each.hpp).

namespace hocket::kernels::packed_gemm::HOCKET_SIMD_NS {

#include <hocket/core/simd_lanes.inl>
#include <hocket/core/simd_lanes_bf16.inl>
#include <hocket/core/simd_lanes_square.inl>

/// Rows of C in registers: 2 x 14 of 32 registers, 2 x 6 of 16.
inline constexpr std::size_t most_rows = HOCKET_SIMD_BYTES == 64 ? 14 : 6;

template <class T>
using two = vec<T>[2];

/// c (Rows, two registers) = or += A B over k; c and b have rows of strip_columns<T>. Meanwhile a line of memory from
/// `ahead` on is asked for at every eighth step, and of each row of A the line after the next: Rows streams are more
/// than the machine follows by itself.
template <class T, std::size_t Rows>
void tile(std::size_t k, const T* a, std::size_t lda, const T* b, T* c, bool add, const std::byte* ahead) noexcept {
  constexpr std::size_t width = strip_columns<T>, line = 64 / sizeof(T);
  two<T> acc[Rows];
#pragma GCC unroll 16
  for (std::size_t i = 0; i < Rows; ++i)
    for (std::size_t h = 0; h < 2; ++h) acc[i][h] = add ? load(c + i * width + h * lanes<T>) : vec<T>{};
  for (std::size_t piece = 0; piece < k; piece += 8, ahead += 64) {
    const std::size_t end = k - piece < 8 ? k : piece + 8;
    __builtin_prefetch(ahead, 0, 2);
    if (piece % line == 0) {
#pragma GCC unroll 16
      for (std::size_t i = 0; i < Rows; ++i) __builtin_prefetch(a + i * lda + piece + 2 * line);
    }
    for (std::size_t p = piece; p < end; ++p, b += width) {
      const vec<T> b0 = load(b), b1 = load(b + lanes<T>);
#pragma GCC unroll 16
      for (std::size_t i = 0; i < Rows; ++i) {
        const T left = a[i * lda + p];
        acc[i][0] += left * b0;
        acc[i][1] += left * b1;
      }
    }
  }
#pragma GCC unroll 16
  for (std::size_t i = 0; i < Rows; ++i)
    for (std::size_t h = 0; h < 2; ++h) store<T>(c + i * width + h * lanes<T>, acc[i][h]);
}

/// The same for a number of rows that is known when it runs.
template <class T, std::size_t Rows = most_rows>
void tile_of(std::size_t rows, std::size_t k, const T* a, std::size_t lda, const T* b, T* c, bool add,
             const std::byte* ahead) noexcept {
  if (rows == Rows)
    tile<T, Rows>(k, a, lda, b, c, add, ahead);
  else if constexpr (Rows > 1)
    tile_of<T, Rows - 1>(rows, k, a, lda, b, c, add, ahead);
}

/// Tiles of nearly equal height: a low one at the end would leave most of the multipliers idle.
template <class T>
void product_native(std::size_t rows, std::size_t k, const T* a, std::size_t lda, const T* strip, T* c, bool add,
                    const std::byte* ahead) noexcept {
  const std::size_t tiles = (rows + most_rows - 1) / most_rows;
  for (std::size_t t = 0; t < tiles; ++t) {
    const std::size_t first = rows * t / tiles, height = rows * (t + 1) / tiles - first;
    for (std::size_t j = 0; j < strip_columns<T>; j += 2 * lanes<T>, ahead += (k + 7) / 8 * 64)
      tile_of<T>(height, k, a + first * lda, lda, strip + j, c + first * strip_columns<T> + j, add, ahead);
  }
}

typedef std::uint32_t words __attribute__((vector_size(HOCKET_SIMD_BYTES)));
typedef std::int32_t counts __attribute__((vector_size(HOCKET_SIMD_BYTES)));
typedef std::uint32_t loose_words __attribute__((vector_size(HOCKET_SIMD_BYTES), aligned(4), may_alias));

inline words load_words(const void* x) { return words(*reinterpret_cast<const loose_words*>(x)); }
HOCKET_ALWAYS_INLINE vec<float> as_f32(words bits) { return reinterpret_cast<vec<float>>(bits); }

/// Rows of a machine without a matrix unit: bf16 pairs are taken apart into two f32. A step has `parts` tiles of A.
template <std::size_t Rows>
void tile_bf16(std::size_t steps, std::size_t parts, const std::uint32_t* a, const std::uint32_t* b, float* c,
               bool add) noexcept {
  vec<float> acc[Rows];
  for (std::size_t i = 0; i < Rows; ++i) acc[i] = add ? load(c + i * strip_columns<float>) : vec<float>{};
  for (std::size_t step = 0; step < steps; ++step, a += parts * 256, b += parts * 512)
    for (std::size_t pair = 0; pair < 16; ++pair) {
      const words right = load_words(b + pair * 16);
      const vec<float> even = as_f32(right << 16), odd = as_f32(right & 0xffff0000u);
#pragma GCC unroll 8
      for (std::size_t i = 0; i < Rows; ++i) {
        const std::uint32_t left = a[i * 16 + pair];
        acc[i] += std::bit_cast<float>(left << 16) * even;
        acc[i] += std::bit_cast<float>(left & 0xffff0000u) * odd;
      }
    }
  for (std::size_t i = 0; i < Rows; ++i) store<float>(c + i * strip_columns<float>, acc[i]);
}

/// int8 quadruples, as 32-bit numbers; c holds int32.
template <std::size_t Rows>
void tile_int8(std::size_t steps, const std::int32_t* a, const std::int32_t* b, std::int32_t* c, bool add) noexcept {
  typedef std::int32_t loose __attribute__((vector_size(HOCKET_SIMD_BYTES), aligned(4), may_alias));
  counts acc[Rows];
  for (std::size_t i = 0; i < Rows; ++i)
    acc[i] = add ? counts(*reinterpret_cast<const loose*>(c + i * strip_columns<float>)) : counts{};
  for (std::size_t step = 0; step < steps; ++step, a += 256, b += 512)
    for (std::size_t quad = 0; quad < 16; ++quad) {
      const counts right = counts(*reinterpret_cast<const loose*>(b + quad * 16));
#pragma GCC unroll 4
      for (int byte = 0; byte < 4; ++byte) {
        const counts one = (right << (24 - 8 * byte)) >> 24;
#pragma GCC unroll 4
        for (std::size_t i = 0; i < Rows; ++i) acc[i] += ((a[i * 16 + quad] << (24 - 8 * byte)) >> 24) * one;
      }
    }
  for (std::size_t i = 0; i < Rows; ++i) *reinterpret_cast<loose*>(c + i * strip_columns<float>) = loose(acc[i]);
}

/// Rows [0, rows) of A in tiles (16 rows every steps_a tiles) times a strip.
template <std::size_t Rows, class Tile>
void walk_tiles(std::size_t rows, std::size_t steps_a, Tile&& each) noexcept {
  for (std::size_t i = 0; i < rounded_up(rows, Rows); i += Rows)
    for (std::size_t j = 0; j < strip_columns<float>; j += lanes<float>)
      each((i / tile_rows * steps_a) * 256 + i % tile_rows * 16, j / 16 * 256 + j % 16, i * strip_columns<float> + j);
}

inline void product_bf16(std::size_t rows, std::size_t steps, std::size_t parts, const void* a, std::size_t apart,
                         const void* strip, float* c, bool add) noexcept {
  constexpr std::size_t block = 16;  // steps between two visits: 32 KiB of the strip
  for (std::size_t s = 0; s < steps; s += block)
    walk_tiles<8>(rows, apart, [&](std::size_t at_a, std::size_t at_b, std::size_t at_c) {
      tile_bf16<8>(steps - s < block ? steps - s : block, parts,
                   static_cast<const std::uint32_t*>(a) + s * parts * 256 + at_a,
                   static_cast<const std::uint32_t*>(strip) + s * parts * 512 + at_b, c + at_c, add || s > 0);
    });
}
inline void product_int8(std::size_t rows, std::size_t steps, const void* a, const void* strip,
                         std::int32_t* c) noexcept {
  constexpr std::size_t block = 16;
  for (std::size_t s = 0; s < steps; s += block)
    walk_tiles<4>(rows, steps, [&](std::size_t at_a, std::size_t at_b, std::size_t at_c) {
      tile_int8<4>(steps - s < block ? steps - s : block, static_cast<const std::int32_t*>(a) + s * 256 + at_a,
                   static_cast<const std::int32_t*>(strip) + s * 512 + at_b, c + at_c, s > 0);
    });
}

/// c (rows, strip) in int32 becomes f32: times the scales of its row and column.
inline void scale_block(std::size_t rows, const float* row_scales, const float* column_scales, float* c) noexcept {
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < strip_columns<float>; j += lanes<float>) {
      float* const at = c + i * strip_columns<float> + j;
      const counts sum = reinterpret_cast<counts>(load_words(at));
      store<float>(at, __builtin_convertvector(sum, vec<float>) * (row_scales[i] * load(column_scales + j)));
    }
}

/// The bf16 nearest to x, as f32; what would round up to infinity gives its leading bits instead.
HOCKET_ALWAYS_INLINE vec<float> nearest_part(vec<float> x, bool in_hardware) noexcept {
  const vec<float> near = as_f32(widened(to_halves(x, in_hardware)) << 16);
  const vec<float> leading = as_f32(reinterpret_cast<words>(x) & 0xffff0000u);
  constexpr float most = std::numeric_limits<float>::max();
  return ((near > most) | (near < -most)) ? leading : near;
}

/// f32 to bf16: rounded, or three parts whose sum they are: the nearest bf16, that of the rest, and that of what is
/// left then. Nothing is left of what is not finite.
template <std::size_t Parts>
HOCKET_ALWAYS_INLINE void halves_of(vec<float> value, register_halves (&to)[Parts], bool in_hardware) noexcept {
  if constexpr (Parts == 1) {
    to[0] = to_halves(value, in_hardware);
  } else {
    const vec<float> first = nearest_part(value, in_hardware), left = value - first,
                     rest = left == left ? left : vec<float>{},
                     second = as_f32(widened(to_halves(rest, in_hardware)) << 16);
    to[0] = to_halves(first, in_hardware);
    to[1] = to_halves(second, in_hardware);
    to[2] = to_halves(rest - second, in_hardware);
  }
}
/// 32 of them, parts `apart` elements from each other.
template <std::size_t Parts>
HOCKET_ALWAYS_INLINE void round_32(const float* x, std::uint16_t* to, std::size_t apart, bool in_hardware) noexcept {
  for (std::size_t q = 0; q < 32; q += lanes<float>) {
    register_halves halves[Parts];
    halves_of(load(x + q), halves, in_hardware);
    for (std::size_t part = 0; part < Parts; ++part)
      *reinterpret_cast<loose_halves*>(to + part * apart + q) = loose_halves(halves[part]);
  }
}
/// `count` < 32 of them; the others become 0.
template <std::size_t Parts>
void round_some(const float* x, std::size_t count, std::uint16_t* to, std::size_t apart) noexcept {
  float all[32] = {};
  for (std::size_t q = 0; q < count; ++q) all[q] = x[q];
  round_32<Parts>(all, to, apart, rounds_in_hardware());
}

/// A to tiles of bf16, from f32.
template <std::size_t Parts>
void pack_left(std::size_t rows, std::size_t k, const float* a, std::size_t lda, std::uint16_t* to) noexcept {
  const std::size_t steps = steps_of(precision::bf16, k);
  const bool in_hardware = rounds_in_hardware();
  for (std::size_t i = 0; i < rounded_up(rows, tile_rows); ++i) {
    std::uint16_t* const out = to + (i / tile_rows * steps * Parts * tile_rows + i % tile_rows) * 32;
    for (std::size_t s = 0; s < steps; ++s) {
      std::uint16_t* const here = out + s * Parts * tile_rows * 32;
      if (i < rows && (s + 1) * 32 <= k)
        round_32<Parts>(a + i * lda + s * 32, here, tile_rows * 32, in_hardware);
      else
        round_some<Parts>(a + i * lda + s * 32, i < rows ? k - s * 32 : 0, here, tile_rows * 32);
    }
  }
}
/// From bf16, which is not split.
template <std::size_t Parts>
void pack_left(std::size_t rows, std::size_t k, const bf16* a, std::size_t lda, std::uint16_t* to) noexcept {
  const std::size_t steps = steps_of(precision::bf16, k);
  for (std::size_t i = 0; i < rounded_up(rows, tile_rows); ++i) {
    std::uint16_t* const out = to + (i / tile_rows * steps * tile_rows + i % tile_rows) * 32;
    for (std::size_t s = 0; s < steps; ++s) {
      std::uint16_t* const here = out + s * tile_rows * 32;
      if (i < rows && (s + 1) * 32 <= k) {
        __builtin_memcpy(here, a + i * lda + s * 32, 64);
      } else {
        for (std::size_t q = 0; q < 32; ++q)
          here[q] = i < rows && s * 32 + q < k ? a[i * lda + s * 32 + q].bits : std::uint16_t{0};
      }
    }
  }
}

HOCKET_ALWAYS_INLINE float wide_of(float x) { return x; }
HOCKET_ALWAYS_INLINE float wide_of(bf16 x) { return to_f32(x); }

/// A to tiles of int8 and the scales of its rows.
template <class S>
void pack_left_int8(std::size_t rows, std::size_t k, const S* a, std::size_t lda, std::int8_t* to,
                    float* scales) noexcept {
  const std::size_t steps = steps_of(precision::int8, k);
  for (std::size_t i = 0; i < rounded_up(rows, tile_rows); ++i) {
    std::int8_t* const out = to + (i / tile_rows * steps * tile_rows + i % tile_rows) * 64;
    const S* const in = a + i * lda;
    float most = 0;
    if (i < rows) {
      float each[64] = {};
      std::size_t q = 0;
      for (; q + 64 <= k; q += 64)
        for (std::size_t e = 0; e < 64; ++e) {
          const float x = wide_of(in[q + e]), size = x < 0 ? -x : x;
          each[e] = each[e] < size ? size : each[e];
        }
      for (; q < k; ++q) {
        const float x = wide_of(in[q]), size = x < 0 ? -x : x;
        each[0] = each[0] < size ? size : each[0];
      }
      for (const float x : each) most = most < x ? x : most;
    }
    scales[i] = most / 127.0F;
    const float by = most > 0 ? 127.0F / most : 0.0F;
    constexpr float anchor = 0x1.8p23F;  // adding it rounds to whole numbers, halves to even
    for (std::size_t s = 0; s < steps; ++s) {
      std::int8_t* const here = out + s * tile_rows * 64;
      if (i < rows && (s + 1) * 64 <= k) {
        for (std::size_t q = 0; q < 64; ++q)
          here[q] = static_cast<std::int8_t>(std::bit_cast<std::int32_t>(wide_of(in[s * 64 + q]) * by + anchor));
      } else {
        for (std::size_t q = 0; q < 64; ++q)
          here[q] = i < rows && s * 64 + q < k
                        ? static_cast<std::int8_t>(std::bit_cast<std::int32_t>(wide_of(in[s * 64 + q]) * by + anchor))
                        : std::int8_t{0};
      }
    }
  }
}

/// A register of a row's `count` elements, or as many as it takes, in the low halves of words; zeros behind.
template <std::size_t Parts>
HOCKET_ALWAYS_INLINE void words_of(const float* x, std::size_t count, words (&to)[Parts], bool in_hardware) noexcept {
  register_halves halves[Parts];
  halves_of(count >= lanes<float> ? load(x) : load_some(x, count, 0.0F), halves, in_hardware);
  for (std::size_t part = 0; part < Parts; ++part) to[part] = widened(halves[part]);
}
/// A bf16 is its own first part; the others are 0.
template <std::size_t Parts>
HOCKET_ALWAYS_INLINE void words_of(const bf16* x, std::size_t count, words (&to)[Parts], bool) noexcept {
  register_halves halves{};
  if (count >= lanes<float>)
    halves = register_halves(*reinterpret_cast<const loose_halves*>(x));
  else
    for (std::size_t j = 0; j < count; ++j) halves[j] = x[j].bits;
  to[0] = widened(halves);
  for (std::size_t part = 1; part < Parts; ++part) to[part] = words{};
}
/// Word j: element j of the first row below that of the second. 32 columns, `count` of them with something in it; a
/// null row is zeros. Parts lie `apart` words from each other.
template <std::size_t Parts, class S>
HOCKET_ALWAYS_INLINE void pair_rows(std::size_t count, const S* first, const S* second, std::uint32_t* to,
                                    std::size_t apart, bool in_hardware) noexcept {
  for (std::size_t j = 0; j < 32; j += lanes<float>) {
    words low[Parts] = {}, high[Parts] = {};
    const std::size_t left = j < count ? count - j : 0;
    if (first) words_of(first + j, left, low, in_hardware);
    if (second) words_of(second + j, left, high, in_hardware);
    for (std::size_t part = 0; part < Parts; ++part)
      *reinterpret_cast<loose_words*>(to + part * apart + j) = loose_words(low[part] | high[part] << 16);
  }
}
/// Two rows of B, n columns, as pairs of strips that lie `apart` words from each other; either may be null.
template <std::size_t Parts, class S>
void pack_pair(std::size_t n, const S* first, const S* second, std::uint32_t* to, std::size_t apart) noexcept {
  const bool in_hardware = rounds_in_hardware();
  for (std::size_t j0 = 0; j0 < n; j0 += 32, to += apart) {
    std::uint32_t pairs[Parts * 32];
    pair_rows<Parts>(n - j0 < 32 ? n - j0 : 32, first ? first + j0 : first, second ? second + j0 : second, pairs, 32,
                     in_hardware);
    for (std::size_t half = 0; half < 2 * Parts; ++half)  // a register's store is read as such: nothing waits
      for (std::size_t j = 0; j < 16; j += lanes<float>)
        *reinterpret_cast<loose_words*>(to + half * 256 + j) = loose_words(load_words(pairs + half * 16 + j));
  }
}

/// to (columns, ldto) = from (rows, ld) transposed.
template <class T>
void turn(std::size_t rows, std::size_t columns, const T* from, std::size_t ld, T* to, std::size_t ldto) noexcept {
  constexpr std::size_t n = lanes<T>;
  for (std::size_t r = 0; r < rows; r += n)
    for (std::size_t c = 0; c < columns; c += n) {
      if (rows - r < n || columns - c < n) {
        for (std::size_t i = r; i < rows && i < r + n; ++i)
          for (std::size_t j = c; j < columns && j < c + n; ++j) to[j * ldto + i] = from[i * ld + j];
        continue;
      }
      vec<T> square[n];
#pragma GCC unroll 16
      for (std::size_t i = 0; i < n; ++i) square[i] = load(from + (r + i) * ld + c);
      transpose_from<T, n / 2>(square);
#pragma GCC unroll 16
      for (std::size_t i = 0; i < n; ++i) store<T>(to + (c + i) * ldto + r, square[i]);
    }
}

/// One strip of B whose columns are rows of memory: row[j] has k elements, or is null past the end of B. Of every row
/// the lines of the step after the next are asked for: 32 streams are more than the machine follows by itself.
template <std::size_t Parts>
void pack_strip_turned(std::size_t k, const float* const (&row)[32], std::uint32_t* to) noexcept {
  const bool in_hardware = rounds_in_hardware();
  for (std::size_t s = 0; s < steps_of(precision::bf16, k); ++s) {
    std::uint32_t pairs[2][16][Parts * 16];
    for (std::size_t j = 0; j < 32; ++j) {
      const std::size_t left = row[j] ? k - s * 32 : 0;
      if (left >= 96) {
        __builtin_prefetch(row[j] + s * 32 + 64);
        __builtin_prefetch(row[j] + s * 32 + 80);
      }
      auto* const rounded = reinterpret_cast<std::uint16_t*>(pairs[j / 16][j % 16]);
      if (left >= 32)
        round_32<Parts>(row[j] + s * 32, rounded, 32, in_hardware);
      else
        round_some<Parts>(row[j] + s * 32, left, rounded, 32);
    }
    for (std::size_t part = 0; part < Parts; ++part)
      for (std::size_t half = 0; half < 2; ++half, to += 256)
        turn<std::uint32_t>(16, 16, pairs[half][0] + part * 16, Parts * 16, to, 16);
  }
}

/// A to tiles of bf16 where columns of A are rows of memory: rows [0, count) of A from memory (k, lda).
template <std::size_t Parts, class S>
void pack_left_turned(std::size_t count, std::size_t k, const S* a, std::size_t lda, std::uint16_t* to) noexcept {
  const std::size_t steps = steps_of(precision::bf16, k);
  auto* const out = reinterpret_cast<std::uint32_t*>(to);
  const bool in_hardware = rounds_in_hardware();
  for (std::size_t i = 0; i < count; i += 2 * tile_rows) {
    const std::size_t here = count - i < 2 * tile_rows ? count - i : 2 * tile_rows;
    for (std::size_t s = 0; s < steps; ++s) {
      std::uint32_t pairs[Parts][16][32];
      for (std::size_t p = 0; p < 16; ++p) {
        const std::size_t q = s * 32 + 2 * p;
        pair_rows<Parts>(here, q < k ? a + q * lda + i : nullptr, q + 1 < k ? a + (q + 1) * lda + i : nullptr,
                         pairs[0][p], 16 * 32, in_hardware);
      }
      for (std::size_t half = 0; half < 2 && half * tile_rows < here; ++half)
        for (std::size_t part = 0; part < Parts; ++part)
          turn<std::uint32_t>(16, 16, pairs[part][0] + half * 16, 32,
                              out + (((i / tile_rows + half) * steps + s) * Parts + part) * 256, 16);
    }
  }
}

/// `count` <= 32 columns of every row to step `step` of tiles of bf16.
template <std::size_t Parts>
void pack_left_step(std::size_t rows, std::size_t steps, std::size_t step, std::size_t count, const float* a,
                    std::size_t lda, std::uint16_t* to) noexcept {
  const bool in_hardware = rounds_in_hardware();
  for (std::size_t i = 0; i < rounded_up(rows, tile_rows); ++i) {
    std::uint16_t* const here = to + ((i / tile_rows * steps + step) * Parts * tile_rows + i % tile_rows) * 32;
    if (i < rows && count == 32)
      round_32<Parts>(a + i * lda, here, tile_rows * 32, in_hardware);
    else
      round_some<Parts>(a + i * lda, i < rows ? count : 0, here, tile_rows * 32);
  }
}

}  // namespace hocket::kernels::packed_gemm::HOCKET_SIMD_NS
