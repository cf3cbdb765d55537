// Every convention on the way from samples to cepstra as its own switch. A preset (presets.hpp) is a value of this
// struct, so a further library's convention is data, not code. Absent sizes are filled in by resolve() (resolve.hpp).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <hocket/core/options.hpp>
#include <hocket/kernels/mfcc/tables.hpp>

namespace hocket::audio {

/// What a plan computes; rows of the result: K, K, M, M, C.
enum class feature { stft, power, mel, logmel, mfcc };

enum class window_kind { hann, hamming, povey, blackman, rectangular };

/// How frames are counted and where they lie.
enum class framing_rule {
  fft,     ///< a frame claims n_fft samples, the window sits in their middle (librosa, torch)
  window,  ///< a frame claims win_length samples, zeros follow up to n_fft (Kaldi); center=true is snip_edges=false
};

enum class mel_scale_kind {
  slaney,  ///< linear below 1 kHz, logarithmic above (Auditory Toolbox)
  htk,     ///< 2595 log10(1 + f / 700)
  kaldi,   ///< 1127 ln(1 + f / 700)
};
enum class mel_norm { none, slaney };
/// In which variable the slopes of a triangle are straight lines.
enum class triangle_domain { hz, mel };
enum class bin_frequency {
  exact,     ///< k * sample_rate / n_fft
  linspace,  ///< K points from 0 to floor(sample_rate / 2) (torchaudio; differs for an odd n_fft)
};

enum class log_kind { db, ln, log10 };
enum class dct_norm { ortho, none };
enum class lifter_index { n, n_plus_1 };

/// Normalisation of the transform: none, by the window's root of summed squares, by the root of n_fft.
enum class stft_norm { none, window, frame_length };

enum class emphasis_scope { clip, frame };
/// What precedes x[0] when a whole clip is pre-emphasised.
enum class emphasis_start {
  keep,         ///< nothing: y[0] = x[0] (torchaudio.functional.preemphasis)
  extrapolate,  ///< librosa.effects.preemphasis: the filter state is 2 x[0] - x[1], so y[0] = 3 x[0] - x[1]
};

using kernels::mfcc::energy_source;
using kernels::mfcc::padding;
using kernels::mfcc::peak_scope;

/// Samples to cepstra, in the order in which the switches act. The values shown here are librosa 0.11's.
struct mfcc_options {
  // samples
  double scale = 1;
  std::optional<std::string> pad;
  std::optional<double> preemphasis;
  emphasis_scope preemphasis_over = emphasis_scope::clip;
  emphasis_start preemphasis_start = emphasis_start::extrapolate;
  double dither = 0;
  std::uint64_t dither_seed = 0;
  bool remove_dc = false;
  // frames
  std::optional<std::size_t> n_fft = 2048;
  std::optional<std::size_t> hop_length = 512;
  std::optional<std::size_t> win_length;
  std::optional<double> frame_length_ms;
  std::optional<double> frame_shift_ms;
  framing_rule framing = framing_rule::fft;
  bool center = true;
  padding pad_mode = padding::constant;
  bool split_reflection = true;
  bool drop_last_frame = false;
  window_kind window = window_kind::hann;
  bool periodic = true;
  // spectrum
  stft_norm normalized = stft_norm::none;
  double power = 2;
  // mel
  std::size_t n_mels = 128;
  double fmin = 0;
  std::optional<double> fmax;
  mel_scale_kind mel_scale = mel_scale_kind::slaney;
  std::optional<bool> htk;
  mel_norm norm = mel_norm::slaney;
  triangle_domain triangles = triangle_domain::hz;
  bin_frequency bin_hz = bin_frequency::exact;
  bool use_nyquist = true;
  // logarithm
  log_kind log = log_kind::db;
  double ref = 1;
  double amin = 1e-10;
  double log_offset = 0;
  std::optional<double> top_db = 80;
  peak_scope peak = peak_scope::clip;
  double out_shift = 0;
  double out_scale = 1;
  // cepstra
  std::size_t n_mfcc = 20;
  std::size_t dct_type = 2;
  audio::dct_norm dct_norm = audio::dct_norm::ortho;
  std::optional<double> lifter;
  audio::lifter_index lifter_index = audio::lifter_index::n_plus_1;
  energy_source energy = energy_source::none;
  double energy_floor = 0;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("scale", self.scale, "multiplies every sample; Kaldi's recipes expect 16-bit integers: 32768");
    visit("pad", self.pad,
          "lengthen shorter clips with zeros to this: seconds (30s) or samples (480000); none: as they are");
    visit("preemphasis", self.preemphasis, "y[i] = x[i] - c x[i-1]; none: off");
    visit("preemphasis_over", self.preemphasis_over, "clip: the whole signal first; frame: inside each frame (Kaldi)");
    visit("preemphasis_start", self.preemphasis_start,
          "first sample of a clip: extrapolate (librosa), keep (torchaudio)");
    visit("dither", self.dither, "standard deviation of normal noise added to each frame's samples; 0: off");
    visit("dither_seed", self.dither_seed, "seed of that noise");
    visit("remove_dc", self.remove_dc, "subtract each frame's mean (Kaldi)");
    visit("n_fft", self.n_fft, "samples: length of the transform; none: next power of two of win_length");
    visit("hop_length", self.hop_length, "samples between frames; none: frame_shift_ms, else win_length / 2");
    visit("win_length", self.win_length, "samples under the window; none: frame_length_ms, else n_fft");
    visit("frame_length_ms", self.frame_length_ms, "win_length in milliseconds, rounded down");
    visit("frame_shift_ms", self.frame_shift_ms, "hop_length in milliseconds, rounded down");
    visit("framing", self.framing,
          "fft: frames claim n_fft samples, window in the middle; window: win_length, zeros after (Kaldi)");
    visit("center", self.center,
          "frames are centred on their hop, the ends are padded; for framing=window Kaldi's snip_edges=false");
    visit("pad_mode", self.pad_mode,
          "what lies beyond the ends when centred: constant (zeros), reflect, edge, edge-mirror");
    visit("split_reflection", self.split_reflection,
          "librosa's last sample under pad_mode=reflect when hop_length >= n_fft / 2 divides the clip; see "
          "docs/presets.md");
    visit("drop_last_frame", self.drop_last_frame, "leave out the last frame (Whisper)");
    visit("window", self.window, "hann, hamming (0.54), povey (symmetric hann^0.85), blackman (0.42), rectangular");
    visit("periodic", self.periodic, "true: the window of a cycle of win_length samples; false: symmetric (Kaldi)");
    visit("normalized", self.normalized, "divide the transform by the root of the window's energy, or of n_fft");
    visit("power", self.power, "exponent of |X|: 2 power, 1 magnitude");
    visit("n_mels", self.n_mels, "mel bands");
    visit("fmin", self.fmin, "Hz: lower edge of the first band");
    visit("fmax", self.fmax, "Hz: upper edge of the last band; none: half the sample rate");
    visit("mel_scale", self.mel_scale, "slaney, htk, kaldi");
    visit("htk", self.htk, "short for mel_scale: true htk, false slaney; none: as mel_scale says");
    visit("norm", self.norm, "slaney: bands have equal area in Hz; none: equal height");
    visit("triangles", self.triangles, "slopes are straight in hz, or in mel (Kaldi)");
    visit("bin_hz", self.bin_hz, "frequency of bin k: exact, or linspace (torchaudio; differs for an odd n_fft)");
    visit("use_nyquist", self.use_nyquist, "whether the bin at half the sample rate counts (Kaldi: false)");
    visit("log", self.log, "db (10 log10), ln, log10");
    visit("ref", self.ref, "power that is 0 dB");
    visit("amin", self.amin, "powers are raised to at least this before the logarithm");
    visit("log_offset", self.log_offset, "added to the power before the logarithm");
    visit("top_db", self.top_db, "dB: raise everything to at least the peak less this; none: every frame stands alone");
    visit("peak", self.peak, "the peak of top_db: over all channels of the clip, or of each channel");
    visit("out_shift", self.out_shift, "added to the logarithm (Whisper: 4)");
    visit("out_scale", self.out_scale, "then multiplies it (Whisper: 0.25)");
    visit("n_mfcc", self.n_mfcc, "cepstral coefficients, at most n_mels");
    visit("dct_type", self.dct_type, "2 or 3");
    visit("dct_norm", self.dct_norm, "ortho, or none (twice the plain sum, as scipy)");
    visit("lifter", self.lifter, "L in 1 + L/2 sin(pi i / L); none or 0: off");
    visit("lifter_index", self.lifter_index, "i of coefficient n: n+1 (librosa) or n (Kaldi)");
    visit("energy", self.energy, "ln of the frame's energy in place of coefficient 0: none, raw, windowed");
    visit("energy_floor", self.energy_floor, "the energy is at least this");
  }

  /// Sets one field from text; throws bad_option that lists what is known.
  void set(std::string_view key, std::string_view value);
};

}  // namespace hocket::audio

namespace hocket {

template <>
struct enum_names<audio::feature> {
  static constexpr std::array values = {std::pair{audio::feature::stft, std::string_view{"stft"}},
                                        std::pair{audio::feature::power, std::string_view{"power"}},
                                        std::pair{audio::feature::mel, std::string_view{"mel"}},
                                        std::pair{audio::feature::logmel, std::string_view{"logmel"}},
                                        std::pair{audio::feature::mfcc, std::string_view{"mfcc"}}};
};
template <>
struct enum_names<audio::window_kind> {
  static constexpr std::array values = {std::pair{audio::window_kind::hann, std::string_view{"hann"}},
                                        std::pair{audio::window_kind::hamming, std::string_view{"hamming"}},
                                        std::pair{audio::window_kind::povey, std::string_view{"povey"}},
                                        std::pair{audio::window_kind::blackman, std::string_view{"blackman"}},
                                        std::pair{audio::window_kind::rectangular, std::string_view{"rectangular"}}};
};
template <>
struct enum_names<audio::framing_rule> {
  static constexpr std::array values = {std::pair{audio::framing_rule::fft, std::string_view{"fft"}},
                                        std::pair{audio::framing_rule::window, std::string_view{"window"}}};
};
template <>
struct enum_names<audio::mel_scale_kind> {
  static constexpr std::array values = {std::pair{audio::mel_scale_kind::slaney, std::string_view{"slaney"}},
                                        std::pair{audio::mel_scale_kind::htk, std::string_view{"htk"}},
                                        std::pair{audio::mel_scale_kind::kaldi, std::string_view{"kaldi"}}};
};
template <>
struct enum_names<audio::mel_norm> {
  static constexpr std::array values = {std::pair{audio::mel_norm::none, std::string_view{"none"}},
                                        std::pair{audio::mel_norm::slaney, std::string_view{"slaney"}}};
};
template <>
struct enum_names<audio::triangle_domain> {
  static constexpr std::array values = {std::pair{audio::triangle_domain::hz, std::string_view{"hz"}},
                                        std::pair{audio::triangle_domain::mel, std::string_view{"mel"}}};
};
template <>
struct enum_names<audio::bin_frequency> {
  static constexpr std::array values = {std::pair{audio::bin_frequency::exact, std::string_view{"exact"}},
                                        std::pair{audio::bin_frequency::linspace, std::string_view{"linspace"}}};
};
template <>
struct enum_names<audio::log_kind> {
  static constexpr std::array values = {std::pair{audio::log_kind::db, std::string_view{"db"}},
                                        std::pair{audio::log_kind::ln, std::string_view{"ln"}},
                                        std::pair{audio::log_kind::log10, std::string_view{"log10"}}};
};
template <>
struct enum_names<audio::dct_norm> {
  static constexpr std::array values = {std::pair{audio::dct_norm::ortho, std::string_view{"ortho"}},
                                        std::pair{audio::dct_norm::none, std::string_view{"none"}}};
};
template <>
struct enum_names<audio::lifter_index> {
  static constexpr std::array values = {std::pair{audio::lifter_index::n, std::string_view{"n"}},
                                        std::pair{audio::lifter_index::n_plus_1, std::string_view{"n+1"}}};
};
template <>
struct enum_names<audio::stft_norm> {
  static constexpr std::array values = {std::pair{audio::stft_norm::none, std::string_view{"none"}},
                                        std::pair{audio::stft_norm::window, std::string_view{"window"}},
                                        std::pair{audio::stft_norm::frame_length, std::string_view{"frame_length"}}};
};
template <>
struct enum_names<audio::emphasis_scope> {
  static constexpr std::array values = {std::pair{audio::emphasis_scope::clip, std::string_view{"clip"}},
                                        std::pair{audio::emphasis_scope::frame, std::string_view{"frame"}}};
};
template <>
struct enum_names<audio::emphasis_start> {
  static constexpr std::array values = {std::pair{audio::emphasis_start::keep, std::string_view{"keep"}},
                                        std::pair{audio::emphasis_start::extrapolate, std::string_view{"extrapolate"}}};
};
template <>
struct enum_names<audio::padding> {
  static constexpr std::array values = {std::pair{audio::padding::constant, std::string_view{"constant"}},
                                        std::pair{audio::padding::reflect, std::string_view{"reflect"}},
                                        std::pair{audio::padding::edge, std::string_view{"edge"}},
                                        std::pair{audio::padding::edge_mirror, std::string_view{"edge-mirror"}},
                                        std::pair{audio::padding::edge, std::string_view{"replicate"}},
                                        std::pair{audio::padding::edge_mirror, std::string_view{"symmetric"}}};
};
template <>
struct enum_names<audio::peak_scope> {
  static constexpr std::array values = {std::pair{audio::peak_scope::clip, std::string_view{"clip"}},
                                        std::pair{audio::peak_scope::channel, std::string_view{"channel"}}};
};
template <>
struct enum_names<audio::energy_source> {
  static constexpr std::array values = {std::pair{audio::energy_source::none, std::string_view{"none"}},
                                        std::pair{audio::energy_source::raw, std::string_view{"raw"}},
                                        std::pair{audio::energy_source::windowed, std::string_view{"windowed"}}};
};

inline void audio::mfcc_options::set(std::string_view key, std::string_view value) { set_option(*this, key, value); }

}  // namespace hocket
