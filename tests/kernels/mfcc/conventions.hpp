// Random conventions for the chain from samples to cepstra, and what an implementation may be off from the reference
// by, stage by stage: shared by the tests of every backend.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/mfcc/reference.hpp>
#include <hocket/kernels/mfcc/tables.hpp>

namespace hocket::tests::mfcc {

namespace room = hocket::kernels::mfcc;
using room::stage;

/// A random convention. Everything that tables can say is drawn; the bands are random, some of them empty.
template <Real T>
room::tables<T> draw_tables(philox& dice) {
  const auto pick = [&](std::size_t n) { return static_cast<std::size_t>(dice.next_below(n)); };
  static constexpr std::size_t lengths[] = {1, 2, 3, 4, 5, 7, 8, 12, 16, 31, 33, 64, 97, 100, 128, 250};
  room::tables<T> t;
  t.n_fft = lengths[pick(std::size(lengths))];
  t.frame_length = pick(3) == 0 ? 1 + pick(t.n_fft) : t.n_fft;
  t.fft_offset = pick(t.n_fft - t.frame_length + 1);
  t.hop = 1 + pick(2 * t.n_fft);
  t.pad = static_cast<room::padding>(pick(5));
  t.centred = t.pad != room::padding::edge_mirror || pick(2) == 0;
  t.span = t.frame_length;
  t.lead = t.pad == room::padding::none ? 0 : static_cast<std::ptrdiff_t>(t.frame_length / 2);
  t.drop_last_frame = pick(4) == 0;
  t.sample_scale = static_cast<T>(pick(3) == 0 ? 32768 : 1);
  t.dither = static_cast<T>(pick(4) == 0 ? 0.5 : 0);
  t.dither_seed = pick(100);
  t.remove_dc = pick(3) == 0;
  t.preemphasis = static_cast<T>(pick(3) == 0 ? 0.97 : 0);
  for (std::size_t i = 0; i < t.frame_length; ++i) t.window.push_back(static_cast<T>(0.1 + dice.next_uniform()));
  t.stft_scale = static_cast<T>(pick(3) == 0 ? 0.25 : 1);
  t.power = static_cast<T>(pick(3) == 0 ? 1.0 : pick(3) == 0 ? 1.5 : 2.0);
  t.n_mels = 1 + pick(20);
  for (std::size_t m = 0; m < t.n_mels; ++m) {
    const std::size_t first = pick(t.n_bins()), length = pick(4) == 0 ? 0 : 1 + pick(t.n_bins() - first);
    t.mel_first.push_back(static_cast<std::uint32_t>(first));
    t.mel_length.push_back(static_cast<std::uint32_t>(length));
    t.mel_begin.push_back(static_cast<std::uint32_t>(t.mel_weights.size()));
    for (std::size_t j = 0; j < length; ++j) t.mel_weights.push_back(static_cast<T>(dice.next_uniform()));
  }
  t.take_log = pick(8) != 0;
  t.log_scale = static_cast<T>(pick(2) == 0 ? 1.0 : 10 / std::log(10.0));
  t.log_floor = static_cast<T>(1e-10);
  t.log_offset = static_cast<T>(pick(4) == 0 ? 1e-6 : 0);
  t.log_shift = static_cast<T>(pick(3) == 0 ? -3.5 : 0);
  t.peak = static_cast<room::peak_scope>(pick(3));
  t.range = static_cast<T>(5);
  if (pick(4) == 0) {
    t.out_shift = 4;
    t.out_scale = static_cast<T>(0.25);
  }
  t.n_mfcc = pick(t.n_mels + 1);
  for (std::size_t i = 0; i < t.n_mfcc * t.n_mels; ++i) t.dct.push_back(static_cast<T>(2 * dice.next_uniform() - 1));
  t.energy = static_cast<room::energy_source>(pick(3));
  t.energy_floor = static_cast<T>(pick(2) == 0 ? 0 : 1.0);
  t.energy_scale = static_cast<T>(pick(2) == 0 ? 1 : 1.5);
  return t;
}

template <Real T>
std::vector<T> draw_clip(philox& dice, std::size_t channels, std::size_t n) {
  std::vector<T> x(channels * n);
  for (T& v : x) v = static_cast<T>(2 * dice.next_uniform() - 1);
  return x;
}

template <Real T>
std::vector<double> run_reference(const room::tables<T>& t, stage stop, const std::vector<T>& x, std::size_t channels) {
  // The reference rounds to its output type only; a double output of T's tables is what it summed.
  const std::size_t n = x.size() / channels, frames = t.frames(n);
  const std::size_t rows = stop <= stage::power ? t.n_bins() : stop == stage::mfcc ? t.n_mfcc : t.n_mels;
  const view<const T, 2> clip(x.data(), {channels, n});
  if (stop == stage::stft) {
    std::vector<std::complex<T>> z(channels * rows * frames);
    room::reference::stft(t, clip, view<std::complex<T>, 3>(z.data(), {channels, rows, frames}));
    std::vector<double> out;
    for (const auto& v : z) out.insert(out.end(), {static_cast<double>(v.real()), static_cast<double>(v.imag())});
    return out;
  }
  std::vector<T> out(channels * rows * frames);
  room::reference::run(t, stop, clip, view<T, 3>(out.data(), {channels, rows, frames}));
  return {out.begin(), out.end()};
}

/// Bounds that follow from the promise for the spectrum, stage by stage, for every element of a stage's output.
template <Real T>
struct bounds {
  const room::tables<T>& t;
  std::size_t channels, frames;
  double spectrum, power;  ///< of any bin
  std::vector<double> mel, logs;

  bounds(const room::tables<T>& tables, double promise, const std::vector<T>& x, std::size_t count)
      : t(tables), channels(count), frames(tables.frames(x.size() / count)) {
    // The largest value a bin can take, and with it the largest error.
    double largest = max_abs(x.data(), x.size()) * static_cast<double>(t.sample_scale);
    if (t.dither != T{0}) largest += static_cast<double>(t.dither) * 6;
    double sum = 0;
    for (const T w : t.window) sum += static_cast<double>(w);
    const double bin = largest * sum * static_cast<double>(t.stft_scale) * (t.remove_dc ? 2 : 1) *
                       (1 + static_cast<double>(t.preemphasis));
    spectrum = rounding<T>((promise + 4) * bin);
    const double p = static_cast<double>(t.power);
    power = rounding<T>((p * (promise + 4) + 4) * std::pow(bin, p));
    const auto bands = run_reference(t, stage::mel, x, channels);
    mel.resize(bands.size());
    logs.resize(bands.size());
    for (std::size_t i = 0; i < bands.size(); ++i) {
      const std::size_t m = i / std::max<std::size_t>(frames, 1) % t.n_mels;
      double weights = 0;
      for (std::size_t j = 0; j < t.mel_length[m]; ++j)
        weights += static_cast<double>(t.mel_weights[t.mel_begin[m] + j]);
      mel[i] = weights * power + rounding<T>((1.0 + t.mel_length[m]) * bands[i]);
      const double inside = std::max(bands[i], static_cast<double>(t.log_floor)) + static_cast<double>(t.log_offset);
      // ln(y) - ln(x) <= |y - x| / min(x, y); the floor bounds the denominator
      const double least = std::max(inside - mel[i], static_cast<double>(t.log_floor));
      logs[i] = t.take_log ? static_cast<double>(t.log_scale) *
                                     (mel[i] / least + rounding<T>(2 + 2 * std::abs(std::log(inside)))) +
                                 rounding<T>(std::abs(static_cast<double>(t.log_shift)) * 2)
                           : mel[i];
    }
    const double worst = logs.empty() ? 0 : *std::max_element(logs.begin(), logs.end());
    for (double& b : logs) {
      if (t.peak != room::peak_scope::none) b = std::max(b, worst) + rounding<T>(static_cast<double>(t.range));
      b = b * static_cast<double>(t.out_scale);
    }
  }

  /// Of element (channel, row, frame) of a stage, given the reference's log-mel values.
  double of(stage stop, std::size_t i, const std::vector<double>& log_mel, const std::vector<double>& expected) const {
    if (stop == stage::stft) return spectrum;
    if (stop == stage::power) return power;
    if (stop == stage::mel) return mel[i];
    if (stop == stage::log_mel) return logs[i] + rounding<T>(4 * std::abs(log_mel[i]) + 4);
    const std::size_t f = i % frames, c = i / frames % t.n_mfcc, channel = i / frames / t.n_mfcc;
    if (c == 0 && t.energy != room::energy_source::none) {
      // ln of a sum of squares, each off by what a sample may be off
      const double energy = std::exp(expected[i] / static_cast<double>(t.energy_scale));
      const double sample = spectrum / (static_cast<double>(t.stft_scale) * 0.1);
      const double terms = static_cast<double>(t.frame_length);
      const double error =
          2 * sample * std::sqrt(terms * energy) + terms * sample * sample + rounding<T>(terms * energy);
      return static_cast<double>(t.energy_scale) * (error / energy + rounding<T>(4 * std::abs(std::log(energy)) + 4));
    }
    double bound = 0, level = 0, rows = 0;
    for (std::size_t m = 0; m < t.n_mels; ++m) {
      const std::size_t at = (channel * t.n_mels + m) * frames + f;
      const double w = std::abs(static_cast<double>(t.dct[c * t.n_mels + m]));
      bound += w * (logs[at] + rounding<T>(4 * std::abs(log_mel[at]) + 4));
      level += std::abs(log_mel[at]);
      rows += w;
    }
    return bound + rounding<T>(static_cast<double>(t.n_mels + 4) * level * (rows + 1) / static_cast<double>(t.n_mels)) +
           rounding<T>(4 * std::abs(expected[i]));
  }
};

}  // namespace hocket::tests::mfcc
