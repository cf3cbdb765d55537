// What one frame goes through between samples and cepstra, as facts and tables: no names of conventions, no strings.
// include/hocket/audio turns options (librosa's, torchaudio's, Kaldi's, ...) into these tables once; reference.hpp
// follows them as plain sums, cpu.hpp runs them fused in SIMD lanes. Letters: F frames, K = n_fft / 2 + 1 bins, M mel
// bands, C coefficients.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include <hocket/core/config.hpp>
#include <hocket/core/dtype.hpp>

namespace hocket::kernels::mfcc {

/// Which sample a frame sees beyond the ends of a clip x[0..n).
enum class padding {
  none,         ///< frames never reach beyond: 1 + (n - span) / hop of them
  constant,     ///< zeros
  reflect,      ///< x[2] x[1] | x[0] x[1] x[2]: the edge is not repeated
  edge,         ///< x[0] x[0] | x[0] x[1]: the edge is held
  edge_mirror,  ///< x[1] x[0] | x[0] x[1]: the edge is repeated (Kaldi's snip_edges = false; numpy's "symmetric")
};

/// Where no sample of the clip stands: a zero.
inline constexpr std::int64_t outside = -1;

/// Index of the sample that stands at position i of a clip of n samples, outside for a zero. Reflections go on for as
/// long as needed: period 2 (n - 1), or 2 n where the edge is repeated.
HOCKET_HD constexpr std::int64_t padded_index(padding pad, std::int64_t i, std::int64_t n) {
  if (i >= 0 && i < n) return i;
  if (n <= 0 || pad == padding::none || pad == padding::constant) return outside;
  if (pad == padding::edge || n == 1) return i < 0 ? 0 : n - 1;
  const bool repeated = pad == padding::edge_mirror;
  const std::int64_t period = repeated ? 2 * n : 2 * (n - 1);
  const std::int64_t at = (i % period + period) % period;
  return at < n ? at : period - at - (repeated ? 1 : 0);
}

/// Where the chain stops.
enum class stage { stft, power, mel, log_mel, mfcc };

/// What stands in coefficient 0.
enum class energy_source {
  none,      ///< the cosine transform's own C0
  raw,       ///< ln of the frame's energy after DC removal, before pre-emphasis and window
  windowed,  ///< ln of the energy after pre-emphasis and window
};

/// Over what the peak is taken that `range` counts down from.
enum class peak_scope {
  none,     ///< no clamp: every frame stands alone, so the chain can stream
  clip,     ///< all channels of a clip
  channel,  ///< each channel alone
};

template <Real T>
struct tables {
  // --- framing: frame f covers x[f * hop - lead + i] for i in [0, frame_length) ---
  std::size_t n_fft = 0;
  std::size_t hop = 0;
  std::size_t span = 0;          ///< samples that a frame claims when frames are counted (n_fft, or Kaldi's window)
  std::size_t frame_length = 0;  ///< samples a frame reads: the support of the window, <= n_fft
  std::size_t fft_offset = 0;    ///< where sample 0 of the frame lies in the transform's input; the rest is zero
  std::ptrdiff_t lead = 0;       ///< samples that frame 0 reaches before x[0]; negative when it begins later
  padding pad = padding::none;
  bool split_reflection = false;  ///< librosa's: see position()
  bool drop_last_frame = false;   ///< Whisper

  // --- each frame, before the transform, in this order ---
  T sample_scale = 1;  ///< multiplies every sample as it is read
  T dither =
      0;  ///< standard deviation of normal noise, value i of frame f = philox(seed).normal_at(f * frame_length + i)
  std::uint64_t dither_seed = 0;
  bool remove_dc = false;  ///< subtract the frame's mean
  T preemphasis = 0;       ///< x[i] -= c x[max(0, i - 1)] inside the frame
  std::vector<T> window;   ///< (frame_length)

  // --- spectrum ---
  T stft_scale = 1;  ///< multiplies every bin
  T power = 2;       ///< |X|^power; 2 and 1 are exact special cases

  // --- mel: band m is sum over j < mel_length[m] of mel_weights[mel_begin[m] + j] * P[mel_first[m] + j] ---
  std::size_t n_mels = 0;
  std::vector<std::uint32_t> mel_first, mel_length, mel_begin;  ///< (M); an empty band has length 0
  std::vector<T> mel_weights;

  // --- logarithm: log_scale * ln(max(x, log_floor) + log_offset) + log_shift, then max(., peak - range), then
  //     (. + out_shift) * out_scale ---
  bool take_log = true;
  T log_scale = 1;  ///< 1: ln; 1 / ln 10: log10; 10 / ln 10: dB of a power
  T log_floor = 0;
  T log_offset = 0;
  T log_shift = 0;  ///< - 10 log10(ref)
  peak_scope peak = peak_scope::none;
  T range = std::numeric_limits<T>::infinity();
  T out_shift = 0;
  T out_scale = 1;

  // --- cepstra: C[c] = sum over m of dct[c * n_mels + m] * L[m]; norms and lifter are inside dct ---
  std::size_t n_mfcc = 0;
  std::vector<T> dct;  ///< (C,M)
  energy_source energy = energy_source::none;
  T energy_floor = 0;  ///< ln energy is at least ln(energy_floor) when > 0; energy 0 counts as the least normal number
  T energy_scale = 1;  ///< what the lifter does to coefficient 0

  std::size_t n_bins() const { return n_fft / 2 + 1; }
  /// The position whose padding stands at position i of a clip of n samples: i itself, but for one sample. librosa pads
  /// the tail of a clip as a piece of its own; when hop >= n_fft / 2, n_fft is even and the clip is a whole number of
  /// hops, that piece has n_fft / 2 samples, one too few, and its last reflection turns around once more.
  std::ptrdiff_t position(std::ptrdiff_t i, std::ptrdiff_t n) const {
    const auto half = static_cast<std::ptrdiff_t>(n_fft / 2), step = static_cast<std::ptrdiff_t>(hop);
    const bool turns = split_reflection && i == n + half - 1 && n_fft % 2 == 0 && half >= 2 && step >= half &&
                       n % step == 0 && n >= 2 * step;
    return turns ? n - half + 1 : i;
  }
  /// Frames of a clip of n samples. A centred clip is lengthened by n_fft / 2 on both sides, which for an odd n_fft is
  /// one sample less than n_fft.
  std::size_t frames(std::size_t n) const {
    std::size_t count = 0;
    if (pad == padding::none) {
      count = n < span ? 0 : 1 + (n - span) / hop;
    } else if (!centred) {
      count = (n + hop / 2) / hop;
    } else {
      count = n == 0 ? 0 : 1 + (n - span % 2) / hop;
    }
    return drop_last_frame && count > 0 ? count - 1 : count;
  }
  bool centred =
      true;  ///< with padding, frame f is centred at f * hop (librosa, torch); false: Kaldi's snip_edges = false
};

}  // namespace hocket::kernels::mfcc
