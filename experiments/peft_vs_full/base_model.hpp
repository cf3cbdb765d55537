// A model's folder, opened: the mapped weights, the words, and which classifier can be made of them.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <hocket/io/safetensors.hpp>
#include <hocket/measure/sha256.hpp>
#include <hocket/nn/encoder_config.hpp>
#include <hocket/nn/sequence_classifier.hpp>
#include <hocket/text/tokenizer.hpp>

namespace hocket::experiments::peft_vs_full {

struct base_model {
  nn::model_folder folder;
  io::safetensors_file file;
  texts::tokenizer words;
  std::string sha256;  ///< of the weights' file

  /// Throws bad_file for a folder that is no model, weights that are not finite, or words beyond the model's table.
  explicit base_model(const std::filesystem::path& place)
      : folder(nn::read_model_folder(place)),
        file(folder.weights, {.require_finite = true}),
        words(texts::tokenizer::load(place)),
        sha256(measure::sha256_of_file(folder.weights)) {
    expects(words.vocabulary_size() <= config().vocab_size, errc::bad_file, place.string(), ": the tokenizer has ",
            words.vocabulary_size(), " entries, the model's table of words has ", config().vocab_size, " rows");
  }

  const nn::encoder_config& config() const { return folder.config; }
  bool has_pooler() const { return file.contains("pooler.dense.weight") || file.contains("bert.pooler.dense.weight"); }
  nn::classifier_pooling default_pooling() const {
    if (has_pooler()) return nn::classifier_pooling::pooler;
    return folder.pooling == nn::encoder_pooling::cls ? nn::classifier_pooling::cls : nn::classifier_pooling::mean;
  }
  /// Tokens at which texts are cut; `wanted` if given. Throws bad_option where the model has no positions for them.
  std::size_t max_length(const std::optional<std::size_t>& wanted, std::size_t prefix_rows) const {
    const std::size_t most = config().max_position_embeddings - std::min(prefix_rows, config().max_position_embeddings);
    expects(most >= 2, errc::bad_option, "a prefix of ", prefix_rows, " tokens; the model has ",
            config().max_position_embeddings, " positions, and a text needs two or more");
    expects(!wanted || (*wanted >= 2 && *wanted <= most), errc::bad_option, "max_length=", wanted.value_or(0),
            ": expected 2 to ", most, ", the model's positions",
            prefix_rows > 0 ? text(" less ", prefix_rows, " of the prefix") : "");
    return wanted ? *wanted : std::min(folder.max_length, most);
  }
};

}  // namespace hocket::experiments::peft_vs_full
