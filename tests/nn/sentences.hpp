// Real sentences: the rated ones of vader_sentiment, and their embeddings from text on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <hocket/text/batching.hpp>
#include <hocket/text/tokenizer.hpp>

#include "nn/encoder_oracle.hpp"

namespace encoder_test {

struct rated {
  std::string text;
  double rating;
};
/// Every `step`-th sentence of all four domains; empty where the set was not fetched.
inline std::vector<rated> real_sentences(std::size_t step) {
  std::vector<rated> all;
  for (const char* domain : {"tweets", "movies", "amazon", "nyt"}) {
    std::ifstream in(minilm_folder().parent_path() / "vader_sentiment" / text(domain, ".txt"));
    std::size_t number = 0;
    for (std::string line; std::getline(in, line);) {
      const auto first = line.find('\t'), second = line.find('\t', first + 1);
      if (first == std::string::npos || second == std::string::npos || number++ % step != 0) continue;
      all.push_back({line.substr(second + 1), std::stod(line.substr(first + 1, second - first - 1))});
    }
  }
  return all;
}

/// (texts, D), in the order of the texts; batches are ragged and by length.
inline std::vector<float> embeddings(const nn::encoder_config& config, const io::safetensors_file& weights,
                                     const texts::tokenizer& words, const std::vector<std::string>& lines,
                                     std::size_t longest, nn::precision products = nn::precision::native) {
  nn::parameter_set<float> parameters;
  nn::load_encoder<float>(config, weights, parameters);
  parameters.train_only({});
  texts::encode_options options;
  options.truncation = texts::truncation_options{longest};
  std::vector<std::vector<texts::token_id>> ids;
  for (const std::string& line : lines) ids.push_back(words.encode(line, options));
  const std::size_t rows = 16, columns = config.hidden_size;
  nn::tape<float> t(cpu{2}, 0, {}, products);
  nn::encoder_batch batch(t, config, rows, rows * longest, longest);
  const nn::encoder<float> model(config, parameters);
  const nn::value out = model.embed(t, batch, model.record(t, batch, {false}).last(), nn::encoder_pooling::mean, true);
  t.compile_forward({out});
  std::vector<float> all(lines.size() * columns);
  for (const auto& part : texts::plan_batches(texts::lengths_of(ids), {rows})) {
    const texts::ragged_batch packed = texts::pack(ids, part);
    std::vector<std::uint32_t> lengths;
    for (std::size_t i = 0; i < part.size(); ++i)
      lengths.push_back(static_cast<std::uint32_t>(packed.offsets[i + 1] - packed.offsets[i]));
    batch.set(t, std::vector<std::uint32_t>(packed.ids.begin(), packed.ids.end()), lengths);
    t.forward();
    texts::restore_order<float>(part, t.read(out), {all.data(), {lines.size(), columns}});
  }
  return all;
}

}  // namespace encoder_test
