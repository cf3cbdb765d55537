// The definition of the chain from samples to cepstra: plain sums straight from the tables, O(n_fft^2) per frame, in
// double whatever T is. Nothing here is fast; it is what every arm of this room is compared with.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <limits>
#include <numbers>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/mfcc/tables.hpp>

namespace hocket::kernels::mfcc::reference {

inline constexpr std::ptrdiff_t no_sample = -1;

/// Index of the sample that stands at position i of a clip of n samples, no_sample for a zero. Reflections go on for as
/// long as needed (period 2 (n - 1), or 2 n when the edge is repeated), as numpy's do.
inline std::ptrdiff_t source_index(padding pad, std::ptrdiff_t i, std::ptrdiff_t n) {
  if (n <= 0) return no_sample;
  if (i >= 0 && i < n) return i;
  switch (pad) {
    case padding::none:
    case padding::constant: return no_sample;
    case padding::edge: return i < 0 ? 0 : n - 1;
    case padding::reflect: {
      if (n == 1) return 0;
      const std::ptrdiff_t period = 2 * (n - 1);
      const std::ptrdiff_t at = ((i % period) + period) % period;
      return at < n ? at : period - at;
    }
    case padding::edge_mirror: {
      const std::ptrdiff_t period = 2 * n;
      const std::ptrdiff_t at = ((i % period) + period) % period;
      return at < n ? at : period - 1 - at;
    }
  }
  return no_sample;
}

/// What the chain holds of one frame.
struct frame_values {
  std::vector<double> windowed;            ///< (frame_length) what enters the transform
  std::vector<std::complex<double>> bins;  ///< (K)
  std::vector<double> power;               ///< (K)
  std::vector<double> mel;                 ///< (M)
  std::vector<double> log_mel;             ///< (M) before the peak clamp
  double ln_energy = 0;                    ///< when the tables ask for it
};

template <Real T>
double ln_energy(const tables<T>& t, const std::vector<double>& samples) {
  double sum = 0;
  for (const double x : samples) sum += x * x;
  const double least =
      t.energy_floor > 0 ? static_cast<double>(t.energy_floor) : static_cast<double>(std::numeric_limits<T>::min());
  return std::log(std::max(sum, least));
}

/// Samples of frame f, ready for the transform, and its energy.
template <Real T>
void window_frame(const tables<T>& t, const view<const T, 1>& clip, std::size_t f, frame_values& out) {
  const std::size_t length = t.frame_length;
  const auto n = static_cast<std::ptrdiff_t>(clip.extent(0));
  const philox noise(t.dither_seed);
  std::vector<double>& x = out.windowed;
  x.assign(length, 0.0);
  for (std::size_t i = 0; i < length; ++i) {
    const std::ptrdiff_t at =
        source_index(t.pad, t.position(static_cast<std::ptrdiff_t>(f * t.hop + i) - t.lead, n), n);
    if (at != no_sample)
      x[i] = static_cast<double>(clip[static_cast<std::size_t>(at)]) * static_cast<double>(t.sample_scale);
    if (t.dither != T{0}) x[i] += static_cast<double>(t.dither) * noise.normal_at(f * length + i);
  }
  if (t.remove_dc) {
    double mean = 0;
    for (const double v : x) mean += v;
    mean /= static_cast<double>(length);
    for (double& v : x) v -= mean;
  }
  if (t.energy == energy_source::raw) out.ln_energy = ln_energy(t, x);
  if (t.preemphasis != T{0})
    for (std::size_t i = length; i-- > 0;) x[i] -= static_cast<double>(t.preemphasis) * x[i > 0 ? i - 1 : 0];
  for (std::size_t i = 0; i < length; ++i) x[i] *= static_cast<double>(t.window[i]);
  if (t.energy == energy_source::windowed) out.ln_energy = ln_energy(t, x);
}

/// X[k] = stft_scale * sum over i of x[i] exp(-2 pi j k (i + fft_offset) / n_fft). `turn` holds exp(-2 pi j r / n_fft).
template <Real T>
void transform(const tables<T>& t, const std::vector<std::complex<double>>& turn, frame_values& out) {
  out.bins.assign(t.n_bins(), {});
  for (std::size_t k = 0; k < t.n_bins(); ++k) {
    std::complex<double> sum = 0;
    for (std::size_t i = 0; i < t.frame_length; ++i) sum += out.windowed[i] * turn[k * (i + t.fft_offset) % t.n_fft];
    out.bins[k] = sum * static_cast<double>(t.stft_scale);
  }
}

template <Real T>
void power_mel_log(const tables<T>& t, stage until, frame_values& out) {
  out.power.assign(t.n_bins(), 0.0);
  for (std::size_t k = 0; k < t.n_bins(); ++k)
    out.power[k] = std::pow(std::abs(out.bins[k]), static_cast<double>(t.power));
  if (until == stage::power) return;
  out.mel.assign(t.n_mels, 0.0);
  for (std::size_t m = 0; m < t.n_mels; ++m)
    for (std::size_t j = 0; j < t.mel_length[m]; ++j)
      out.mel[m] += static_cast<double>(t.mel_weights[t.mel_begin[m] + j]) * out.power[t.mel_first[m] + j];
  if (until == stage::mel) return;
  out.log_mel.assign(t.n_mels, 0.0);
  for (std::size_t m = 0; m < t.n_mels; ++m) {
    const double held = std::max(out.mel[m], static_cast<double>(t.log_floor)) + static_cast<double>(t.log_offset);
    out.log_mel[m] =
        t.take_log ? static_cast<double>(t.log_scale) * std::log(held) + static_cast<double>(t.log_shift) : out.mel[m];
  }
}

inline std::vector<std::complex<double>> turns(std::size_t n_fft) {
  std::vector<std::complex<double>> turn(n_fft);
  for (std::size_t r = 0; r < n_fft; ++r)
    turn[r] = std::polar(1.0, -2.0 * std::numbers::pi * static_cast<double>(r) / static_cast<double>(n_fft));
  return turn;
}

/// Complex spectrum of every channel: clip (channels, n) -> out (channels, K, F).
template <Real T>
void stft(const tables<T>& t, const view<const T, 2>& clip, const view<std::complex<T>, 3>& out) {
  const auto turn = turns(t.n_fft);
  frame_values values;
  for (std::size_t c = 0; c < clip.extent(0); ++c)
    for (std::size_t f = 0; f < t.frames(clip.extent(1)); ++f) {
      window_frame(t, clip[c], f, values);
      transform(t, turn, values);
      for (std::size_t k = 0; k < t.n_bins(); ++k)
        out(c, k, f) = {static_cast<T>(values.bins[k].real()), static_cast<T>(values.bins[k].imag())};
    }
}

/// The chain up to `until` (power, mel, log_mel or mfcc): clip (channels, n) -> out (channels, rows, F).
template <Real T>
void run(const tables<T>& t, stage until, const view<const T, 2>& clip, const view<T, 3>& out) {
  const std::size_t channels = clip.extent(0), frames = t.frames(clip.extent(1));
  const auto turn = turns(t.n_fft);
  std::vector<double> logs(channels * frames * t.n_mels), energies(channels * frames);
  frame_values values;
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t f = 0; f < frames; ++f) {
      window_frame(t, clip[c], f, values);
      transform(t, turn, values);
      power_mel_log(t, until, values);
      if (until == stage::power)
        for (std::size_t k = 0; k < t.n_bins(); ++k) out(c, k, f) = static_cast<T>(values.power[k]);
      else if (until == stage::mel)
        for (std::size_t m = 0; m < t.n_mels; ++m) out(c, m, f) = static_cast<T>(values.mel[m]);
      else
        std::copy(values.log_mel.begin(), values.log_mel.end(), &logs[(c * frames + f) * t.n_mels]);
      energies[c * frames + f] = values.ln_energy;
    }
  if (until == stage::power || until == stage::mel) return;

  for (std::size_t c = 0; c < channels; ++c) {
    double peak = -std::numeric_limits<double>::infinity();
    for (std::size_t d = 0; d < channels; ++d)
      if (d == c || t.peak == peak_scope::clip)
        for (std::size_t i = 0; i < frames * t.n_mels; ++i) peak = std::max(peak, logs[d * frames * t.n_mels + i]);
    const double least =
        t.peak == peak_scope::none ? -std::numeric_limits<double>::infinity() : peak - static_cast<double>(t.range);
    for (std::size_t f = 0; f < frames; ++f) {
      const double* row = &logs[(c * frames + f) * t.n_mels];
      const auto shown = [&](std::size_t m) {
        return (std::max(row[m], least) + static_cast<double>(t.out_shift)) * static_cast<double>(t.out_scale);
      };
      if (until == stage::log_mel) {
        for (std::size_t m = 0; m < t.n_mels; ++m) out(c, m, f) = static_cast<T>(shown(m));
        continue;
      }
      for (std::size_t k = 0; k < t.n_mfcc; ++k) {
        double sum = 0;
        for (std::size_t m = 0; m < t.n_mels; ++m) sum += static_cast<double>(t.dct[k * t.n_mels + m]) * shown(m);
        out(c, k, f) = static_cast<T>(sum);
      }
      if (t.energy != energy_source::none && t.n_mfcc > 0)
        out(c, 0, f) = static_cast<T>(energies[c * frames + f] * static_cast<double>(t.energy_scale));
    }
  }
}

}  // namespace hocket::kernels::mfcc::reference
