// What needs no fine-tuning: words counted, a lexicon, and embeddings of the model as it is, each with three settings
// to choose among on validation texts, as the methods have three learning rates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <hocket/core/device.hpp>
#include <hocket/core/view.hpp>

namespace hocket::experiments::peft_vs_full {

struct labelled_texts {
  std::vector<std::string> texts;
  std::vector<std::uint32_t> labels;
};

struct baseline_answer {
  std::vector<std::uint32_t> predicted;  ///< of the test texts
  std::vector<double> tried, accuracy;   ///< the settings, and what each gave on the validation texts
  std::size_t parameters = 0;            ///< fitted numbers
};

/// TF-IDF of words and pairs of neighbours that occur in two training texts or more (logarithmic counts, smooth inverse
/// document frequency, rows of length 1), and a multinomial logistic regression on them.
baseline_answer tfidf_baseline(const labelled_texts& train, const labelled_texts& valid,
                               const std::vector<std::string>& test, std::size_t classes);

/// The sum of the valences of a text's words by the lexicon of VADER, s / sqrt(s^2 + 15) as Hutto and Gilbert (2014)
/// scale it, with two thresholds +-t; without their rules for negation, capitals and intensifiers. Knows three classes:
/// negative, neutral, positive.
baseline_answer lexicon_baseline(const std::filesystem::path& lexicon, const labelled_texts& valid,
                                 const std::vector<std::string>& test);

/// Multinomial logistic regression on embeddings, (rows, D) each.
baseline_answer embedding_baseline(const cpu& device, const view<const float, 2>& train,
                                   const std::vector<std::uint32_t>& train_labels, const view<const float, 2>& valid,
                                   const std::vector<std::uint32_t>& valid_labels, const view<const float, 2>& test,
                                   std::size_t classes);

}  // namespace hocket::experiments::peft_vs_full
