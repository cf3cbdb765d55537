// What a complex transform in shared memory reads on the device: passes, twiddles, and for lengths with a prime factor
// above 7 Bluestein's chirp. cuda_plan.hpp lays them out, cuda.cuh runs them; the formulas stand in plan.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hocket::kernels::fft::gpu {

struct alignas(8) complex {
  float re, im;
};

/// One step of Stockham's autosort transform: radix S = `radix`, m = n / S of the length that is left, s = product of
/// the radices before. Butterfly i in [0, m s) stands for p = i / s and q = i % s.
struct pass {
  std::uint32_t radix, m, s;
  std::uint32_t reciprocal;  ///< ceil(2^32 / s): i / s is the upper half of i * reciprocal while i s < 2^32; s >= 2
  std::uint32_t twiddles;    ///< where (S - 1, m) numbers w_n^{p k}, k = 1 .. S - 1, begin; unused when m = 1
};

/// The arrays on the device, and the sizes; a kernel argument.
struct transform {
  const pass* passes;             ///< (count)
  const complex* twiddles;        ///< of all passes
  const complex* chirp;           ///< (size) exp(-pi i k^2 / n), null when the length needs none
  const complex* chirp_spectrum;  ///< (length)
  std::uint32_t count;
  std::uint32_t size;    ///< points of the transform
  std::uint32_t length;  ///< points of the passes: size, or the length of Bluestein's convolution
};

}  // namespace hocket::kernels::fft::gpu
