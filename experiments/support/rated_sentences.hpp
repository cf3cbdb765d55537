// The sentences that some 20 people rated from -4 to 4 (data set vader_sentiment), in four domains.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/support/data_sets.hpp"

namespace hocket::experiments {

inline constexpr std::array<std::string_view, 4> rated_domains = {"amazon", "movies", "nyt", "tweets"};

struct rated_sentence {
  std::uint32_t domain = 0;  ///< of rated_domains
  std::string row;           ///< what the file calls it
  std::string document;      ///< a review of amazon or an article of nyt (row DOCUMENT_SENTENCE), otherwise the row
  std::string text;
  std::uint32_t label = 0;  ///< 0 negative, 1 neutral, 2 positive: the mean rating, cut at -0.5 and 0.5
};

/// All of them, domain after domain. Throws bad_file for a set without a domain, and with file and line for a row that
/// is not row, rating, text.
std::vector<rated_sentence> read_rated_sentences(const data_set& set);

}  // namespace hocket::experiments
