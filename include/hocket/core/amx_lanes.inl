// Registers on their way to and from the tiles of AMX (core/amx_tiles.hpp), inside a namespace beside which `avx512` is
// that of a SIMD body with simd_lanes.inl and simd_lanes_square.inl. A tile is 16 rows of 64 bytes: 16 x 32 of a left
// operand, 16 pairs of rows x 16 columns of a right one (element (2 p, n) and (2 p + 1, n) beside each other), 16 x 16
// sums in f32.

inline constexpr std::size_t tile_rows = 16, tile_depth = 32, tile_bytes = 1024, row_bytes = 64;

HOCKET_AMX_BEGIN

/// 16 lanes of f32 as the SIMD bodies for AVX-512 have them.
using lanes_f32 = avx512::vec<float>;

/// A mask of the first `count` <= 32.
HOCKET_ALWAYS_INLINE __mmask32 first_of(std::size_t count) {
  return static_cast<__mmask32>((std::uint64_t{1} << count) - 1);
}
/// Up to 32 elements of a row, zeros behind.
HOCKET_ALWAYS_INLINE __m512i row_of(const bf16* from, std::size_t count) {
  if (count >= tile_depth) return _mm512_loadu_si512(from);
  return _mm512_maskz_loadu_epi16(first_of(count), from);
}
HOCKET_ALWAYS_INLINE void turn(__m512i (&square)[16]) {
  lanes_f32 rows[16];
  for (int i = 0; i < 16; ++i) rows[i] = reinterpret_cast<lanes_f32>(square[i]);
  avx512::transpose_from<float, 8>(rows);
  for (int i = 0; i < 16; ++i) square[i] = reinterpret_cast<__m512i>(rows[i]);
}

/// Two registers of f32 as the pairs (x[0], y[0]), (x[1], y[1]) ... of a right operand's row.
HOCKET_ALWAYS_INLINE __m512i interleaved(lanes_f32 x, lanes_f32 y) {
  alignas(64) static constexpr std::uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                          8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i both =
      reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(y), reinterpret_cast<__m512>(x)));
  return _mm512_permutexvar_epi16(_mm512_load_si512(order), both);
}
/// Two registers of f32 as 32 neighbouring elements.
HOCKET_ALWAYS_INLINE __m512i joined(lanes_f32 x, lanes_f32 y) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(y), reinterpret_cast<__m512>(x)));
}

HOCKET_AMX_END
