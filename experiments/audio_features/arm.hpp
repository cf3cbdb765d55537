// What an arm is: a way from the samples of a clip to one vector, built once per sample rate.
//
// Recordings keep their own sample rate (there is no resampling), and two of the five styles come at 48 kHz: so that
// neither the rate nor a codec's cutoff names the class, every arm looks at the band up to 8 kHz, and a library's
// window and hop are given in time: librosa's 2048 samples at its 22.05 kHz are 93 ms at any rate.
#pragma once

#include <cmath>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <hocket/audio/mfcc.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/view.hpp>

namespace hocket::experiments::audio_features {

/// Hz: no arm sees anything above.
inline constexpr double highest_hz = 8000;
/// Hz: recordings below twice that rate are left out.
inline constexpr double lowest_rate = 2 * highest_hz;

/// One arm at one sample rate and precision.
template <Real T>
class arm {
 public:
  virtual ~arm() = default;
  /// Length of the vector.
  virtual std::size_t size() const = 0;
  /// clip (n), n >= 1 -> out (size).
  virtual void run(const view<const T, 1>& clip, std::span<double> out) = 0;
};

/// The nearest even length whose odd part is a product of 3, 5 and 7: a transform of that length is cheap.
inline std::size_t cheap_length(double wanted) {
  const auto cheap = [](std::size_t n) {
    for (const std::size_t factor : {2u, 3u, 5u, 7u})
      while (n % factor == 0) n /= factor;
    return n == 1;
  };
  std::size_t best = 2;
  for (std::size_t n = 2; n <= static_cast<std::size_t>(2 * wanted) + 2; n += 2)
    if (cheap(n) && std::abs(static_cast<double>(n) - wanted) < std::abs(static_cast<double>(best) - wanted)) best = n;
  return best;
}

/// A preset whose sizes mean samples at `nominal_rate`, at another rate: same window and hop in time, band up to 8 kHz.
inline audio::mfcc_options at_rate(audio::mfcc_options options, double nominal_rate, double rate) {
  options.fmax = highest_hz;
  if (!options.n_fft) return options;  // Kaldi's sizes are in milliseconds
  const double win = static_cast<double>(*options.n_fft);
  const double hop = options.hop_length ? static_cast<double>(*options.hop_length) : win / 2;
  options.n_fft = cheap_length(win * rate / nominal_rate);
  options.hop_length = static_cast<std::size_t>(std::lround(hop * rate / nominal_rate));
  return options;
}

/// Mean and standard deviation over the frames of every row of (R, F): out (2 R), means first. No frames: zeros.
template <Real T>
void pool(const view<const T, 2>& frames, std::span<double> out) {
  const std::size_t rows = frames.extent(0);
  const double count = static_cast<double>(frames.extent(1));
  for (std::size_t r = 0; r < rows; ++r) {
    double sum = 0, squares = 0;
    for (std::size_t f = 0; f < frames.extent(1); ++f) sum += static_cast<double>(frames(r, f));
    const double mean = count > 0 ? sum / count : 0;
    for (std::size_t f = 0; f < frames.extent(1); ++f) {
      const double centred = static_cast<double>(frames(r, f)) - mean;
      squares += centred * centred;
    }
    out[r] = mean;
    out[rows + r] = count > 0 ? std::sqrt(squares / count) : 0;
  }
}

}  // namespace hocket::experiments::audio_features
