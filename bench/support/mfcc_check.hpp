// What an arm of the chain from samples to cepstra is compared with before it is timed, on the processor and on a GPU.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/mfcc/reference.hpp>

#include "bench/support/bench.hpp"

namespace hocket::bench {

/// Samples of order 0.1: noise that is not white, so that bands differ.
inline std::vector<float> clip_of(std::size_t samples) {
  std::vector<float> x = normal_values<float>(samples, 4);
  float before = 0;
  for (float& value : x) before = value = 0.05F * value + 0.9F * before;
  return x;
}

/// The definition's values at stage `stop` of a clip (channels, samples), as one run of floats: a complex number is
/// two.
inline std::vector<float> defined(const kernels::mfcc::tables<float>& t, kernels::mfcc::stage stop,
                                  const std::vector<float>& x, std::size_t channels = 1) {
  using kernels::mfcc::stage;
  const std::size_t samples = x.size() / channels, frames = t.frames(samples);
  const view<const float, 2> clip(x.data(), {channels, samples});
  if (stop == stage::stft) {
    std::vector<float> out(2 * channels * t.n_bins() * frames);
    kernels::mfcc::reference::stft(t, clip,
                                   view<std::complex<float>, 3>(reinterpret_cast<std::complex<float>*>(out.data()),
                                                                {channels, t.n_bins(), frames}));
    return out;
  }
  const std::size_t rows = stop == stage::mfcc ? t.n_mfcc : stop == stage::power ? t.n_bins() : t.n_mels;
  std::vector<float> out(channels * rows * frames);
  kernels::mfcc::reference::run(t, stop, clip, view<float, 3>(out.data(), {channels, rows, frames}));
  return out;
}

/// What an arm may be off by. Promised is the spectrum: epsilon x promise x sum |window| x peak. Behind it, the bound
/// is what errors of that size in the samples do to the definition itself; few values take several draws of them.
inline double bound_of(double promise, const kernels::mfcc::tables<float>& t, kernels::mfcc::stage stop,
                       const std::vector<float>& x, const std::vector<float>& wanted, std::size_t channels = 1) {
  const double peak = max_abs(x.data(), x.size());
  double window = 0;
  for (const float w : t.window) window += std::abs(static_cast<double>(w));
  if (stop == kernels::mfcc::stage::stft)
    return promise * rounding<float>(window * peak * static_cast<double>(t.sample_scale));
  double error = rounding<float>(max_abs(wanted.data(), wanted.size()));
  const std::size_t draws = std::clamp<std::size_t>(1024 / std::max<std::size_t>(wanted.size(), 1), 1, 8);
  for (std::size_t draw = 0; draw < draws; ++draw) {
    const philox random(5 + draw);
    std::vector<float> moved = x;
    for (std::size_t i = 0; i < x.size(); ++i)
      moved[i] += static_cast<float>(rounding<float>(peak) * (2 * random.uniform_at(i) - 1));
    const std::vector<float> other = defined(t, stop, moved, channels);
    error = std::max(error, max_abs_difference(other.data(), wanted.data(), wanted.size()));
  }
  return promise * error;
}

}  // namespace hocket::bench
