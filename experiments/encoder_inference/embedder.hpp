// Texts to embeddings with a model's own tokenizer: tokens, batches by length, encoder, pooling, length 1. The row of a
// text has the same bits wherever the text stands, whatever stands beside it, with any number of threads.
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/core/options.hpp>
#include <hocket/core/view.hpp>
#include <hocket/nn/encoder.hpp>
#include <hocket/text/tokenizer.hpp>

namespace hocket::experiments::encoder_inference {

/// What products are computed in. bf16 keeps what lies between operations in bf16 too; int8 quantises weights by output
/// column and inputs by row.
enum class embed_precision { f32, bf16, int8 };

}  // namespace hocket::experiments::encoder_inference

template <>
struct hocket::enum_names<hocket::experiments::encoder_inference::embed_precision> {
  using enum hocket::experiments::encoder_inference::embed_precision;
  static constexpr std::array values = {std::pair{f32, std::string_view{"f32"}},
                                        std::pair{bf16, std::string_view{"bf16"}},
                                        std::pair{int8, std::string_view{"int8"}}};
};

template <>
struct hocket::enum_names<hocket::nn::encoder_pooling> {
  using enum hocket::nn::encoder_pooling;
  static constexpr std::array values = {std::pair{mean, std::string_view{"mean"}},
                                        std::pair{cls, std::string_view{"cls"}}};
};

namespace hocket::experiments::encoder_inference {

struct embed_options {
  embed_precision precision = embed_precision::f32;
  std::size_t max_length = 256;  ///< tokens; what is longer is cut
  nn::encoder_pooling pooling = nn::encoder_pooling::mean;
  bool normalize = true;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("precision", self.precision, "f32, bf16 or int8: what products are computed in");
    visit("max_length", self.max_length, "tokens, special ones included; a longer text is cut");
    visit("pooling", self.pooling, "mean of the tokens, or the first one's state (cls)");
    visit("normalize", self.normalize, "embeddings are scaled to length 1");
  }
};

constexpr nn::precision products_of(embed_precision p) {
  switch (p) {
    case embed_precision::bf16: return nn::precision::bf16;
    case embed_precision::int8: return nn::precision::int8;
    case embed_precision::f32: break;
  }
  return nn::precision::native;
}

/// A model's weights, mapped: what embedders of every precision share.
struct frozen_encoder {
  explicit frozen_encoder(const std::filesystem::path& folder);

  nn::model_folder folder;
  io::safetensors_file file;
  nn::parameter_set<float> parameters;
};

/// A tape that embeds batches of token ids up to a size.
class embedding_tape {
 public:
  /// Room for `items` texts of up to `longest` tokens, `tokens` together.
  embedding_tape(frozen_encoder& model, const embed_options& options, const cpu& device, std::size_t items,
                 std::size_t tokens, std::size_t longest);

  /// One batch: ids of all texts one after the other, lengths of each; (texts, D), valid until the next call.
  view<const float, 2> run(std::span<const std::uint32_t> ids, std::span<const std::uint32_t> lengths);
  std::size_t arena_bytes() const { return tape_.arena_bytes(); }

 private:
  nn::tape<float> tape_;
  nn::encoder_batch batch_;
  nn::value out_;
};

class embedder {
 public:
  /// Throws bad_option where the model has fewer positions than options.max_length.
  embedder(const std::filesystem::path& folder, const embed_options& options, const cpu& device);

  std::size_t width() const { return model_.folder.config.hidden_size; }
  const nn::model_folder& folder() const { return model_.folder; }
  std::size_t tokens() const { return tokens_; }        ///< of all texts so far
  std::size_t shortened() const { return shortened_; }  ///< texts that were cut so far

  /// out (texts, D), in the order of `texts`.
  void operator()(std::span<const std::string_view> texts, const view<float, 2>& out);

 private:
  frozen_encoder model_;
  texts::tokenizer tokenizer_;
  embed_options options_;
  cpu device_;
  std::size_t batch_tokens_;
  std::unique_ptr<embedding_tape> tape_;
  std::size_t tokens_ = 0, shortened_ = 0;
};

}  // namespace hocket::experiments::encoder_inference
