// The verbs for texts of the user's own: finetune, predict, merge. README.md states what they read and write.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/peft_vs_full/settings.hpp"
#include "experiments/support/driver.hpp"

namespace hocket::experiments::peft_vs_full {

struct finetune_job {
  std::filesystem::path model, data, out;
  run_settings settings;
  cpu device;
  bool restart = false;  ///< drop an unfinished run
};
/// Trains, writes the adapter, says on stdout what came of it. Returns exit_ok or exit_interrupted.
int finetune(const finetune_job& job);

struct predict_job {
  std::filesystem::path model, adapter, text, logits;  ///< adapter and logits may be empty
  std::optional<std::size_t> max_length;
  nn::precision products = nn::precision::native;
  cpu device;
};
/// One name of a class a line on stdout.
int predict(const predict_job& job);

/// One model file with the adapter's change inside the weights.
int merge(const std::filesystem::path& model, const std::filesystem::path& adapter, const std::filesystem::path& out);

std::vector<verb> user_verbs();

}  // namespace hocket::experiments::peft_vs_full
