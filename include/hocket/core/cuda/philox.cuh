// Philox4x32-10 in a kernel: the same words as core/rng.hpp gives on the host.
#pragma once

#include <cstdint>

#include <hocket/core/cuda/seam.cuh>

namespace hocket::cu {

/// `words` holds the counter and becomes the block of random words under the key (k0, k1).
HOCKET_DEVICE void philox4x32(std::uint32_t (&words)[4], std::uint32_t k0, std::uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * words[0], p1 = std::uint64_t{0xCD9E8D57} * words[2];
    words[0] = static_cast<std::uint32_t>(p1 >> 32) ^ words[1] ^ k0;
    words[1] = static_cast<std::uint32_t>(p1);
    words[2] = static_cast<std::uint32_t>(p0 >> 32) ^ words[3] ^ k1;
    words[3] = static_cast<std::uint32_t>(p0);
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
}

}  // namespace hocket::cu
