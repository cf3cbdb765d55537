// The rated sentences of the data set vader_sentiment as texts with a class and a unit.
#pragma once

#include <charconv>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <hocket/io/file.hpp>

#include "experiments/encoder_inference/embed.hpp"
#include "experiments/support/data_sets.hpp"

namespace hocket::experiments::encoder_inference {

struct rated_sentences {
  std::vector<std::string> texts, ids;
  std::vector<std::uint32_t>
      labels;                        ///< 0 negative, 1 neutral, 2 positive: mean rating from -4 to 4, cut at -.5 and .5
  std::vector<std::uint32_t> units;  ///< of a review or an editorial all sentences share one; others stand alone
};

/// Up to `most` sentences, equally many of each of the four domains, spread over it; documents stay whole.
inline rated_sentences read_rated_sentences(const data_set& set, std::size_t most) {
  expects(set.present(), errc::bad_file, set.use.missing);
  rated_sentences out;
  std::uint32_t unit = 0;
  for (const std::string domain : {"amazon", "movies", "nyt", "tweets"}) {
    std::string path;
    for (const data_file& file : set.files)
      if (file.name == domain + ".txt") path = file.path.string();
    expects(!path.empty(), errc::bad_file, set.use.name, ": no ", domain, ".txt");
    const auto bytes = io::read_file(path);
    std::map<std::string, std::vector<std::string_view>> documents;
    std::size_t rows = 0;
    for (const std::string_view line : texts_of({reinterpret_cast<const char*>(bytes.data()), bytes.size()})) {
      if (line.empty()) continue;
      const std::size_t tab = line.find('\t');
      expects(tab != std::string_view::npos, errc::bad_file, path, ": line ", rows + 1, ": no tab");
      documents[std::string(line.substr(0, std::min(tab, line.find('_'))))].push_back(line);
      ++rows;
    }
    const std::size_t step = std::max<std::size_t>(1, (4 * rows + most - 1) / most);
    std::size_t number = 0;
    for (const auto& [document, lines] : documents) {
      if (number++ % step != 0) continue;
      for (const std::string_view line : lines) {
        const std::size_t first = line.find('\t'), second = std::min(line.find('\t', first + 1), line.size());
        double rating = 0;
        const char* const stop = line.data() + second;
        const auto read = std::from_chars(line.data() + first + 1, stop, rating);
        expects(read.ec == std::errc{} && read.ptr == stop && second < line.size(), errc::bad_file, path, ": '",
                line.substr(0, second), "': expected id, rating, text");
        out.texts.emplace_back(line.substr(second + 1));
        out.ids.push_back(domain + "/" + std::string(line.substr(0, first)));
        out.labels.push_back(rating >= 0.5 ? 2 : rating <= -0.5 ? 0 : 1);
        out.units.push_back(unit);
      }
      ++unit;
    }
  }
  return out;
}

}  // namespace hocket::experiments::encoder_inference
