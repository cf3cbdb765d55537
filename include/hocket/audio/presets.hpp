// Presets: what a named library's own MFCC entry point does when called with its defaults, as plain option values.
// docs/presets.md sets them side by side with their traps.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <hocket/audio/options.hpp>
#include <hocket/core/error.hpp>

namespace hocket::audio {

namespace presets {

/// librosa.feature.mfcc of 0.11: top_db counts from the peak of the whole input, all channels together.
inline mfcc_options librosa_0_11() { return {}; }

/// librosa.feature.mfcc of 1.0: the peak is each channel's own (power_to_db's axes).
inline mfcc_options librosa_1_0() {
  mfcc_options o;
  o.peak = peak_scope::channel;
  return o;
}

/// torchaudio.transforms.MFCC. An absent hop follows win_length, which follows n_fft.
inline mfcc_options torchaudio() {
  mfcc_options o;
  o.preemphasis_start = emphasis_start::keep;
  o.split_reflection = false;
  o.n_fft = 400;
  o.hop_length.reset();
  o.pad_mode = padding::reflect;
  o.mel_scale = mel_scale_kind::htk;
  o.norm = mel_norm::none;
  o.bin_hz = bin_frequency::linspace;
  o.n_mfcc = 40;
  return o;
}

/// torchaudio.compliance.kaldi.mfcc: samples as they are (Kaldi itself reads 16-bit integers: scale=32768), no dither.
inline mfcc_options kaldi() {
  mfcc_options o;
  o.preemphasis = 0.97;
  o.preemphasis_over = emphasis_scope::frame;
  o.preemphasis_start = emphasis_start::keep;
  o.split_reflection = false;
  o.remove_dc = true;
  o.n_fft.reset();
  o.hop_length.reset();
  o.frame_length_ms = 25;
  o.frame_shift_ms = 10;
  o.framing = framing_rule::window;
  o.center = false;
  o.pad_mode = padding::edge_mirror;
  o.window = window_kind::povey;
  o.periodic = false;
  o.n_mels = 23;
  o.fmin = 20;
  o.mel_scale = mel_scale_kind::kaldi;
  o.norm = mel_norm::none;
  o.triangles = triangle_domain::mel;
  o.use_nyquist = false;
  o.log = log_kind::ln;
  o.amin = 0x1p-23;  // FLT_EPSILON, in f64 too
  o.top_db.reset();
  o.n_mfcc = 13;
  o.lifter = 22;
  o.lifter_index = lifter_index::n;
  o.energy_floor = 1;
  return o;
}

/// whisper.audio.log_mel_spectrogram. Whisper has no cepstra: n_mfcc is 0 until set.
inline mfcc_options whisper() {
  mfcc_options o;
  o.preemphasis_start = emphasis_start::keep;
  o.split_reflection = false;
  o.n_fft = 400;
  o.hop_length = 160;
  o.pad_mode = padding::reflect;
  o.drop_last_frame = true;
  o.n_mels = 80;
  o.log = log_kind::log10;
  o.out_shift = 4;
  o.out_scale = 0.25;
  o.n_mfcc = 0;
  return o;
}

inline constexpr std::array table = {
    std::pair{std::string_view{"librosa-0.11"}, &librosa_0_11},
    std::pair{std::string_view{"librosa-1.0"}, &librosa_1_0}, std::pair{std::string_view{"torchaudio"}, &torchaudio},
    std::pair{std::string_view{"kaldi"}, &kaldi}, std::pair{std::string_view{"whisper"}, &whisper}};

}  // namespace presets

/// "librosa-0.11, librosa-1.0, ...": for messages.
inline std::string preset_names() {
  std::string known;
  for (const auto& [name, make] : presets::table) known += text(known.empty() ? "" : ", ", name);
  return known;
}

/// Options of a preset by its name; throws bad_option that lists the known names.
inline mfcc_options preset(std::string_view name) {
  for (const auto& [known, make] : presets::table)
    if (known == name) return make();
  fail(errc::bad_option, "unknown preset ", name, "; known are: ", preset_names());
}

}  // namespace hocket::audio
