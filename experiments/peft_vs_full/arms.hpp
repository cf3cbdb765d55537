// What is compared, and the learning rates that each method may choose among: as many for each, a factor of four apart
// around the rate at which the method is usually run.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/peft_vs_full/settings.hpp"

namespace hocket::experiments::peft_vs_full {

struct arm {
  std::string name;    ///< in case names: "lora/rank=8"
  std::string method;  ///< before the axes
  std::array<double, 3> rates;
  std::vector<std::string> settings;  ///< of --method and -S
  std::string verb_method() const { return method == "lora_all_linear" ? "lora" : method; }
  bool quick = false;
};

/// Sentences whose keys and values a prefix begins with.
inline constexpr std::string_view prefix_text = "is this text positive , negative or neutral in what it says ?";

inline std::vector<arm> arms() {
  const std::string text_start = text("initial_text=", prefix_text), rows = "num_virtual_tokens=10";
  std::vector<arm> all;
  all.push_back({"full", "full", {5e-5, 2e-4, 8e-4}, {}, true});
  all.push_back({"linear_probe", "linear_probe", {2.5e-3, 1e-2, 4e-2}, {}, true});
  all.push_back({"bitfit", "bitfit", {5e-4, 2e-3, 8e-3}, {}, false});
  for (const char* rank : {"2", "8", "32"})
    all.push_back({text("lora/rank=", rank),
                   "lora",
                   {5e-4, 2e-3, 8e-3},
                   {text("rank=", rank), "alpha=16", "dropout=0.1"},
                   rank[0] == '8'});
  all.push_back({"lora_all_linear/rank=8",
                 "lora_all_linear",
                 {5e-4, 2e-3, 8e-3},
                 {"rank=8", "alpha=16", "dropout=0.1", "targets=all-linear"},
                 false});
  all.push_back({"prefix", "prefix", {2.5e-3, 1e-2, 4e-2}, {rows, text_start}, false});
  all.push_back({"prefix_lora",
                 "prefix_lora",
                 {5e-4, 2e-3, 8e-3},
                 {rows, text_start, "rank=8", "alpha=16", "dropout=0.1"},
                 false});
  return all;
}

inline constexpr std::array<std::string_view, 3> baselines = {"frozen_embedding", "tfidf", "lexicon"};

/// Settings of an arm at one rate. Epochs: about as many steps at 1 % as the sizes above need to be trained at all.
inline run_settings settings_of(const arm& a, double rate, std::size_t per_cent, std::int64_t seed,
                                peft::training_precision precision) {
  run_settings s(a.verb_method());
  for (const auto& assignment : a.settings) s.set(assignment);
  s.training.learning_rate = rate;
  s.training.epochs = per_cent <= 1 ? 10 : per_cent <= 10 ? 4 : 2;
  s.training.batch = 32;
  s.training.seed = static_cast<std::uint64_t>(seed);
  s.training.precision = precision;
  s.texts.pooling = nn::classifier_pooling::mean;  // the model was trained with it
  s.texts.max_length = 96;
  return s;
}

}  // namespace hocket::experiments::peft_vs_full
