// Philox4x32-10 (core/rng.hpp) side by side in the lanes of a register: a SIMD body (core/simd.hpp) includes this file
// after it has opened its namespace and included core/simd_lanes.inl.

typedef std::uint32_t philox_words __attribute__((vector_size(HOCKET_SIMD_BYTES)));
typedef std::uint64_t philox_pairs __attribute__((vector_size(HOCKET_SIMD_BYTES)));

/// Products of the low halves of the lanes.
HOCKET_ALWAYS_INLINE philox_pairs philox_product(philox_pairs x, std::uint32_t by) {
  const philox_pairs factor = philox_pairs{} + by;
#if defined(__x86_64__) && !defined(__clang__)
  // g++ multiplies the whole lanes where it is not told that the upper halves do not matter.
  typedef int words __attribute__((vector_size(HOCKET_SIMD_BYTES)));
#if HOCKET_SIMD_BYTES == 64
  typedef long long pairs __attribute__((vector_size(HOCKET_SIMD_BYTES)));
  return reinterpret_cast<philox_pairs>(__builtin_ia32_pmuludq512_mask(
      reinterpret_cast<words>(x), reinterpret_cast<words>(factor), pairs{}, static_cast<unsigned char>(-1)));
#elif HOCKET_SIMD_BYTES == 32
  return reinterpret_cast<philox_pairs>(
      __builtin_ia32_pmuludq256(reinterpret_cast<words>(x), reinterpret_cast<words>(factor)));
#else
  return reinterpret_cast<philox_pairs>(
      __builtin_ia32_pmuludq128(reinterpret_cast<words>(x), reinterpret_cast<words>(factor)));
#endif
#else
  return (x & 0xffffffffU) * factor;
#endif
}

/// The words of block first + i step in lane i of words[0 ... 3]; step x lanes < 2^32. Even and odd lanes are worked on
/// apart, each word in the low half of a lane of 64 bits: products need no shuffles, and upper halves are never read.
HOCKET_ALWAYS_INLINE void philox_lanes(std::uint64_t seed, std::uint64_t stream, std::uint64_t first,
                                       std::uint32_t step, philox_words (&words)[4]) {
  philox_pairs even{};
#pragma GCC unroll 8
  for (std::size_t i = 0; i < HOCKET_SIMD_BYTES / 8; ++i) even[i] = 2 * i * step;
  const philox_pairs block[2] = {even + first, even + (first + step)};
  philox_pairs c[2][4];
#pragma GCC unroll 2
  for (std::size_t half = 0; half < 2; ++half) {
    c[half][0] = block[half];
    c[half][1] = block[half] >> 32;
    c[half][2] = philox_pairs{} + (stream & 0xffffffffU);
    c[half][3] = philox_pairs{} + (stream >> 32);
  }
  auto k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
#pragma GCC unroll 2
    for (std::size_t half = 0; half < 2; ++half) {
      const philox_pairs p0 = philox_product(c[half][0], 0xD2511F53), p1 = philox_product(c[half][2], 0xCD9E8D57);
      c[half][0] = (p1 >> 32) ^ c[half][1] ^ (philox_pairs{} + k0);
      c[half][1] = p1;
      c[half][2] = (p0 >> 32) ^ c[half][3] ^ (philox_pairs{} + k1);
      c[half][3] = p0;
    }
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
#pragma GCC unroll 4
  for (std::size_t w = 0; w < 4; ++w)
    words[w] = reinterpret_cast<philox_words>((c[0][w] & 0xffffffffU) | (c[1][w] << 32));
}
