// Differences over time as librosa.feature.delta has them: the slope (order 1) or the second derivative (order 2) of
// the least-squares line or parabola through 9 frames (Savitzky & Golay, 1964). Within 4 frames of an end the fit of
// the first or last 9 frames holds; a clip of fewer than 9 frames is continued by its end frames.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include <hocket/core/error.hpp>
#include <hocket/core/view.hpp>

namespace hocket::experiments::audio_features {

/// frames (R, F) -> out (R, F).
template <class T>
void savitzky_golay(const view<const T, 2>& frames, std::size_t order, const view<T, 2>& out) {
  expects(order == 1 || order == 2, errc::bad_option, "delta order ", order, "; known are 1 and 2");
  constexpr std::ptrdiff_t half = 4;
  // Sums over i = -4 .. 4: i^2 gives 60, (i^2 - 60/9)^2 gives 308.
  std::array<double, 2 * half + 1> weights{};
  for (std::ptrdiff_t i = -half; i <= half; ++i) {
    const double at = static_cast<double>(i);
    weights[static_cast<std::size_t>(i + half)] = order == 1 ? at / 60 : 2 * (at * at - 60.0 / 9) / 308;
  }
  const auto count = static_cast<std::ptrdiff_t>(frames.extent(1));
  for (std::size_t r = 0; r < frames.extent(0); ++r) {
    for (std::ptrdiff_t f = 0; f < count; ++f) {
      const std::ptrdiff_t centre = count > 2 * half ? std::clamp(f, half, count - 1 - half) : f;
      double sum = 0;
      for (std::ptrdiff_t i = -half; i <= half; ++i) {
        const std::ptrdiff_t at = std::clamp<std::ptrdiff_t>(centre + i, 0, count - 1);
        sum +=
            weights[static_cast<std::size_t>(i + half)] * static_cast<double>(frames(r, static_cast<std::size_t>(at)));
      }
      out(r, static_cast<std::size_t>(f)) = static_cast<T>(sum);
    }
  }
}

}  // namespace hocket::experiments::audio_features
