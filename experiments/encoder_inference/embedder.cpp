#include "experiments/encoder_inference/embedder.hpp"

#include <algorithm>
#include <cstdint>

#include <hocket/core/parallel.hpp>
#include <hocket/text/batching.hpp>

namespace hocket::experiments::encoder_inference {

namespace {

// Short texts fill a batch by their number, long ones by their tokens: 2048 tokens of MiniLM are what the caches hold.
constexpr std::size_t batch_rows = 64;
constexpr std::size_t batch_tokens = 2048;

}  // namespace

frozen_encoder::frozen_encoder(const std::filesystem::path& at)
    : folder(nn::read_model_folder(at)), file(folder.weights, {.require_finite = true}) {
  nn::load_encoder<float>(folder.config, file, parameters, false);
  parameters.train_only({});
}

embedding_tape::embedding_tape(frozen_encoder& model, const embed_options& options, const cpu& device,
                               std::size_t items, std::size_t tokens, std::size_t longest)
    : tape_(device, 0, {}, products_of(options.precision)), batch_(tape_, model.folder.config, items, tokens, longest) {
  const nn::encoder<float> encoder(model.folder.config, model.parameters);
  const nn::value last = encoder.record(tape_, batch_, {.dropout = false}).last();
  out_ = encoder.embed(tape_, batch_, last, options.pooling, options.normalize);
  tape_.compile_forward({out_});
}

view<const float, 2> embedding_tape::run(std::span<const std::uint32_t> ids, std::span<const std::uint32_t> lengths) {
  batch_.set(tape_, ids, lengths);
  tape_.forward();
  return tape_.read(out_);
}

embedder::embedder(const std::filesystem::path& folder, const embed_options& options, const cpu& device)
    : model_(folder),
      tokenizer_(texts::tokenizer::load(folder)),
      options_(options),
      device_(device),
      batch_tokens_(std::max(batch_tokens, options.max_length)) {
  const std::size_t positions = model_.folder.config.max_position_embeddings;
  expects(options.max_length >= 1 && options.max_length <= positions, errc::bad_option, "max_length ",
          options.max_length, ": the model in ", folder.string(), " takes 1 to ", positions, " tokens");
  tape_ = std::make_unique<embedding_tape>(model_, options, device, batch_rows, batch_tokens_, options.max_length);
}

void embedder::operator()(std::span<const std::string_view> texts, const view<float, 2>& out) {
  std::vector<std::vector<texts::token_id>> ids(texts.size());
  std::vector<char> cut(texts.size());
  const auto encoded = [&](std::string_view text, std::size_t most) {
    texts::encode_options how;
    how.truncation = texts::truncation_options{most};
    return tokenizer_.encode(text, how);
  };
  constexpr std::size_t at_once = 16;
  for_each_tile(
      device_, (texts.size() + at_once - 1) / at_once,
      [&](std::size_t tile, std::size_t) {
        for (std::size_t i = tile * at_once; i < std::min(texts.size(), (tile + 1) * at_once); ++i) {
          ids[i] = encoded(texts[i], options_.max_length + 1);
          cut[i] = ids[i].size() > options_.max_length;
          if (cut[i]) ids[i] = encoded(texts[i], options_.max_length);
        }
      },
      true);
  shortened_ += static_cast<std::size_t>(std::count(cut.begin(), cut.end(), 1));
  std::vector<std::uint32_t> numbers, lengths;
  for (const auto& part : texts::plan_batches(texts::lengths_of(ids), {batch_rows, batch_tokens_})) {
    numbers.clear();
    lengths.clear();
    for (const std::size_t row : part) {
      numbers.insert(numbers.end(), ids[row].begin(), ids[row].end());
      lengths.push_back(static_cast<std::uint32_t>(ids[row].size()));
    }
    tokens_ += numbers.size();
    texts::restore_order<float>(part, tape_->run(numbers, lengths), out);
  }
}

}  // namespace hocket::experiments::encoder_inference
