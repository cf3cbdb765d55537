// The products of bf16 and int8 on AMX (core/amx_tiles.hpp), and of f32 as sums of three bf16.
//
// Ladder (bf16, one core, TFLOP/s; the unit's peak there is 3.5):
//   1  two tiles of A by two of B, all loads of a step before its four products     2.75 from L1, 2.1 with A from L2
//   2  A in whole tiles instead of rows of a matrix                                 +20 % from L2 (1.73 before)
//   3  A by loads that pass by L1, where the strip stays; with ordinary ones 32
//      rows of A and a strip, 24 KiB each, drive each other out of 48 KiB           0.64 -> 0.82 of the peak (k = 384)
//   4  long strips in even pieces of at most 16 steps instead of 8                  0.67 -> 0.72 at k = 1536
// 3 and 4 together: a forward pass of MiniLM in bf16 -11 %, a LoRA step -5 %, a full one -4 %.
// 5  B on pages of 2 MiB (core/huge_pages.hpp)   LoRA's step -9 %, the full one -5 %
// In a step the products still reach half of what they reach alone: the same strip over and over would save 10 % more.
// Failed: asking for every second or fourth line ahead instead of each, +3 % of a step, for none +6 %; blocks of 512
// rows, which read the strips half as often, +3 to +10 % (nn/row_blocks.hpp: activations leave L2).
// Failed: a product after each load 2.4 from L1; software pipelining over steps 2.4; prefetching the next tiles of A
// -15 %; pieces of 24 steps 0.48; asking for the lines of what follows the product (epilogue) before it, -2 %; a narrow
// product (LoRA's, one step) into the same sums before they leave the tiles, the same bits, -1.5 % of a step.
//
// f32 as three bf16 (six products for one; beside the AVX-512 product of cpu.hpp in turns, times of MiniLM's forward
// pass, LoRA step and full step, 32 x 64 tokens, two threads)
//   1  six bf16 products after each other           1.8 x AVX-512 at k = 384, 0.95 x at 1536 (alone)
//   2  all six for a step while their tiles are loaded; a long k at once          1.19, 1.15, 1.05 x
//   3  k in pieces of 12 steps for all strips, sums in L2 (nn/ops/linear_op.hpp)  1.45, 1.36, 1.16 x
//   4  the three parts of a number packed at once, not one after the other        1.54, 1.45, 1.25 x
// Failed: pieces of 5 to 24 steps inside a strip: A comes from the third level then, whatever stays in L1.
#pragma once

#include <cstddef>
#include <cstdint>

#include <hocket/core/amx_tiles.hpp>
#include <hocket/kernels/packed_gemm/shape.hpp>

#if HOCKET_HAS_AMX

namespace hocket::kernels::packed_gemm::amx {

/// Steps of a strip that stay in L1 while rows of A pass by: 32 of 48 KiB.
inline constexpr std::size_t longest_piece = 16;
/// Lines of memory that are asked for at every step; split: a step takes six times as long and three times the strip.
inline constexpr std::size_t lines_ahead = 4, split_lines_ahead = 12;

HOCKET_AMX_BEGIN

inline constexpr int row_of_c = 128;  // bytes

// Tiles 0 to 3 are sums, (rows in two tiles or, unless Both, one; two tiles of columns); 4 and 5 hold A, 6 and 7 B.

template <bool Both>
HOCKET_ALWAYS_INLINE void begin_sums(const std::byte* c, bool add) noexcept {
  if (add) {
    _tile_loadd(0, c, row_of_c);
    _tile_loadd(1, c + 64, row_of_c);
    if constexpr (Both) {
      _tile_loadd(2, c + tile_rows * row_of_c, row_of_c);
      _tile_loadd(3, c + tile_rows * row_of_c + 64, row_of_c);
    }
  } else {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (Both) {
      _tile_zero(2);
      _tile_zero(3);
    }
  }
}
template <bool Both>
HOCKET_ALWAYS_INLINE void store_sums(std::byte* c) noexcept {
  _tile_stored(0, c, row_of_c);
  _tile_stored(1, c + 64, row_of_c);
  if constexpr (Both) {
    _tile_stored(2, c + tile_rows * row_of_c, row_of_c);
    _tile_stored(3, c + tile_rows * row_of_c + 64, row_of_c);
  }
}
template <bool Both>
HOCKET_ALWAYS_INLINE void load_left(const std::byte* a, std::size_t next_rows) noexcept {
  _tile_stream_loadd(4, a, 64);
  if constexpr (Both) _tile_stream_loadd(5, a + next_rows, 64);
}
HOCKET_ALWAYS_INLINE void load_right(const std::byte* b) noexcept {
  _tile_loadd(6, b, 64);
  _tile_loadd(7, b + tile_bytes, 64);
}
template <bool Bf16, bool Both>
HOCKET_ALWAYS_INLINE void add_products() noexcept {
  if constexpr (Bf16) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (Both) {
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  } else {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    if constexpr (Both) {
      _tile_dpbssd(2, 5, 6);
      _tile_dpbssd(3, 5, 7);
    }
  }
}
template <std::size_t Lines>
HOCKET_ALWAYS_INLINE void ask_for(const std::byte* ahead) noexcept {
  for (std::size_t line = 0; line < Lines; ++line) __builtin_prefetch(ahead + line * 64, 0, 2);
}

/// c (rows in two tiles or one, two tiles of columns) = or += steps [0, steps) of A and B. Bf16: f32, otherwise int32.
template <bool Bf16, bool Both>
HOCKET_ALWAYS_INLINE void block(std::size_t steps, const std::byte* a, std::size_t next_rows, const std::byte* b,
                                std::byte* c, bool add, const std::byte* ahead) noexcept {
  begin_sums<Both>(c, add);
  for (std::size_t s = 0; s < steps; ++s, a += tile_bytes, b += 2 * tile_bytes, ahead += lines_ahead * 64) {
    ask_for<lines_ahead>(ahead);
    load_left<Both>(a, next_rows);
    load_right(b);
    add_products<Bf16, Both>();
  }
  store_sums<Both>(c);
}

/// c (rows, strip) = or += A B, A in tiles of `steps` steps. The tiles are configured.
template <bool Bf16>
void product(std::size_t rows, std::size_t steps, const void* a, const void* strip, void* c, bool add,
             const std::byte* ahead) noexcept {
  const std::size_t pieces = (steps + longest_piece - 1) / longest_piece, at_once = (steps + pieces - 1) / pieces;
  const std::size_t tiles = (rows + tile_rows - 1) / tile_rows;
  for (std::size_t s = 0; s < steps; s += at_once) {
    const std::size_t here = steps - s < at_once ? steps - s : at_once;
    const auto* const b = static_cast<const std::byte*>(strip) + s * 2 * tile_bytes;
    for (std::size_t t = 0; t < tiles; t += 2) {
      const auto* const left = static_cast<const std::byte*>(a) + (t * steps + s) * tile_bytes;
      auto* const out = static_cast<std::byte*>(c) + t * tile_rows * row_of_c;
      if (t + 1 < tiles)
        block<Bf16, true>(here, left, steps * tile_bytes, b, out, add || s > 0, ahead);
      else
        block<Bf16, false>(here, left, steps * tile_bytes, b, out, add || s > 0, ahead);
      ahead += here * lines_ahead * 64;
    }
  }
}

/// The same for f32 in three parts (split): of the nine products of parts the six that an f32 can tell, in an order in
/// which few tiles are loaded twice.
template <bool Both>
HOCKET_ALWAYS_INLINE void split_block(std::size_t steps, const std::byte* a, std::size_t next_rows, const std::byte* b,
                                      std::byte* c, bool add, const std::byte* ahead) noexcept {
  constexpr std::size_t a_part = tile_bytes, b_part = 2 * tile_bytes;
  begin_sums<Both>(c, add);
  for (std::size_t s = 0; s < steps; ++s, a += 3 * a_part, b += 3 * b_part, ahead += split_lines_ahead * 64) {
    ask_for<split_lines_ahead>(ahead);
    load_left<Both>(a, next_rows);
    load_right(b + 2 * b_part);
    add_products<true, Both>();
    load_right(b + b_part);
    add_products<true, Both>();
    load_left<Both>(a + a_part, next_rows);
    add_products<true, Both>();
    load_right(b);
    add_products<true, Both>();
    load_left<Both>(a + 2 * a_part, next_rows);
    add_products<true, Both>();
    load_left<Both>(a, next_rows);
    add_products<true, Both>();
  }
  store_sums<Both>(c);
}
/// `apart`: tiles from one 16 rows of A to the next.
inline void product_split(std::size_t rows, std::size_t steps, const std::byte* a, std::size_t apart,
                          const std::byte* strip, void* c, bool add, const std::byte* ahead) noexcept {
  const std::size_t tiles = (rows + tile_rows - 1) / tile_rows;
  for (std::size_t t = 0; t < tiles; t += 2, ahead += steps * split_lines_ahead * 64) {
    const std::byte* const left = a + t * apart * tile_bytes;
    auto* const out = static_cast<std::byte*>(c) + t * tile_rows * row_of_c;
    if (t + 1 < tiles)
      split_block<true>(steps, left, apart * tile_bytes, strip, out, add, ahead);
    else
      split_block<false>(steps, left, apart * tile_bytes, strip, out, add, ahead);
  }
}

inline void configure() noexcept { amx_tiles::configure(); }
inline void release() noexcept { amx_tiles::release(); }

HOCKET_AMX_END

}  // namespace hocket::kernels::packed_gemm::amx

#endif
