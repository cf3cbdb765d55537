// The parity table: every audio preset against golden vectors of the library it is named after (tests/oracles/audio,
// make_oracles.py). One row per preset, feature and dtype; tests assert every row, the `parity` verb records them.
//
// Two bounds, both per row of the feature (a bin, a band, a coefficient), never of the global maximum:
//   f64   |ours - peer in f64| <= 1e-8 of the row's largest value (1e-10 for the complex transform)
//   f32   |ours - peer in f64| <= 2 x the peer's own f32 error in that row (the 2x rule)
// Either is never below the rounding floor: epsilon x the magnitude of the values summed, carried through the chain.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <hocket/audio/mfcc.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/mfcc/cpu.hpp>

namespace hocket::parity {

/// What is asked of f64, relative to a row's own scale.
inline constexpr double f64_bound = 1e-8;
inline constexpr double f64_stft_bound = 1e-10;
/// The 2x rule.
inline constexpr double f32_bound = 2;

/// One row of the table.
struct row {
  std::string what, preset, peer, peer_version, dtype;
  std::size_t cases = 0;
  double max_error = 0;  ///< f64: in units of the row's scale; f32: in units of the peer's error; at most `bound` if ok
  double bound = 0;
  bool ok = true;
  std::string worst;  ///< the case that came closest to its bound, for the message
};

/// One line of a golden-vector manifest.
struct golden_case {
  std::string label, preset, signal;
  audio::feature what = audio::feature::mfcc;
  double rate = 0;
  std::uint64_t seed = 0;
  std::size_t samples = 0, channels = 0, rows = 0, frames = 0, offset = 0;
  std::vector<std::size_t> row, frame;
  std::vector<std::pair<std::string, std::string>> options;
};

/// The 24 upper bits of every state of Knuth's linear congruential generator, as make_oracles.py has it.
inline std::vector<std::int64_t> noise_bits(std::uint64_t seed, std::size_t n) {
  std::uint64_t state = seed * 2862933555777941757u + 3037000493u;
  std::vector<std::int64_t> bits(n);
  for (std::int64_t& b : bits) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    b = static_cast<std::int64_t>(state >> 40);
  }
  return bits;
}

/// The input signals of make_oracles.py, exact in f32.
inline std::vector<double> golden_signal(const std::string& kind, std::uint64_t seed, std::size_t n) {
  std::vector<double> x(n, 0.0);
  if (kind == "silence") return x;
  if (kind == "impulse") {
    if (n > 0) x[n / 3] = 1.0;
    return x;
  }
  const std::vector<std::int64_t> bits = noise_bits(seed, n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto at = static_cast<std::int64_t>(i);
    if (kind == "dc") x[i] = 0.5;
    if (kind == "square") x[i] = at / 25 % 2 == 0 ? 1.0 : -1.0;
    if (kind == "noise") x[i] = static_cast<double>(bits[i] - (1 << 23)) / (1 << 23);
    if (kind == "saw") {
      const auto tone = static_cast<double>((at * 37 + static_cast<std::int64_t>(seed)) % 1024 - 512) / 1024;
      x[i] = tone + static_cast<double>((bits[i] >> 13) - 1024) / (1 << 19);
    }
  }
  return x;
}

/// (channels, samples): channel c is the signal of seed + c divided by 8^c.
template <Real T>
std::vector<T> golden_clip(const golden_case& c) {
  std::vector<T> clip;
  for (std::size_t channel = 0; channel < c.channels; ++channel)
    for (const double x : golden_signal(c.signal, c.seed + channel, c.samples))
      clip.push_back(static_cast<T>(x / std::pow(8.0, static_cast<double>(channel))));
  return clip;
}

namespace detail {

inline std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, by);) parts.push_back(part);
  return parts;
}

inline std::vector<std::size_t> numbers(const std::string& text) {
  std::vector<std::size_t> out;
  for (const std::string& part : split(text, ',')) out.push_back(std::stoul(part));
  return out;
}

}  // namespace detail

/// A manifest and its values.
struct golden_file {
  std::map<std::string, std::string> versions;  ///< of the peers, from the first line
  std::vector<golden_case> cases;
  std::vector<char> values;

  golden_file(const std::string& stem) {
    std::ifstream text_in(stem + ".txt"), data_in(stem + ".bin", std::ios::binary);
    expects(text_in.good() && data_in.good(), errc::bad_file, "golden vectors ", stem,
            ".txt and .bin cannot be read; they belong to the checkout");
    values.assign(std::istreambuf_iterator<char>(data_in), {});
    for (std::string line; std::getline(text_in, line);) {
      std::istringstream fields(line);
      std::map<std::string, std::string> at;
      for (std::string field; fields >> field;) {
        const auto equals = field.find('=');
        if (equals != std::string::npos) at[field.substr(0, equals)] = field.substr(equals + 1);
      }
      if (line.starts_with('#')) {
        versions = at;
        continue;
      }
      golden_case c;
      c.label = line.substr(0, line.find(" row="));
      c.preset = at["preset"];
      c.signal = at["signal"];
      c.what = hocket::detail::option_from_text<audio::feature>("feature", at["feature"]);
      c.rate = std::stod(at["rate"]);
      c.seed = std::stoull(at["seed"]);
      c.samples = std::stoul(at["samples"]);
      c.channels = std::stoul(at["channels"]);
      c.rows = std::stoul(at["rows"]);
      c.frames = std::stoul(at["frames"]);
      c.offset = std::stoul(at["offset"]);
      c.row = detail::numbers(at["row"]);
      c.frame = detail::numbers(at["frame"]);
      if (at["options"] != "-")
        for (const std::string& option : detail::split(at["options"], ',')) {
          const auto equals = option.find('=');
          c.options.emplace_back(option.substr(0, equals), option.substr(equals + 1));
        }
      cases.push_back(c);
    }
  }

  std::string peer_of(const std::string& preset) const {
    if (preset.starts_with("librosa")) return "librosa";
    if (preset == "torchaudio") return "torchaudio";
    if (preset == "kaldi") return "torchaudio.compliance.kaldi";
    return "openai/whisper's definition over torch.stft and librosa.filters.mel";
  }
  std::string version_of(const std::string& preset) const {
    const auto of = [&](const char* name) { return versions.count(name) ? versions.at(name) : std::string("unknown"); };
    if (preset.starts_with("librosa")) return of("librosa");
    if (preset == "whisper") return "torch " + of("torch") + ", librosa " + of("librosa");
    return of("torchaudio") + " (torch " + of("torch") + ")";
  }
};

/// Options of a case: the preset's, then the drawn ones.
inline audio::mfcc_options options_of(const golden_case& c) {
  audio::mfcc_options o = audio::preset(c.preset);
  for (const auto& [key, value] : c.options) o.set(key, value);
  return o;
}

/// The rounding floor of one case: how far an answer may be off in precision T because of epsilon alone, carried
/// through the chain by its derivatives.
///   f32   the reference is exact in comparison: epsilon x the sum of magnitudes of a frame for its transform, epsilon
///   x
///         the root of the summed squares for the cosine transform
///   f64   the reference is a computation in the same precision, so where terms cancel (a row that is zero by symmetry)
///         both sides may be off by the worst case: log2(n_fft) times that for a transform (Higham, "Accuracy and
///         stability of numerical algorithms", 2002, 24.1), n epsilon sum |terms| for a sum of n terms (3.1)
template <Real T>
class rounding_floor {
 public:
  explicit rounding_floor(const golden_case& c) : case_(c), options_(options_of(c)) {
    const std::vector<double> clip = golden_clip<double>(c);
    samples_ = view<const double, 2>(clip.data(), {c.channels, c.samples});
    const audio::mfcc_plan<double> spectrum(options_, c.rate, audio::feature::power);
    tables_ = audio::make_tables<double>(spectrum.options(), c.rate, c.what);
    for (std::size_t channel = 0; channel < c.channels; ++channel) {
      std::vector<double> conditioned(spectrum.clip().samples_after(c.samples));
      spectrum.clip().run(samples_[channel], make_view(conditioned));
      frames_of_channel(spectrum(samples_[channel]), conditioned);
    }
  }

  /// Of row r, frame f of a channel.
  double at(std::size_t channel, std::size_t r, std::size_t f) const { return floors_[channel](r, f); }

 private:
  static constexpr double epsilon = static_cast<double>(std::numeric_limits<T>::epsilon());
  static constexpr bool worst_case = std::is_same_v<T, double>;

  void frames_of_channel(const audio::matrix<double>& power, const std::vector<double>& clip) {
    audio::matrix<double> floors(case_.rows, case_.frames);
    for (std::size_t f = 0; f < case_.frames; ++f) one_frame(power, clip, f, floors);
    floors_.push_back(std::move(floors));
  }

  /// Size of what enters the transform, before anything cancels.
  double frame_magnitude(const std::vector<double>& clip, std::size_t f) const {
    double sum = 0;
    const double growth =
        (1 + std::abs(tables_.preemphasis)) * (tables_.remove_dc ? 2 : 1) * (1 + std::abs(emphasis()));
    for (std::size_t i = 0; i < tables_.frame_length; ++i) {
      const std::ptrdiff_t at =
          kernels::mfcc::padded_index(tables_.pad, static_cast<std::ptrdiff_t>(f * tables_.hop + i) - tables_.lead,
                                      static_cast<std::ptrdiff_t>(clip.size()));
      if (at < 0) continue;
      const double x = clip[static_cast<std::size_t>(at)] * tables_.sample_scale * tables_.window[i] * growth;
      sum += std::abs(x);
    }
    return (worst_case ? std::log2(static_cast<double>(tables_.n_fft)) : 1.0) * sum * tables_.stft_scale;
  }
  double emphasis() const {
    return options_.preemphasis && options_.preemphasis_over == audio::emphasis_scope::clip ? *options_.preemphasis : 0;
  }

  void one_frame(const audio::matrix<double>& power, const std::vector<double>& clip, std::size_t f,
                 audio::matrix<double>& floors) const {
    const double delta = epsilon * frame_magnitude(clip, f);
    const std::size_t bins = power.rows;
    std::vector<double> d_power(bins), d_log(tables_.n_mels), log(tables_.n_mels);
    for (std::size_t k = 0; k < bins; ++k) {
      const double magnitude = std::pow(power(k, f), 1 / tables_.power);
      d_power[k] = std::pow(magnitude + delta, tables_.power) - power(k, f) + epsilon * power(k, f);
      if (case_.what == audio::feature::stft) floors(k, f) = delta;
      if (case_.what == audio::feature::power) floors(k, f) = d_power[k];
    }
    if (case_.what == audio::feature::stft || case_.what == audio::feature::power) return;
    for (std::size_t m = 0; m < tables_.n_mels; ++m) {
      double mel = 0, d_mel = 0;
      for (std::size_t j = 0; j < tables_.mel_length[m]; ++j) {
        const double w = tables_.mel_weights[tables_.mel_begin[m] + j];
        mel += w * power(tables_.mel_first[m] + j, f);
        d_mel += w * d_power[tables_.mel_first[m] + j];
      }
      if (case_.what == audio::feature::mel) floors(m, f) = d_mel;
      const double held = std::max(mel, tables_.log_floor) + tables_.log_offset;
      log[m] =
          (std::abs(tables_.log_scale * std::log(held)) + std::abs(tables_.log_shift) + std::abs(tables_.out_shift)) *
          std::abs(tables_.out_scale);
      // not more than the way from the floor up to what the error alone would show
      const double most = std::log((std::max(mel + d_mel, tables_.log_floor) + tables_.log_offset) / held);
      d_log[m] = std::abs(tables_.log_scale * tables_.out_scale) * most + epsilon * log[m];
      if (case_.what == audio::feature::logmel) floors(m, f) = d_log[m];
    }
    for (std::size_t c = 0; c < (case_.what == audio::feature::mfcc ? tables_.n_mfcc : 0); ++c) {
      double squares = 0, magnitude = 0;
      for (std::size_t m = 0; m < tables_.n_mels; ++m) {
        const double d = tables_.dct[c * tables_.n_mels + m];
        squares += d * d * (d_log[m] * d_log[m] + epsilon * epsilon * log[m] * log[m]);
        magnitude += std::abs(d) * log[m];
      }
      floors(c, f) = std::sqrt(squares) + (worst_case ? static_cast<double>(tables_.n_mels) * epsilon * magnitude : 0);
    }
  }

  const golden_case& case_;
  audio::mfcc_options options_;
  view<const double, 2> samples_;
  kernels::mfcc::tables<double> tables_;
  std::vector<audio::matrix<double>> floors_;
};

/// Largest error of one case in units of its bound, entry by entry; NaN counts as infinite.
template <Real T, class Value>
comparison compare_case(const golden_file& file, const golden_case& c, const cpu& device) {
  constexpr bool complex_values = !std::is_same_v<Value, T>;
  using wide = std::conditional_t<complex_values, std::complex<double>, double>;
  using narrow = std::conditional_t<complex_values, std::complex<float>, float>;
  const std::size_t entries = c.channels * c.row.size() * c.frame.size();
  expects(c.offset + entries * (sizeof(wide) + sizeof(narrow)) <= file.values.size(), errc::bad_file,
          "golden vectors end before ", c.label);
  std::vector<wide> full(entries);
  std::vector<narrow> single(entries);
  std::memcpy(full.data(), file.values.data() + c.offset, entries * sizeof(wide));
  std::memcpy(single.data(), file.values.data() + c.offset + entries * sizeof(wide), entries * sizeof(narrow));

  const audio::mfcc_plan<T> plan(options_of(c), c.rate, c.what, device);
  const std::vector<T> clip = golden_clip<T>(c);
  comparison result;
  if (plan.rows() != c.rows || plan.frames(c.samples) != c.frames) {
    result.add(std::numeric_limits<double>::infinity(), 0);
    return result;
  }
  std::vector<Value> ours(c.channels * c.rows * c.frames);
  audio::mfcc_workspace<T> space = plan.make_workspace(c.samples, c.channels);
  plan.run(view<const T, 2>(clip.data(), {c.channels, c.samples}),
           view<Value, 3>(ours.data(), {c.channels, c.rows, c.frames}), space);

  const rounding_floor<T> floor(c);
  for (std::size_t channel = 0, i = 0; channel < c.channels; ++channel)
    for (std::size_t r = 0; r < c.row.size(); ++r, i += c.frame.size()) {
      double scale = 0, peer_error = 0;
      for (std::size_t f = 0; f < c.frame.size(); ++f) {
        scale = std::max(scale, static_cast<double>(std::abs(full[i + f])));
        peer_error = std::max(peer_error, static_cast<double>(std::abs(wide(single[i + f]) - full[i + f])));
      }
      const double row_bound = std::is_same_v<T, double>
                                   ? scale * (c.what == audio::feature::stft ? f64_stft_bound : f64_bound)
                                   : f32_bound * peer_error;
      for (std::size_t f = 0; f < c.frame.size(); ++f) {
        const Value mine = ours[(channel * c.rows + c.row[r]) * c.frames + c.frame[f]];
        result.add(static_cast<double>(std::abs(wide(mine) - full[i + f])),
                   std::max(row_bound, floor.at(channel, c.row[r], c.frame[f]) +
                                           rounding<T>(static_cast<double>(std::abs(full[i + f])))));
      }
    }
  return result;
}

/// All cases of one manifest (`stem` without extension), as rows of the table.
inline std::vector<row> run_golden_file(const std::string& stem, const cpu& device = {}) {
  const golden_file file(stem);
  std::vector<row> rows;
  const auto take = [&](const golden_case& c, const char* dtype, double bound, const comparison& result) {
    const std::string what(name_of(c.what));
    auto at = std::find_if(rows.begin(), rows.end(),
                           [&](const row& r) { return r.what == what && r.preset == c.preset && r.dtype == dtype; });
    if (at == rows.end()) {
      rows.push_back({what, c.preset, file.peer_of(c.preset), file.version_of(c.preset), dtype, 0, 0, bound, true, ""});
      at = rows.end() - 1;
    }
    ++at->cases;
    at->ok = at->ok && result.ok;
    if (at->cases == 1 || result.max_units * bound > at->max_error) {
      at->max_error = result.max_units * bound;
      at->worst = text(c.label, ": ", result.message());
    }
  };
  for (const golden_case& c : file.cases) {
    if (c.what == audio::feature::stft) {
      take(c, "f64", f64_stft_bound, compare_case<double, std::complex<double>>(file, c, device));
      take(c, "f32", f32_bound, compare_case<float, std::complex<float>>(file, c, device));
    } else {
      take(c, "f64", f64_bound, compare_case<double, double>(file, c, device));
      take(c, "f32", f32_bound, compare_case<float, float>(file, c, device));
    }
  }
  return rows;
}

/// The whole table: `directory` is tests/oracles/audio of the checkout.
inline std::vector<row> audio_parity(const std::string& directory, const cpu& device = {}) {
  std::vector<row> rows = run_golden_file(directory + "/presets", device);
  const std::vector<row> later = run_golden_file(directory + "/librosa_1", device);
  rows.insert(rows.end(), later.begin(), later.end());
  return rows;
}

}  // namespace hocket::parity
