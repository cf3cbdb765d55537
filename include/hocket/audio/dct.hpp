// Cosine transforms over the mel bands, as a table, with the lifter folded in.
#pragma once

#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

#include <hocket/audio/options.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/error.hpp>

namespace hocket::audio {

/// Weight of input m in coefficient c of the cosine transform of n values, scipy's definitions:
///   II   2 sum x[m] cos(pi c (2m+1) / 2n);  ortho: times sqrt(1/4n) for c = 0, sqrt(1/2n) else
///   III  x[0] + 2 sum over m > 0 of x[m] cos(pi m (2c+1) / 2n);  ortho: x[0] / sqrt(n) and sqrt(2/n) for the others
inline double dct_value(std::size_t type, dct_norm norm, std::size_t n, std::size_t c, std::size_t m) {
  const double size = static_cast<double>(n);
  const std::size_t order = type == 2 ? c : m;  // the index that may be zero
  const std::size_t place = type == 2 ? m : c;
  // the angle is reduced by whole turns first, so large indices lose nothing
  const double angle = std::numbers::pi * static_cast<double>(order * (2 * place + 1) % (4 * n)) / (2.0 * size);
  if (norm == dct_norm::ortho) return (order == 0 ? std::sqrt(1.0 / size) : std::sqrt(2.0 / size)) * std::cos(angle);
  return (type == 3 && order == 0 ? 1.0 : 2.0) * std::cos(angle);
}

/// Factor of coefficient c; `width` is Kaldi's cepstral_lifter (22), librosa's lifter. 0: none.
inline double lifter_value(double width, lifter_index index, std::size_t c) {
  if (width == 0) return 1.0;
  const double i = static_cast<double>(index == lifter_index::n ? c : c + 1);
  return 1.0 + width / 2.0 * std::sin(std::numbers::pi * i / width);
}

/// (n_mfcc, n_mels) row-major: rows of the transform times their lifter.
template <Real T>
std::vector<T> make_dct(std::size_t type, dct_norm norm, std::size_t n_mfcc, std::size_t n_mels, double lifter = 0,
                        lifter_index index = lifter_index::n_plus_1) {
  expects(type == 2 || type == 3, errc::bad_option, "dct_type is ", type, "; known are 2 and 3");
  expects(n_mfcc <= n_mels, errc::bad_option, "n_mfcc is ", n_mfcc, ", more than n_mels = ", n_mels);
  std::vector<T> table(n_mfcc * n_mels);
  for (std::size_t c = 0; c < n_mfcc; ++c)
    for (std::size_t m = 0; m < n_mels; ++m)
      table[c * n_mels + m] = static_cast<T>(dct_value(type, norm, n_mels, c, m) * lifter_value(lifter, index, c));
  return table;
}

}  // namespace hocket::audio
