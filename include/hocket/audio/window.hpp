// Window functions. Periodic: one cycle of a repeating signal of `length` samples (scipy's fftbins, torch's periodic);
// symmetric: first and last sample are equal (Kaldi).
#pragma once

#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

#include <hocket/audio/options.hpp>
#include <hocket/core/dtype.hpp>

namespace hocket::audio {

/// Value i of the window, in double. Formulas: Harris, "On the use of windows for harmonic analysis with the discrete
/// Fourier transform" (1978); povey is Kaldi's hann^0.85; hamming has 0.54 and blackman 0.42, exactly.
inline double window_value(window_kind kind, std::size_t length, bool periodic, std::size_t i) {
  if (length <= 1) return 1.0;
  const double cycle = static_cast<double>(periodic ? length : length - 1);
  const double phase = 2.0 * std::numbers::pi * static_cast<double>(i) / cycle;
  switch (kind) {
    case window_kind::hann: return 0.5 - 0.5 * std::cos(phase);
    case window_kind::hamming: return 0.54 - 0.46 * std::cos(phase);
    case window_kind::povey: return std::pow(0.5 - 0.5 * std::cos(phase), 0.85);
    case window_kind::blackman: return 0.42 - 0.5 * std::cos(phase) + 0.08 * std::cos(2.0 * phase);
    case window_kind::rectangular: return 1.0;
  }
  return 1.0;
}

/// (length), computed in double and rounded once.
template <Real T>
std::vector<T> make_window(window_kind kind, std::size_t length, bool periodic) {
  std::vector<T> window(length);
  for (std::size_t i = 0; i < length; ++i) window[i] = static_cast<T>(window_value(kind, length, periodic, i));
  return window;
}

}  // namespace hocket::audio
