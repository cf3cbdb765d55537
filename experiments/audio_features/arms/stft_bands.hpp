// The spectrum without a perceptual scale: power in 40 bands of equal width up to 8 kHz, in dB, pooled over time. What
// the mel scale adds is measured against it.
#pragma once

#include <algorithm>

#include "experiments/audio_features/arm.hpp"

namespace hocket::experiments::audio_features {

template <Real T>
class stft_bands final : public arm<T> {
 public:
  static constexpr std::size_t bands = 40;

  explicit stft_bands(double rate)
      : plan_(at_rate(audio::presets::librosa_0_11(), 22050, rate), rate, audio::feature::power),
        band_of_(plan_.rows(), bands) {
    const double bin_hz = rate / static_cast<double>(*plan_.options().n_fft);
    for (std::size_t k = 0; k < plan_.rows(); ++k) {
      const double hz = static_cast<double>(k) * bin_hz;
      if (hz < highest_hz) band_of_[k] = static_cast<std::size_t>(hz / highest_hz * static_cast<double>(bands));
    }
  }

  std::size_t size() const override { return 2 * bands; }
  void run(const view<const T, 1>& clip, std::span<double> out) override {
    const std::size_t frames = plan_.frames(clip.extent(0));
    if (power_.size() < plan_.rows() * frames) {
      power_ = buffer<T>(plan_.rows() * frames);
      levels_ = buffer<T>(bands * frames);
    }
    const view<T, 2> power(power_.data(), {plan_.rows(), frames}), levels(levels_.data(), {bands, frames});
    auto space = plan_.make_workspace(clip.extent(0));
    plan_.run(clip, power, space);
    std::fill_n(levels_.data(), bands * frames, T{0});
    for (std::size_t k = 0; k < plan_.rows(); ++k) {
      if (band_of_[k] == bands) continue;
      for (std::size_t f = 0; f < frames; ++f) levels(band_of_[k], f) += power(k, f);
    }
    for (std::size_t i = 0; i < bands * frames; ++i) levels_[i] = T{10} * std::log10(std::max(levels_[i], T(1e-10)));
    pool<T>(levels, out);
  }

 private:
  audio::mfcc_plan<T> plan_;
  std::vector<std::size_t> band_of_;  ///< (K); `bands`: above 8 kHz
  buffer<T> power_, levels_;
};

}  // namespace hocket::experiments::audio_features
