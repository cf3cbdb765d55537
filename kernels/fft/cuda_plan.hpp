// The tables of a complex transform in shared memory, laid out as flat arrays to upload once. Lengths whose prime
// factors are 2, 3, 5, 7 are cut into the radices of plan.hpp; any other goes through Bluestein's chirp, which takes
// twice to four times the memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <hocket/core/error.hpp>
#include <hocket/kernels/fft/cuda_tables.hpp>
#include <hocket/kernels/fft/plan.hpp>

namespace hocket::kernels::fft::gpu {

/// Complex numbers of shared memory that an array of `length` takes: one is left free after every 16, so that the
/// strides of 8 with which a first pass writes meet each of 16 banks once.
constexpr std::size_t padded(std::size_t length) { return length + length / 16; }

/// The arrays on the host.
struct flat_plan {
  std::vector<pass> passes;
  std::vector<float> numbers;  ///< pairs (re, im): twiddles, then chirp, then chirp_spectrum
  std::size_t size = 0, length = 0, chirp = 0, chirp_spectrum = 0;  ///< the last two count floats in `numbers`
  bool chirped = false;

  explicit flat_plan(std::size_t n) : size(n), length(n) {
    expects(n >= 1 && n <= largest, errc::unsupported_shape, "fft on the device: a length of ", n, " is not 1 to ",
            largest, ", what shared memory can hold");
    chirped = n > 1 && small_radices(n).empty();
    if (chirped) length = smooth_length(2 * n - 1);
    std::size_t left = length, done = 1;
    for (const std::size_t radix : small_radices(length)) {
      const std::size_t m = left / radix;
      passes.push_back({word(radix), word(m), word(done),
                        done > 1 ? word(((std::uint64_t{1} << 32) + done - 1) / done) : 0, word(numbers.size() / 2)});
      if (m > 1)
        for (std::size_t k = 1; k < radix; ++k)
          for (std::size_t p = 0; p < m; ++p) {
            const auto [c, s] = root_of_unity<float>(p * k, left);
            numbers.insert(numbers.end(), {c, s});
          }
      done *= radix;
      left = m;
    }
    if (!chirped) return;
    const fft::plan<float> tables(n);  // the same chirp as the CPU's
    chirp = numbers.size();
    numbers.insert(numbers.end(), tables.chirp(), tables.chirp() + 2 * n);
    chirp_spectrum = numbers.size();
    numbers.insert(numbers.end(), tables.chirp_spectrum(), tables.chirp_spectrum() + 2 * length);
  }

  /// The arrays of a copy of `passes` and `numbers` on the device.
  transform bind(const pass* device_passes, const float* device_numbers) const {
    const auto* const all = reinterpret_cast<const complex*>(device_numbers);
    return {device_passes,
            all,
            chirped ? all + chirp / 2 : nullptr,
            chirped ? all + chirp_spectrum / 2 : nullptr,
            word(passes.size()),
            word(size),
            word(length)};
  }

  /// Above it no card's shared memory holds two arrays; indices stay far below 2^16.
  static constexpr std::size_t largest = 14000;

 private:
  static std::uint32_t word(std::size_t x) { return static_cast<std::uint32_t>(x); }
};

}  // namespace hocket::kernels::fft::gpu
