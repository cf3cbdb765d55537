// Mel scales and triangular filter banks, stored banded: a band touches few bins, so a dense matrix would cost several
// times the transform itself.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <hocket/audio/options.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/error.hpp>

namespace hocket::audio {

namespace detail {
// Slaney's Auditory Toolbox: 200/3 Hz per mel up to 1 kHz, then 27 mels for every factor of 6.4.
inline constexpr double slaney_hz_per_mel = 200.0 / 3.0;
inline constexpr double slaney_break_hz = 1000.0;
inline constexpr double slaney_break_mel = slaney_break_hz / slaney_hz_per_mel;
inline double slaney_log_step() { return std::log(6.4) / 27.0; }
}  // namespace detail

inline double hz_to_mel(mel_scale_kind scale, double hz) {
  switch (scale) {
    case mel_scale_kind::htk: return 2595.0 * std::log10(1.0 + hz / 700.0);
    case mel_scale_kind::kaldi: return 1127.0 * std::log(1.0 + hz / 700.0);
    case mel_scale_kind::slaney: break;
  }
  if (hz < detail::slaney_break_hz) return hz / detail::slaney_hz_per_mel;
  return detail::slaney_break_mel + std::log(hz / detail::slaney_break_hz) / detail::slaney_log_step();
}

inline double mel_to_hz(mel_scale_kind scale, double mel) {
  switch (scale) {
    case mel_scale_kind::htk: return 700.0 * (std::pow(10.0, mel / 2595.0) - 1.0);
    case mel_scale_kind::kaldi: return 700.0 * (std::exp(mel / 1127.0) - 1.0);
    case mel_scale_kind::slaney: break;
  }
  if (mel < detail::slaney_break_mel) return mel * detail::slaney_hz_per_mel;
  return detail::slaney_break_hz * std::exp(detail::slaney_log_step() * (mel - detail::slaney_break_mel));
}

/// What a filter bank depends on.
struct mel_options {
  double sample_rate = 22050;
  std::size_t n_fft = 2048;
  std::size_t n_mels = 128;
  double fmin = 0;
  double fmax = 11025;
  mel_scale_kind scale = mel_scale_kind::slaney;
  mel_norm norm = mel_norm::slaney;
  triangle_domain triangles = triangle_domain::hz;
  bin_frequency bins = bin_frequency::exact;
  bool use_nyquist = true;
};

/// Band m weighs bins first[m] .. first[m] + length[m]; its weights begin at begin[m]. A band that no bin falls into
/// has length 0 and yields 0, never NaN.
template <Real T>
struct mel_bank {
  std::vector<std::uint32_t> first, length, begin;  ///< (M)
  std::vector<T> weights;

  std::size_t size() const { return first.size(); }
  std::size_t empty_bands() const {
    return static_cast<std::size_t>(std::count(length.begin(), length.end(), std::uint32_t{0}));
  }
};

/// Edges and centres of the bands: n_mels + 2 points, equally spaced in mel between fmin and fmax; in mel.
inline std::vector<double> mel_points(const mel_options& o) {
  const double low = hz_to_mel(o.scale, o.fmin), high = hz_to_mel(o.scale, o.fmax);
  const double step = (high - low) / static_cast<double>(o.n_mels + 1);
  std::vector<double> points(o.n_mels + 2);
  for (std::size_t i = 0; i < points.size(); ++i) points[i] = low + static_cast<double>(i) * step;
  points.back() = high;
  return points;
}

inline double bin_to_hz(const mel_options& o, std::size_t k) {
  if (o.bins == bin_frequency::exact) return static_cast<double>(k) * o.sample_rate / static_cast<double>(o.n_fft);
  const std::size_t last = o.n_fft / 2;
  return last == 0 ? 0.0 : static_cast<double>(k) * std::floor(o.sample_rate / 2) / static_cast<double>(last);
}

/// Triangles computed in double, rounded once.
template <Real T>
mel_bank<T> make_mel_bank(const mel_options& o) {
  expects(o.n_fft >= 1 && o.n_mels >= 1, errc::bad_option, "a filter bank needs n_fft and n_mels of at least 1, got ",
          o.n_fft, " and ", o.n_mels);
  expects(o.fmin >= 0 && o.fmin < o.fmax, errc::bad_option, "fmin = ", o.fmin, " Hz and fmax = ", o.fmax,
          " Hz: expected 0 <= fmin < fmax");
  const std::vector<double> mels = mel_points(o);
  std::vector<double> hz(mels.size());
  for (std::size_t i = 0; i < mels.size(); ++i) hz[i] = mel_to_hz(o.scale, mels[i]);

  const std::size_t n_bins = o.n_fft / 2 + 1;
  const bool drop_last = !o.use_nyquist && o.n_fft % 2 == 0;
  const std::size_t used = drop_last ? n_bins - 1 : n_bins;
  const std::vector<double>& edge = o.triangles == triangle_domain::hz ? hz : mels;
  std::vector<double> at(used);
  for (std::size_t k = 0; k < used; ++k) {
    const double f = bin_to_hz(o, k);
    at[k] = o.triangles == triangle_domain::hz ? f : hz_to_mel(o.scale, f);
  }

  mel_bank<T> bank;
  for (std::size_t m = 0; m < o.n_mels; ++m) {
    const double area = o.norm == mel_norm::slaney ? 2.0 / (hz[m + 2] - hz[m]) : 1.0;
    std::size_t first = 0, count = 0;
    const std::size_t begin = bank.weights.size();
    for (std::size_t k = 0; k < used; ++k) {
      const double up = (at[k] - edge[m]) / (edge[m + 1] - edge[m]);
      const double down = (edge[m + 2] - at[k]) / (edge[m + 2] - edge[m + 1]);
      const double weight = std::min(up, down);
      if (!(weight > 0)) {
        if (count > 0) break;
        continue;
      }
      if (count == 0) first = k;
      bank.weights.push_back(static_cast<T>(weight * area));
      ++count;
    }
    bank.first.push_back(static_cast<std::uint32_t>(first));
    bank.length.push_back(static_cast<std::uint32_t>(count));
    bank.begin.push_back(static_cast<std::uint32_t>(begin));
  }
  return bank;
}

}  // namespace hocket::audio

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in audio/instances.cpp
namespace hocket::audio {
HOCKET_AUDIO_INSTANCE mel_bank<float> make_mel_bank<float>(const mel_options&);
HOCKET_AUDIO_INSTANCE mel_bank<double> make_mel_bank<double>(const mel_options&);
}  // namespace hocket::audio
#endif
