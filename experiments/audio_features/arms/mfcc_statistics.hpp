// librosa's MFCC and six descriptions of each frame's spectrum and wave, pooled over time. Definitions as in librosa
// 0.11 (feature.spectral_centroid, _bandwidth, _rolloff, _flatness, zero_crossing_rate, rms), over the bins up to 8
// kHz.
#pragma once

#include <algorithm>
#include <array>

#include "experiments/audio_features/arm.hpp"

namespace hocket::experiments::audio_features {

/// Rows of spectral_statistics.
enum statistic : std::size_t { centroid_hz, bandwidth_hz, rolloff_hz, flatness, zero_crossings, rms, statistic_count };

/// One spectrum of powers |X|^2 (K) -> the four spectral rows. `bin_hz` is the distance of two bins.
template <Real T>
void spectral_statistics(const view<const T, 1>& power, double bin_hz, std::array<double, statistic_count>& out) {
  constexpr double floor = 1e-10;  // librosa's amin of the flatness
  double total = 0, weighted = 0, squares = 0, logs = 0, held = 0;
  const std::size_t bins = power.extent(0);
  for (std::size_t k = 0; k < bins; ++k) {
    const double energy = static_cast<double>(power(k)), magnitude = std::sqrt(energy);
    total += magnitude;
    weighted += static_cast<double>(k) * magnitude;
    logs += std::log(std::max(energy, floor));
    held += std::max(energy, floor);
  }
  const double centre = total > 0 ? weighted / total : 0;
  double below = 0;
  std::size_t rolloff = 0;
  bool reached = false;
  for (std::size_t k = 0; k < bins; ++k) {
    const double magnitude = std::sqrt(static_cast<double>(power(k)));
    const double off = static_cast<double>(k) - centre;
    squares += off * off * magnitude;
    below += magnitude;
    if (!reached && below >= 0.85 * total) {
      rolloff = k;
      reached = true;
    }
  }
  out[centroid_hz] = centre * bin_hz;
  out[bandwidth_hz] = total > 0 ? std::sqrt(squares / total) * bin_hz : 0;
  out[rolloff_hz] = static_cast<double>(rolloff) * bin_hz;
  out[flatness] = std::exp(logs / static_cast<double>(bins)) / (held / static_cast<double>(bins));
}

template <Real T>
class mfcc_statistics final : public arm<T> {
 public:
  explicit mfcc_statistics(double rate)
      : cepstra_(at_rate(audio::presets::librosa_0_11(), 22050, rate), rate),
        spectrum_(at_rate(audio::presets::librosa_0_11(), 22050, rate), rate, audio::feature::power),
        bin_hz_(rate / static_cast<double>(*spectrum_.options().n_fft)),
        bins_(std::min(spectrum_.rows(), static_cast<std::size_t>(highest_hz / bin_hz_) + 1)) {}

  std::size_t size() const override { return 2 * (cepstra_.rows() + statistic_count); }
  void run(const view<const T, 1>& clip, std::span<double> out) override {
    const std::size_t frames = spectrum_.frames(clip.extent(0)), cepstra = 2 * cepstra_.rows();
    pool<T>(cepstra_(clip).as_view(), out.first(cepstra));
    const audio::matrix<T> power = spectrum_(clip);
    std::vector<T> column(bins_);
    std::vector<double> rows(statistic_count * frames);
    std::array<double, statistic_count> values{};
    for (std::size_t f = 0; f < frames; ++f) {
      for (std::size_t k = 0; k < bins_; ++k) column[k] = power(k, f);
      spectral_statistics<T>(make_view(std::as_const(column)), bin_hz_, values);
      wave_statistics(clip, f, values);
      for (std::size_t s = 0; s < statistic_count; ++s) rows[s * frames + f] = values[s];
    }
    pool<double>(make_view(std::as_const(rows), statistic_count, frames), out.subspan(cepstra));
  }

 private:
  /// Sign changes per sample and root mean square of the samples under frame f; beyond the ends there are zeros.
  void wave_statistics(const view<const T, 1>& clip, std::size_t f, std::array<double, statistic_count>& out) const {
    const auto length = static_cast<std::ptrdiff_t>(*spectrum_.options().n_fft);
    const auto first = static_cast<std::ptrdiff_t>(f * *spectrum_.options().hop_length) - length / 2;
    const std::ptrdiff_t begin = std::max<std::ptrdiff_t>(first, 0);
    const std::ptrdiff_t end = std::min(first + length, static_cast<std::ptrdiff_t>(clip.extent(0)));
    double squares = 0;
    std::size_t crossings = 0;
    for (std::ptrdiff_t i = begin; i < end; ++i) {
      const T now = clip(static_cast<std::size_t>(i));
      squares += static_cast<double>(now) * static_cast<double>(now);
      if (i > begin) crossings += (now < 0) != (clip(static_cast<std::size_t>(i - 1)) < 0);
    }
    out[zero_crossings] = static_cast<double>(crossings) / static_cast<double>(length);
    out[rms] = std::sqrt(squares / static_cast<double>(length));
  }

  audio::mfcc_plan<T> cepstra_, spectrum_;
  double bin_hz_;
  std::size_t bins_;
};

}  // namespace hocket::experiments::audio_features
