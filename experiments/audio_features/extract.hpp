// The verb `extract IN OUT.npy --preset NAME --feature FEATURE [-S key=value ...] [--backend cpu|cuda]`: one feature of
// one recording of the user's own. Samples as read (PCM as [-1, 1), float files as they are), channels averaged, no
// resampling; the array is C-order (features, frames).
#pragma once

#include <complex>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include <hocket/audio/mfcc.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/io/audio_file.hpp>
#include <hocket/io/npy.hpp>

#include "experiments/audio_features/extract_cuda.hpp"
#include "experiments/support/driver.hpp"

namespace hocket::experiments::audio_features {

/// What `extract` is asked to do.
struct extraction {
  std::string input, output;
  audio::mfcc_options options;
  audio::feature what = audio::feature::mfcc;
  dtype type = dtype::f32;
  backend where = backend::cpu;
};

/// The settable keys: those of the options struct and dtype.
inline std::string known_settings() {
  std::string known;
  for (const auto& [key, value] : to_pairs(audio::mfcc_options{})) known += key + ", ";
  return known + "dtype";
}

/// Applies one "key=value"; throws bad_option with the list of keys or values.
inline void apply_setting(extraction& job, std::string_view assignment) {
  const auto equals = assignment.find('=');
  expects(equals != std::string_view::npos && equals > 0, errc::bad_option, "-S expects key=value, got '", assignment,
          "'; keys are: ", known_settings());
  const std::string_view key = assignment.substr(0, equals), value = assignment.substr(equals + 1);
  if (key == "dtype") {
    expects(value == "f32" || value == "f64", errc::bad_option, "dtype=", value, ": expected f32 or f64");
    job.type = value == "f32" ? dtype::f32 : dtype::f64;
    return;
  }
  expects(known_settings().find(text(key, ",")) != std::string::npos, errc::bad_option, "unknown option ", key,
          "; known are: ", known_settings());
  job.options.set(key, value);
}

/// numpy's name of the array's element type.
template <Real T>
constexpr std::string_view numpy_name(bool complex_values) {
  if (dtype_of<T> == dtype::f64) return complex_values ? "complex128" : "float64";
  return complex_values ? "complex64" : "float32";
}

template <Real T>
int extract_as(const extraction& job) {
  const auto clip = io::read_audio<T>(job.input);
  expects(clip.info.samples > 0, errc::bad_file, job.input, ": the recording holds no samples");
  const std::vector<T> mono = io::mix_to_mono(clip);
  const audio::mfcc_plan<T> plan(job.options, static_cast<double>(clip.info.sample_rate), job.what);
  const view<const T, 1> samples = make_view(mono);
  const double rate = static_cast<double>(clip.info.sample_rate);
  if (job.what == audio::feature::stft) {
    if (job.where == backend::cuda)
      io::write_npy(job.output, stft_on_cuda<T>(job.options, rate, samples).as_view());
    else
      io::write_npy(job.output, plan.stft(samples).as_view());
  } else if (job.where == backend::cuda) {
    io::write_npy(job.output, feature_on_cuda<T>(job.options, rate, job.what, samples).as_view());
  } else {
    io::write_npy(job.output, plan(samples).as_view());
  }
  if (plan.frames(mono.size()) == 0)
    std::cerr << job.input << ": warning: " << mono.size()
              << " samples are shorter than one frame; the array has no columns\n";
  std::cerr << to_text(plan.options()) << "\n";
  std::cout << job.output << "\t" << plan.rows() << " x " << plan.frames(mono.size()) << "\t"
            << numpy_name<T>(job.what == audio::feature::stft) << "\n";
  return exit_ok;
}

inline verb extract_verb() {
  return {"extract",
          "a feature of your own recording: extract IN OUT.npy --preset NAME --feature FEATURE [-S key=value ...]",
          [](CLI::App& app) -> std::function<int()> {
            struct arguments {
              std::vector<std::string> words, settings;
              std::string preset, feature, device = "cpu";
            };
            const auto given = std::make_shared<arguments>();
            std::string features;
            for (const auto& [value, name] : enum_names<audio::feature>::values)
              features += text(features.empty() ? "" : ", ", name);
            app.add_option("IN OUT.npy", given->words, "a recording (WAV, FLAC, OGG ...) and the array to write");
            app.add_option("--preset", given->preset, "whose conventions: " + audio::preset_names());
            app.add_option("--feature", given->feature, "one of " + features);
            app.add_option("--backend", given->device, "cpu or cuda, which computes in f32")->capture_default_str();
            app.add_option("-S,--set", given->settings, "key=value, any number of them")->allow_extra_args(false);
            app.footer(text("Keys of -S, with librosa's values:\n", describe(audio::mfcc_options{}),
                            "  dtype=f32  f32 or f64: precision of the computation and of the array\n"));
            return [given, features]() -> int {
              extraction job;
              expects(!given->preset.empty(), errc::bad_option,
                      "extract needs --preset; known are: ", audio::preset_names());
              job.options = audio::preset(given->preset);
              expects(!given->feature.empty(), errc::bad_option, "extract needs --feature; known are: ", features);
              job.what = hocket::detail::option_from_text<audio::feature>("--feature", given->feature);
              // "-S a=1 b=2" is taken as it is meant: words beyond the two files are further settings.
              std::vector<std::string> files;
              for (const std::string& word : given->words) {
                const bool setting = given->words.size() > 2 && word.find('=') != std::string::npos;
                (setting ? given->settings : files).push_back(word);
              }
              for (const std::string& assignment : given->settings) apply_setting(job, assignment);
              expects(files.size() == 2, errc::bad_option, "extract expects IN and OUT.npy, got ", files.size(),
                      " file names");
              expects(given->device == "cpu" || given->device == "cuda", errc::bad_option, "--backend ", given->device,
                      ": expected cpu or cuda");
              job.where = given->device == "cuda" ? backend::cuda : backend::cpu;
              expects(job.where == backend::cpu || job.type == dtype::f32, errc::bad_option,
                      "dtype=f64: the CUDA chain computes in f32; leave it out, or use --backend cpu");
              require_backend(job.where);
              job.input = files[0];
              job.output = files[1];
              return job.type == dtype::f32 ? extract_as<float>(job) : extract_as<double>(job);
            };
          }};
}

}  // namespace hocket::experiments::audio_features
