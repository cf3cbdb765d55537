// What happens to a whole clip before its first frame: zeros up to a length, pre-emphasis across the clip. The chain's
// tables see only what comes out.
#pragma once

#include <algorithm>
#include <cstddef>

#include <hocket/audio/options.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/view.hpp>

namespace hocket::audio {

/// y[i] = x[i] - c x[i-1], x[-1] = `before`. x and y may be the same memory. One function for whole clips and for
/// streams, kept out of line so that both compute the same bits.
template <Real T>
__attribute__((noinline)) void preemphasize(const T* x, std::size_t n, T c, T before, T* y) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    const T now = x[i];
    y[i] = now - c * before;
    before = now;
  }
}

/// First sample of a pre-emphasised clip. A clip of one sample has nothing to extrapolate from and keeps it.
template <Real T>
T first_emphasized(emphasis_start start, const T* x, std::size_t n) noexcept {
  return start == emphasis_start::extrapolate && n > 1 ? x[0] + (T{2} * x[0] - x[1]) : x[0];
}

/// Whole-signal pre-emphasis of librosa (extrapolate) or torchaudio (keep): x (n) -> y (n).
template <Real T>
void preemphasize(const view<const T, 1>& x, T c, emphasis_start start, const view<T, 1>& y) {
  expects(x.extent(0) == y.extent(0), errc::unsupported_shape, "preemphasize: ", x.extent(0), " samples in, room for ",
          y.extent(0), " out");
  if (x.empty()) return;
  const T first = first_emphasized(start, x.data(), x.extent(0)), head = x[0];
  preemphasize(x.data() + 1, x.extent(0) - 1, c, head, y.data() + 1);
  y[0] = first;
}

/// The clip-wide steps of a plan.
template <Real T>
struct clip_stage {
  std::size_t least_samples = 0;  ///< zeros are appended up to this length
  T preemphasis = 0;
  emphasis_start start = emphasis_start::keep;

  bool changes(std::size_t samples) const { return samples < least_samples || preemphasis != T{0}; }
  std::size_t samples_after(std::size_t samples) const { return std::max(samples, least_samples); }

  /// x (n) -> y (samples_after(n)); pre-emphasis runs on into the zeros, as on a clip that was padded first.
  void run(const view<const T, 1>& x, const view<T, 1>& y) const noexcept {
    const std::size_t n = x.extent(0), after = samples_after(n);
    T* const out = y.data();
    std::copy_n(x.data(), n, out);
    std::fill(out + n, out + after, T{0});
    if (preemphasis == T{0} || after == 0) return;
    const T first = first_emphasized(start, out, after), head = out[0];
    preemphasize(out + 1, after - 1, preemphasis, head, out + 1);
    out[0] = first;
  }
};

}  // namespace hocket::audio
