// Dropout of probabilities on CUDA: the masks of shape.hpp, eight keys a Philox block. A warp makes every block of its
// tile once, spread over its lanes, as one byte; who needs a byte fetches it by a shuffle. Kernels with and without
// dropout are compiled apart (`Drops`): together they would take up to 46 more registers (sm_80).
#pragma once

#include <hocket/core/cuda/philox.cuh>
#include <hocket/kernels/attention/cuda_walk.cuh>

namespace hocket::kernels::attention::gpu {

/// Bit j: whether key j of one block's group stays.
HOCKET_DEVICE unsigned keep_byte(const dropping& d, std::uint64_t block) {
  std::uint32_t words[4] = {static_cast<unsigned>(block), static_cast<unsigned>(block >> 32), d.stream_low,
                            d.stream_high};
  cu::philox4x32(words, d.seed_low, d.seed_high);
  unsigned bits = 0;
  HOCKET_UNROLL
  for (unsigned j = 0; j < 8; ++j) bits |= ((words[j / 2] >> (j % 2 * 16) & 0xffffu) >= d.threshold ? 1u : 0u) << j;
  return bits;
}

/// The block of query i and the group of eight keys from key `first` on (a multiple of 8) of the own keys or the
/// prefix.
HOCKET_DEVICE std::uint64_t keep_block(const facts& s, unsigned b, unsigned h, int i, bool own, int first) {
  const unsigned of_prefix = (s.prefix + 7) / 8, groups = of_prefix + (s.keys + 7) / 8;
  return fact_at(s, b, h, i) * std::uint64_t{groups} + (own ? of_prefix : 0) + static_cast<unsigned>(first) / 8;
}

/// The bytes of a warp's `Count` blocks, at most 128: byte n of lane l belongs to block 32 n + l. `block(index)` is its
/// Philox block.
template <unsigned Count, class Block>
HOCKET_DEVICE unsigned keep_bytes(const facts& s, Block block) {
  static_assert(Count <= 128);
  unsigned bytes = 0;
  HOCKET_UNROLL
  for (unsigned n = 0; n < (Count + 31) / 32; ++n)
    bytes |= keep_byte(s.drop, block((32 * n + cu::lane()) % Count)) << (8 * n);
  return bytes;
}

/// The byte of block `index`, above it others; the whole warp asks.
HOCKET_DEVICE unsigned keep_of(unsigned bytes, unsigned index) {
  return cu::shfl(bytes, index % 32) >> (index / 32 * 8);
}

/// Of the probabilities that stay.
template <bool Drops>
HOCKET_DEVICE float kept_scale(const facts& s) {
  return Drops ? s.drop.scale : 1.0f;
}

}  // namespace hocket::kernels::attention::gpu
