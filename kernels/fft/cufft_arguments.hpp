// What cuFFT is to be called with for a batch of real rows: cufftMakePlanMany64's "advanced layout". Element j of row b
// of the input lies at b idist + j istride, and inembed only matters in being given: without it cuFFT ignores strides.
// Pure, so that it is tested without the library.
#pragma once

#include <cstddef>

#include <hocket/core/error.hpp>

namespace hocket::kernels::fft {

/// `batch` rows of n reals, `stride_in` elements apart -> rows of n / 2 + 1 complex numbers, `stride_out` of those
/// apart.
struct real_rows {
  std::size_t n = 0, batch = 0, stride_in = 0, stride_out = 0;
};

struct cufft_arguments {
  int rank = 1;
  long long n = 0;
  long long inembed = 0, istride = 1, idist = 0;
  long long onembed = 0, ostride = 1, odist = 0;
  long long batch = 0;
};

inline cufft_arguments to_cufft(const real_rows& rows) {
  const std::size_t bins = rows.n / 2 + 1;
  expects(rows.n >= 1, errc::unsupported_shape, "cufft: the length is 0; a transform has at least 1 point");
  // overlapping input rows are fine (frames of a signal), overlapping output rows are not
  expects(rows.batch <= 1 || rows.stride_out >= bins, errc::unsupported_shape, "cufft: rows of ", bins,
          " bins cannot be ", rows.stride_out, " apart");
  expects(rows.n <= std::size_t{1} << 27, errc::unsupported_shape, "cufft: the length ", rows.n, " exceeds 2^27");
  const auto wide = [](std::size_t x) { return static_cast<long long>(x); };
  return {1, wide(rows.n),          wide(rows.n),    1, wide(rows.stride_in), wide(bins),
          1, wide(rows.stride_out), wide(rows.batch)};
}

}  // namespace hocket::kernels::fft
