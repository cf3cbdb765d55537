// The registry of the arms: their names in records, what they are, and how they are built for a sample rate.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include <hocket/core/error.hpp>

#include "experiments/audio_features/arms/mfcc.hpp"
#include "experiments/audio_features/arms/mfcc_deltas.hpp"
#include "experiments/audio_features/arms/mfcc_statistics.hpp"
#include "experiments/audio_features/arms/stft_bands.hpp"

namespace hocket::experiments::audio_features {

struct arm_entry {
  std::string_view name;
  std::string_view summary;
};

inline constexpr std::array arm_table = {
    arm_entry{"stft_bands", "40 bands of equal width in dB: mean and deviation over time"},
    arm_entry{"mel", "librosa's 128 mel bands in dB: mean and deviation"},
    arm_entry{"mfcc_librosa", "20 cepstra of librosa: mean and deviation"},
    arm_entry{"mfcc_torchaudio", "40 cepstra of torchaudio: mean and deviation"},
    arm_entry{"mfcc_kaldi", "13 cepstra of Kaldi: mean and deviation"},
    arm_entry{"mel_whisper", "Whisper's 80 log-mel bands: mean and deviation"},
    arm_entry{"mfcc_deltas", "20 cepstra of librosa, deviations of their first and second differences"},
    arm_entry{"mfcc_statistics", "20 cepstra of librosa, centroid, bandwidth, roll-off, flatness, zero crossings, RMS"},
};

/// Hz at which a library's own sizes in samples are meant.
inline constexpr double librosa_rate = 22050, torchaudio_rate = 16000, whisper_rate = 16000;

template <Real T>
std::unique_ptr<arm<T>> make_arm(std::string_view name, double rate) {
  using audio::feature;
  namespace presets = audio::presets;
  const auto pooled = [&](const audio::mfcc_options& options, double nominal, feature what) {
    return std::make_unique<pooled_feature<T>>(options, nominal, what, rate);
  };
  if (name == "stft_bands") return std::make_unique<stft_bands<T>>(rate);
  if (name == "mel") return pooled(presets::librosa_0_11(), librosa_rate, feature::logmel);
  if (name == "mfcc_librosa") return pooled(presets::librosa_0_11(), librosa_rate, feature::mfcc);
  if (name == "mfcc_torchaudio") return pooled(presets::torchaudio(), torchaudio_rate, feature::mfcc);
  if (name == "mfcc_kaldi") {
    audio::mfcc_options options = presets::kaldi();
    options.scale = 32768;  // Kaldi's floors are meant for 16-bit integers
    return pooled(options, torchaudio_rate, feature::mfcc);
  }
  if (name == "mel_whisper") return pooled(presets::whisper(), whisper_rate, feature::logmel);
  if (name == "mfcc_deltas") return std::make_unique<mfcc_deltas<T>>(rate);
  if (name == "mfcc_statistics") return std::make_unique<mfcc_statistics<T>>(rate);
  std::string known;
  for (const auto& entry : arm_table) known += text(known.empty() ? "" : ", ", entry.name);
  fail(errc::bad_option, "unknown arm ", name, "; known are: ", known);
}

extern template std::unique_ptr<arm<float>> make_arm<float>(std::string_view, double);  // arms.cpp
extern template std::unique_ptr<arm<double>> make_arm<double>(std::string_view, double);

}  // namespace hocket::experiments::audio_features
