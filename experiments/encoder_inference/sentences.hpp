// A choice of the rated sentences of the data set vader_sentiment, as texts with a class and a unit.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "experiments/support/rated_sentences.hpp"

namespace hocket::experiments::encoder_inference {

struct chosen_sentences {
  std::vector<std::string> texts, ids;
  std::vector<std::uint32_t> labels;  ///< as rated_sentence
  std::vector<std::uint32_t> units;   ///< of a review or an editorial all sentences share one; others stand alone
};

/// Up to `most` sentences, equally many of each of the four domains, spread over it; documents stay whole.
inline chosen_sentences choose_sentences(const data_set& set, std::size_t most) {
  expects(set.present(), errc::bad_file, set.use.missing);
  const std::vector<rated_sentence> all = read_rated_sentences(set);
  chosen_sentences out;
  std::uint32_t unit = 0;
  for (std::uint32_t domain = 0; domain < rated_domains.size(); ++domain) {
    std::map<std::string, std::vector<const rated_sentence*>> documents;
    std::size_t rows = 0;
    for (const rated_sentence& one : all) {
      if (one.domain != domain) continue;
      documents[one.document].push_back(&one);
      ++rows;
    }
    const std::size_t step = std::max<std::size_t>(1, (4 * rows + most - 1) / most);
    std::size_t number = 0;
    for (const auto& [document, sentences] : documents) {
      if (number++ % step != 0) continue;
      for (const rated_sentence* const one : sentences) {
        out.texts.push_back(one->text);
        out.ids.push_back(text(rated_domains[domain], "/", one->row));
        out.labels.push_back(one->label);
        out.units.push_back(unit);
      }
      ++unit;
    }
  }
  return out;
}

}  // namespace hocket::experiments::encoder_inference
