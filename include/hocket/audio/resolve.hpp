// From options to facts: resolve() fills in what the options leave open and refuses what does not fit together;
// make_tables() turns the result into the kernel's tables.
#pragma once

#include <bit>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <string>
#include <string_view>

#include <hocket/audio/dct.hpp>
#include <hocket/audio/mel.hpp>
#include <hocket/audio/options.hpp>
#include <hocket/audio/window.hpp>
#include <hocket/core/error.hpp>
#include <hocket/kernels/mfcc/tables.hpp>

namespace hocket::audio {

using kernels::mfcc::stage;

constexpr stage stage_of(feature what) {
  switch (what) {
    case feature::stft: return stage::stft;
    case feature::power: return stage::power;
    case feature::mel: return stage::mel;
    case feature::logmel: return stage::log_mel;
    case feature::mfcc: return stage::mfcc;
  }
  return stage::mfcc;
}

namespace detail {

/// Largest transform and band count that a plan is built for: tables stay below 2^31 entries.
inline constexpr std::size_t largest_n_fft = std::size_t{1} << 22;
inline constexpr std::size_t largest_n_mels = std::size_t{1} << 14;

inline void expects_finite(std::string_view name, double value) {
  expects(std::isfinite(value), errc::bad_option, name, " is ", value, "; expected a finite number");
}

/// Kaldi's and torchaudio's rounding: int(rate * ms * 0.001).
inline std::size_t samples_of_ms(std::string_view name, double ms, double sample_rate) {
  const double samples = sample_rate * ms * 0.001;
  expects(samples >= 1 && samples <= static_cast<double>(largest_n_fft), errc::bad_option, name, " = ", ms, " ms is ",
          samples, " samples at ", sample_rate, " Hz; expected 1 to ", largest_n_fft);
  return static_cast<std::size_t>(samples);
}

}  // namespace detail

/// Samples that a clip is lengthened to by the option `pad`; 0 when absent.
inline std::size_t padded_samples(const mfcc_options& options, double sample_rate) {
  if (!options.pad) return 0;
  const std::string& given = *options.pad;
  const bool seconds = !given.empty() && given.back() == 's';
  const char* const end = given.data() + given.size() - (seconds ? 1 : 0);
  double value = 0;
  const auto done = std::from_chars(given.data(), end, value);
  const double samples = seconds ? std::round(value * sample_rate) : value;
  expects(
      done.ec == std::errc{} && done.ptr == end && samples >= 0 && samples == std::floor(samples) && samples < 0x1p48,
      errc::bad_option, "pad=", given, ": expected seconds (30s), a whole number of samples (480000), or none");
  return static_cast<std::size_t>(samples);
}

/// Options with every size filled in for this sample rate. Throws bad_option for what cannot be.
inline mfcc_options resolve(const mfcc_options& options, double sample_rate) {
  expects(std::isfinite(sample_rate) && sample_rate > 0, errc::bad_option, "the sample rate is ", sample_rate,
          " Hz; expected more than 0");
  mfcc_options o = options;

  // sizes: win_length first (Kaldi gives it in ms), else n_fft; then the transform, then the hop
  if (!o.win_length && o.frame_length_ms)
    o.win_length = detail::samples_of_ms("frame_length_ms", *o.frame_length_ms, sample_rate);
  expects(o.win_length || o.n_fft, errc::bad_option, "one of n_fft, win_length and frame_length_ms must be given");
  if (o.n_fft)
    expects(*o.n_fft >= 1 && *o.n_fft <= detail::largest_n_fft, errc::bad_option, "n_fft is ", *o.n_fft,
            "; expected 1 to ", detail::largest_n_fft);
  if (!o.win_length) o.win_length = *o.n_fft;
  expects(*o.win_length >= 1 && *o.win_length <= detail::largest_n_fft, errc::bad_option, "win_length is ",
          *o.win_length, "; expected 1 to ", detail::largest_n_fft);
  if (!o.n_fft) o.n_fft = std::bit_ceil(*o.win_length);
  expects(*o.win_length <= *o.n_fft, errc::bad_option, "win_length = ", *o.win_length,
          " is longer than n_fft = ", *o.n_fft, "; give n_fft >= win_length");
  if (!o.hop_length)
    o.hop_length =
        o.frame_shift_ms ? detail::samples_of_ms("frame_shift_ms", *o.frame_shift_ms, sample_rate) : *o.win_length / 2;
  expects(*o.hop_length >= 1 && *o.hop_length < (std::size_t{1} << 40), errc::bad_option, "hop_length is ",
          *o.hop_length, "; expected at least 1");
  o.frame_length_ms.reset();
  o.frame_shift_ms.reset();
  padded_samples(o, sample_rate);

  // samples
  detail::expects_finite("scale", o.scale);
  if (!o.preemphasis) o.preemphasis = 0;
  detail::expects_finite("preemphasis", *o.preemphasis);
  expects(std::isfinite(o.dither) && o.dither >= 0, errc::bad_option, "dither is ", o.dither,
          "; expected a number >= 0");
  expects(std::isfinite(o.power) && o.power > 0, errc::bad_option, "power is ", o.power, "; expected more than 0");

  // mel
  if (o.htk) o.mel_scale = *o.htk ? mel_scale_kind::htk : mel_scale_kind::slaney;
  o.htk.reset();
  expects(o.n_mels >= 1 && o.n_mels <= detail::largest_n_mels, errc::bad_option, "n_mels is ", o.n_mels,
          "; expected 1 to ", detail::largest_n_mels);
  const double nyquist = sample_rate / 2;
  if (!o.fmax) o.fmax = o.bin_hz == bin_frequency::linspace ? std::floor(nyquist) : nyquist;
  if (o.mel_scale == mel_scale_kind::kaldi && *o.fmax <= 0) o.fmax = *o.fmax + nyquist;  // Kaldi counts from the top
  expects(std::isfinite(*o.fmax) && o.fmin >= 0 && o.fmin < *o.fmax, errc::bad_option, "fmin = ", o.fmin,
          " Hz and fmax = ", *o.fmax, " Hz: expected 0 <= fmin < fmax");
  expects(o.mel_scale != mel_scale_kind::kaldi || *o.fmax <= nyquist, errc::bad_option, "fmax = ", *o.fmax,
          " Hz lies above half the sample rate, ", nyquist, " Hz, which Kaldi's bank refuses");

  // logarithm
  detail::expects_finite("out_shift", o.out_shift);
  detail::expects_finite("out_scale", o.out_scale);
  expects(o.amin >= 0 && o.log_offset >= 0 && o.amin + o.log_offset > 0, errc::bad_option, "amin = ", o.amin,
          " and log_offset = ", o.log_offset,
          ": both must be >= 0 and one of them more, or silence becomes minus infinity");
  expects(std::isfinite(o.ref) && o.ref != 0, errc::bad_option, "ref is ", o.ref, "; expected a number other than 0");
  expects(!o.top_db || (std::isfinite(*o.top_db) && *o.top_db >= 0), errc::bad_option, "top_db is ",
          o.top_db.value_or(0), "; expected a number >= 0, or none");

  // cepstra
  expects(o.n_mfcc <= o.n_mels, errc::bad_option, "n_mfcc is ", o.n_mfcc, ", more than n_mels = ", o.n_mels,
          "; a transform of ", o.n_mels, " bands has no more coefficients");
  expects(o.dct_type == 2 || o.dct_type == 3, errc::bad_option, "dct_type is ", o.dct_type, "; known are 2 and 3");
  if (!o.lifter) o.lifter = 0;
  expects(std::isfinite(*o.lifter) && *o.lifter >= 0, errc::bad_option, "lifter is ", *o.lifter,
          "; expected a number >= 0, or none");
  expects(std::isfinite(o.energy_floor) && o.energy_floor >= 0, errc::bad_option, "energy_floor is ", o.energy_floor,
          "; expected a number >= 0");
  return o;
}

/// What a filter bank of these (resolved) options is built from.
inline mel_options mel_options_of(const mfcc_options& resolved, double sample_rate) {
  return {sample_rate,        *resolved.n_fft, resolved.n_mels,    resolved.fmin,   *resolved.fmax,
          resolved.mel_scale, resolved.norm,   resolved.triangles, resolved.bin_hz, resolved.use_nyquist};
}

namespace detail {

template <Real T>
void fill_logarithm(kernels::mfcc::tables<T>& t, const mfcc_options& o) {
  const double per_ln = o.log == log_kind::db      ? 10.0 / std::numbers::ln10
                        : o.log == log_kind::log10 ? 1.0 / std::numbers::ln10
                                                   : 1.0;
  t.log_scale = static_cast<T>(per_ln);
  t.log_floor = static_cast<T>(o.amin);
  t.log_offset = static_cast<T>(o.log_offset);
  expects(t.log_floor + t.log_offset > T{0}, errc::bad_option, "amin = ", o.amin, " is 0 in single precision");
  t.log_shift = static_cast<T>(-per_ln * std::log(std::max(o.amin, std::abs(o.ref))));
  t.out_shift = static_cast<T>(o.out_shift);
  t.out_scale = static_cast<T>(o.out_scale);
  if (o.top_db) {
    t.peak = o.peak;
    t.range = static_cast<T>(*o.top_db * per_ln * std::numbers::ln10 / 10.0);
  }
}

}  // namespace detail

/// Tables of resolved options, as far as the feature needs them. A clip-wide pre-emphasis and `pad` are not in them:
/// they act on the clip before the first frame (clip.hpp).
template <Real T>
kernels::mfcc::tables<T> make_tables(const mfcc_options& o, double sample_rate, feature what) {
  kernels::mfcc::tables<T> t;
  const std::size_t n_fft = *o.n_fft, win = *o.win_length, hop = *o.hop_length;
  t.n_fft = n_fft;
  t.hop = hop;
  t.frame_length = win;
  t.pad = o.center ? o.pad_mode : padding::none;
  t.split_reflection = o.split_reflection && t.pad == padding::reflect && o.framing == framing_rule::fft;
  t.drop_last_frame = o.drop_last_frame;
  if (o.framing == framing_rule::fft) {
    t.span = n_fft;
    t.fft_offset = (n_fft - win) / 2;
    t.lead = static_cast<std::ptrdiff_t>(o.center ? n_fft / 2 : 0) - static_cast<std::ptrdiff_t>(t.fft_offset);
    t.centred = true;
  } else {
    t.span = win;
    t.fft_offset = 0;
    t.lead = o.center ? static_cast<std::ptrdiff_t>(win / 2) - static_cast<std::ptrdiff_t>(hop / 2) : 0;
    t.centred = false;
  }

  t.sample_scale = static_cast<T>(o.scale);
  t.dither = static_cast<T>(o.dither);
  t.dither_seed = o.dither_seed;
  t.remove_dc = o.remove_dc;
  if (o.preemphasis_over == emphasis_scope::frame) t.preemphasis = static_cast<T>(*o.preemphasis);
  t.window = make_window<T>(o.window, win, o.periodic);
  t.power = static_cast<T>(o.power);
  if (o.normalized == stft_norm::frame_length)
    t.stft_scale = static_cast<T>(1.0 / std::sqrt(static_cast<double>(n_fft)));
  if (o.normalized == stft_norm::window) {
    double energy = 0;
    for (std::size_t i = 0; i < win; ++i) energy += std::pow(window_value(o.window, win, o.periodic, i), 2);
    expects(energy > 0, errc::bad_option, "normalized=window: a ", name_of(o.window), " window of ", win,
            " samples is all zero");
    t.stft_scale = static_cast<T>(1.0 / std::sqrt(energy));
  }

  if (what == feature::stft || what == feature::power) return t;
  mel_bank<T> bank = make_mel_bank<T>(mel_options_of(o, sample_rate));
  t.n_mels = bank.size();
  t.mel_first = std::move(bank.first);
  t.mel_length = std::move(bank.length);
  t.mel_begin = std::move(bank.begin);
  t.mel_weights = std::move(bank.weights);
  if (what == feature::mel) return t;

  detail::fill_logarithm(t, o);
  if (what == feature::logmel) return t;

  expects(o.n_mfcc >= 1, errc::bad_option,
          "n_mfcc is 0: these options define no cepstra (Whisper has none); set n_mfcc, or take the feature logmel");
  t.n_mfcc = o.n_mfcc;
  t.dct = make_dct<T>(o.dct_type, o.dct_norm, o.n_mfcc, o.n_mels, *o.lifter, o.lifter_index);
  t.energy = o.energy;
  // Kaldi never takes the logarithm of an energy below FLT_EPSILON
  t.energy_floor = static_cast<T>(std::max(o.energy_floor, 0x1p-23));
  return t;
}

}  // namespace hocket::audio

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in audio/instances.cpp
namespace hocket::audio {
HOCKET_AUDIO_INSTANCE kernels::mfcc::tables<float> make_tables<float>(const mfcc_options&, double, feature);
HOCKET_AUDIO_INSTANCE kernels::mfcc::tables<double> make_tables<double>(const mfcc_options&, double, feature);
}  // namespace hocket::audio
#endif
