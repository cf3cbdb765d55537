// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2,
// 3", SC 2011). Value i of stream (seed, stream) is a pure function of (seed, stream, i), so draws do not depend on the
// order or the thread in which they are made.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <utility>

#include <hocket/core/config.hpp>

namespace hocket {

namespace detail {
__extension__ typedef unsigned __int128 uint128;  // -Wpedantic knows no 128-bit integer
}

/// One block of four 32-bit words for a 128-bit counter and a 64-bit key.
constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                  std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
               static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

/// A stream of random numbers. Copyable; `at` functions are random access, `next` functions advance.
class philox {
 public:
  explicit constexpr philox(std::uint64_t seed, std::uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  /// 64 random bits of draw i.
  constexpr std::uint64_t bits_at(std::uint64_t i) const {
    const std::uint64_t block_index = i / 2;
    const auto block =
        philox4x32({static_cast<std::uint32_t>(block_index), static_cast<std::uint32_t>(block_index >> 32),
                    static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)},
                   {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)});
    const std::size_t half = i % 2 ? 2 : 0;
    return (std::uint64_t{block[half]} << 32) | block[half + 1];
  }
  /// Uniform in [0, 1): 53 random bits.
  constexpr double uniform_at(std::uint64_t i) const { return static_cast<double>(bits_at(i) >> 11) * 0x1p-53; }
  /// Standard normal, by Box and Muller's transform of draws 2i and 2i + 1.
  double normal_at(std::uint64_t i) const {
    const double u = 1.0 - uniform_at(2 * i);  // in (0, 1]
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * uniform_at(2 * i + 1));
  }

  constexpr std::uint64_t next_bits() { return bits_at(position_++); }
  constexpr double next_uniform() { return uniform_at(position_++); }
  /// Uses two draws.
  double next_normal() {
    position_ += position_ % 2;
    const double value = normal_at(position_ / 2);
    position_ += 2;
    return value;
  }
  /// Uniform in [0, n), without bias (Lemire, "Fast random integer generation in an interval", 2019). n >= 1.
  constexpr std::uint64_t next_below(std::uint64_t n) {
    const std::uint64_t threshold = (0 - n) % n;
    while (true) {
      const detail::uint128 product = static_cast<detail::uint128>(next_bits()) * n;
      if (static_cast<std::uint64_t>(product) >= threshold) return static_cast<std::uint64_t>(product >> 64);
    }
  }
  /// Fisher-Yates.
  template <class RandomAccessRange>
  constexpr void shuffle(RandomAccessRange& range) {
    for (std::size_t i = range.size(); i > 1; --i) {
      using std::swap;
      swap(range[i - 1], range[static_cast<std::size_t>(next_below(i))]);
    }
  }

  constexpr std::uint64_t position() const { return position_; }
  constexpr void seek(std::uint64_t position) { position_ = position; }

 private:
  std::uint64_t seed_;
  std::uint64_t stream_;
  std::uint64_t position_ = 0;
};

}  // namespace hocket
