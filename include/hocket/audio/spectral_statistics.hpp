// Statistics of the spectrum and of the samples of each frame, with librosa's definitions: centroid, bandwidth,
// roll-off, flatness, zero crossing rate, RMS.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include <hocket/audio/mfcc.hpp>

namespace hocket::audio {

/// Rows of the result, in this order.
enum class statistic { centroid, bandwidth, rolloff, flatness, zero_crossing_rate, rms };
inline constexpr std::size_t n_statistics = 6;
inline constexpr std::array<std::string_view, n_statistics> statistic_names = {
    "centroid_hz", "bandwidth_hz", "rolloff_hz", "flatness", "zero_crossing_rate", "rms"};

struct statistics_options {
  std::size_t n_fft = 2048;
  std::size_t hop_length = 512;
  double rolloff = 0.85;
  double amin = 1e-10;
  double crossing_threshold = 1e-10;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("n_fft", self.n_fft, "samples: length of transform and frame");
    visit("hop_length", self.hop_length, "samples between frames");
    visit("rolloff", self.rolloff, "share of the magnitude that lies below the roll-off frequency");
    visit("amin", self.amin, "powers are raised to at least this before the flatness");
    visit("crossing_threshold", self.crossing_threshold, "samples of at most this magnitude count as zero");
  }
};

/// Centroid, bandwidth and roll-off weigh frequencies by the magnitude |X| (hann, zeros beyond the ends, centred),
/// flatness is of the power; the zero crossing rate holds the edge sample beyond the ends, the RMS sees zeros there.
template <Real T>
class statistics_plan {
 public:
  statistics_plan(const statistics_options& options, double sample_rate, const cpu& device = {})
      : options_(options),
        sample_rate_(sample_rate),
        magnitude_(spectrum_options(options), sample_rate, feature::power, device) {
    expects(options.rolloff > 0 && options.rolloff < 1, errc::bad_option, "rolloff is ", options.rolloff,
            "; expected a number between 0 and 1");
    expects(options.amin > 0, errc::bad_option, "amin is ", options.amin, "; expected more than 0");
  }

  std::size_t frames(std::size_t samples) const { return magnitude_.frames(samples); }

  struct workspace {
    mfcc_workspace<T> spectrum;
    buffer<T> magnitudes;  ///< (K,F)
  };
  workspace make_workspace(std::size_t samples) const {
    return {magnitude_.make_workspace(samples), buffer<T>(magnitude_.rows() * frames(samples))};
  }

  /// clip (n) -> out (6, F).
  void run(const view<const T, 1>& clip, const view<T, 2>& out, workspace& space) const {
    const std::size_t count = frames(clip.extent(0));
    expects(out.extent(0) == n_statistics && out.extent(1) == count, errc::unsupported_shape, "a clip of ",
            clip.extent(0), " samples gives ", n_statistics, " x ", count, " statistics, the output is ",
            to_text(out.extents()));
    const view<T, 2> magnitudes = space.magnitudes.as_matrix(magnitude_.rows(), count);
    magnitude_.extract(clip, magnitudes, space.spectrum);
    for (std::size_t f = 0; f < count; ++f) {
      of_spectrum(magnitudes, f, out);
      out(index(statistic::zero_crossing_rate), f) = crossing_rate(clip, f);
      out(index(statistic::rms), f) = root_mean_square(clip, f);
    }
  }
  matrix<T> operator()(const view<const T, 1>& clip) const {
    matrix<T> out(n_statistics, frames(clip.extent(0)));
    workspace space = make_workspace(clip.extent(0));
    run(clip, out.as_view(), space);
    return out;
  }

 private:
  static constexpr std::size_t index(statistic s) { return static_cast<std::size_t>(s); }
  static mfcc_options spectrum_options(const statistics_options& options) {
    mfcc_options o;
    o.n_fft = options.n_fft;
    o.hop_length = options.hop_length;
    o.power = 1;
    return o;
  }
  double hz(std::size_t k) const { return static_cast<double>(k) * sample_rate_ / static_cast<double>(options_.n_fft); }

  void of_spectrum(const view<const T, 2>& magnitudes, std::size_t f, const view<T, 2>& out) const {
    const std::size_t bins = magnitudes.extent(0);
    double total = 0, weighted = 0, logs = 0, powers = 0;
    for (std::size_t k = 0; k < bins; ++k) {
      const double s = static_cast<double>(magnitudes(k, f));
      total += s;
      weighted += hz(k) * s;
      const double power = std::max(options_.amin, s * s);
      logs += std::log(power);
      powers += power;
    }
    // a silent frame is not normalised: its centroid and bandwidth are 0
    const double norm = total < static_cast<double>(std::numeric_limits<T>::min()) ? 1.0 : total;
    const double centroid = weighted / norm;
    double spread = 0, sum = 0;
    std::size_t rolloff = bins - 1;
    bool found = false;
    for (std::size_t k = 0; k < bins; ++k) {
      const double s = static_cast<double>(magnitudes(k, f));
      spread += s / norm * (hz(k) - centroid) * (hz(k) - centroid);
      sum += s;
      if (!found && sum >= options_.rolloff * total) {
        rolloff = k;
        found = true;
      }
    }
    const double n = static_cast<double>(bins);
    out(index(statistic::centroid), f) = static_cast<T>(centroid);
    out(index(statistic::bandwidth), f) = static_cast<T>(std::sqrt(spread));
    out(index(statistic::rolloff), f) = static_cast<T>(hz(rolloff));
    out(index(statistic::flatness), f) = static_cast<T>(std::exp(logs / n) / (powers / n));
  }

  /// Position of sample i of frame f, relative to the clip.
  std::ptrdiff_t position(std::size_t f, std::size_t i) const {
    return static_cast<std::ptrdiff_t>(f * options_.hop_length + i) - static_cast<std::ptrdiff_t>(options_.n_fft / 2);
  }

  T crossing_rate(const view<const T, 1>& clip, std::size_t f) const {
    const auto n = static_cast<std::ptrdiff_t>(clip.extent(0));
    // signbit, so that a negative zero outside the threshold's reach cannot occur: what is small is +0
    const auto negative = [&](std::size_t i) {
      const T x = clip[static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(position(f, i), 0, n - 1))];
      return x < T{0} && -x > static_cast<T>(options_.crossing_threshold);
    };
    std::size_t crossings = 0;
    bool last = negative(0);
    for (std::size_t i = 1; i < options_.n_fft; ++i) {
      const bool now = negative(i);
      crossings += now != last;
      last = now;
    }
    return static_cast<T>(static_cast<double>(crossings) / static_cast<double>(options_.n_fft));
  }

  T root_mean_square(const view<const T, 1>& clip, std::size_t f) const {
    const auto n = static_cast<std::ptrdiff_t>(clip.extent(0));
    const std::ptrdiff_t first = std::max<std::ptrdiff_t>(position(f, 0), 0),
                         last = std::min(position(f, options_.n_fft), n);
    double sum = 0;
    for (std::ptrdiff_t i = first; i < last; ++i) {
      const double x = static_cast<double>(clip[static_cast<std::size_t>(i)]);
      sum += x * x;
    }
    return static_cast<T>(std::sqrt(sum / static_cast<double>(options_.n_fft)));
  }

  statistics_options options_;
  double sample_rate_;
  mfcc_plan<T> magnitude_;
};

}  // namespace hocket::audio

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in audio/instances.cpp
namespace hocket::audio {
HOCKET_AUDIO_INSTANCE class statistics_plan<float>;
HOCKET_AUDIO_INSTANCE class statistics_plan<double>;
}  // namespace hocket::audio
#endif
