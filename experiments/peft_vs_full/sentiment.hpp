// The sentences that some 20 people rated (data set vader_sentiment), as three classes in four domains, and how they
// are divided. The division is a pure function of names, so that any program, in any language, finds the same one:
//
//   bucket(unit) = first 8 hexadecimal digits of sha256("<domain>:<unit>") mod 10;  0, 1: test, 2: validation
//   training subset of p %: the rows first by sha256("<seed>:<domain>:<row>"), as many as p % of them, rounded
//   validation: the first 600 by sha256("valid:<domain>:<row>")
//
// A unit is a review of amazon and an article of nyt (row REVIEW_SENTENCE), otherwise a sentence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/support/rated_sentences.hpp"

namespace hocket::experiments::peft_vs_full {

inline constexpr auto& domains = rated_domains;
inline const std::vector<std::string> sentiments = {"negative", "neutral", "positive"};
inline constexpr std::size_t most_validation = 600;

struct sentence {
  std::string text, id;  ///< id: "<domain>:<row>"
  std::uint32_t label = 0, domain = 0, unit = 0;
  std::uint32_t bucket = 0;  ///< 0 to 9
};

struct sentiment_set {
  data_set set;
  std::vector<sentence> all;
  std::size_t units = 0;
};

/// Reads the set; what is wrong with it ends up in set.use.missing.
sentiment_set read_sentiment(const run_options& options);

/// A task: how many per cent of the training rows, and which domain is tested and not trained on (none: all are both).
struct sentiment_task {
  std::size_t per_cent = 100;
  std::string without;  ///< a domain, or empty
  std::string name() const {
    return without.empty() ? text("sentiment_", per_cent, "pct") : text("without_", without, "_", per_cent, "pct");
  }
};

/// Rows of `all`.
struct sentiment_split {
  std::vector<std::size_t> train, valid, test;
};
sentiment_split divide(const sentiment_set& data, const sentiment_task& task, std::int64_t seed);

}  // namespace hocket::experiments::peft_vs_full
