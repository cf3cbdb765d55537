// The sizes of a BERT-type encoder, from the model's own config.json, and the folder around it: weights, tokenizer,
// what sentence-transformers says about pooling (modules.json, 1_Pooling/config.json). What is not understood is
// refused with its name, so that a model is never run with a part left out.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <hocket/core/error.hpp>
#include <hocket/io/json.hpp>

namespace hocket::nn {

/// The function between the two products of a feed-forward block.
enum class encoder_activation { gelu_erf, gelu_tanh, relu };

constexpr std::string_view name_of(encoder_activation activation) {
  switch (activation) {
    case encoder_activation::gelu_erf: return "gelu";
    case encoder_activation::gelu_tanh: return "gelu_new";
    case encoder_activation::relu: return "relu";
  }
  return "unknown";
}

/// How the hidden states of a text become one embedding.
enum class encoder_pooling { mean, cls };

constexpr std::string_view name_of(encoder_pooling pooling) {
  return pooling == encoder_pooling::mean ? "mean" : "cls";
}

/// Members are named as in config.json.
struct encoder_config {
  std::size_t hidden_size = 0;  ///< D
  std::size_t num_hidden_layers = 0;
  std::size_t num_attention_heads = 0;  ///< H; each is hidden_size / num_attention_heads wide
  std::size_t intermediate_size = 0;    ///< width of the feed-forward block
  std::size_t vocab_size = 0;
  std::size_t max_position_embeddings = 0;  ///< tokens: the longest text
  std::size_t type_vocab_size = 2;
  double layer_norm_eps = 1e-12;
  encoder_activation hidden_act = encoder_activation::gelu_erf;
  double hidden_dropout_prob = 0.1;           ///< while training
  double attention_probs_dropout_prob = 0.1;  ///< while training
  std::optional<double> classifier_dropout;   ///< while training, before a head; none: hidden_dropout_prob
  double initializer_range = 0.02;            ///< standard deviation of new weights
  std::size_t pad_token_id = 0;

  std::size_t head_width() const { return hidden_size / num_attention_heads; }
};

/// Throws bad_file unless the sizes fit together; `source` is named in the message.
inline void require_consistent(const encoder_config& config, std::string_view source) {
  const auto positive = [&](std::size_t value, std::string_view name) {
    expects(value > 0, errc::bad_file, source, ": ", name, " is 0");
  };
  positive(config.hidden_size, "hidden_size");
  positive(config.num_hidden_layers, "num_hidden_layers");
  positive(config.num_attention_heads, "num_attention_heads");
  positive(config.intermediate_size, "intermediate_size");
  positive(config.vocab_size, "vocab_size");
  positive(config.max_position_embeddings, "max_position_embeddings");
  positive(config.type_vocab_size, "type_vocab_size");
  expects(config.hidden_size % config.num_attention_heads == 0, errc::bad_file, source, ": hidden_size ",
          config.hidden_size, " is no multiple of num_attention_heads ", config.num_attention_heads);
  expects(config.layer_norm_eps > 0, errc::bad_file, source, ": layer_norm_eps ", config.layer_norm_eps,
          " is not positive");
  const auto probability = [&](double value, std::string_view name) {
    expects(value >= 0 && value < 1, errc::bad_file, source, ": ", name, " ", value, " is not in [0, 1)");
  };
  probability(config.hidden_dropout_prob, "hidden_dropout_prob");
  probability(config.attention_probs_dropout_prob, "attention_probs_dropout_prob");
  if (config.classifier_dropout) probability(*config.classifier_dropout, "classifier_dropout");
  expects(config.pad_token_id < config.vocab_size, errc::bad_file, source, ": pad_token_id ", config.pad_token_id,
          " is not below vocab_size ", config.vocab_size);
}

/// Reads config.json as transformers' BertConfig does, its defaults included.
inline encoder_config read_encoder_config(const std::filesystem::path& path) {
  const io::json_file file(path);
  const io::json_ref root = file.root();
  root.require(io::json_kind::object);
  const std::string model = root.at("model_type").as_string();
  expects(model == "bert", errc::bad_file, path.string(), ": model_type is '", model, "'; 'bert' is read");
  const std::string positions = root.string_or("position_embedding_type", "absolute");
  expects(positions == "absolute", errc::bad_file, path.string(), ": position_embedding_type is '", positions,
          "'; 'absolute' is read");
  expects(!root.bool_or("is_decoder", false), errc::bad_file, path.string(), ": is_decoder is true; encoders are read");
  encoder_config config;
  config.hidden_size = root.at("hidden_size").as_size();
  config.num_hidden_layers = root.at("num_hidden_layers").as_size();
  config.num_attention_heads = root.at("num_attention_heads").as_size();
  config.intermediate_size = root.at("intermediate_size").as_size();
  config.vocab_size = root.at("vocab_size").as_size();
  config.max_position_embeddings = root.at("max_position_embeddings").as_size();
  config.type_vocab_size = root.size_or("type_vocab_size", config.type_vocab_size);
  config.layer_norm_eps = root.double_or("layer_norm_eps", config.layer_norm_eps);
  config.hidden_dropout_prob = root.double_or("hidden_dropout_prob", config.hidden_dropout_prob);
  config.attention_probs_dropout_prob =
      root.double_or("attention_probs_dropout_prob", config.attention_probs_dropout_prob);
  if (root.has("classifier_dropout")) config.classifier_dropout = root.at("classifier_dropout").as_double();
  config.initializer_range = root.double_or("initializer_range", config.initializer_range);
  config.pad_token_id = root.size_or("pad_token_id", config.pad_token_id);
  const std::string activation = root.string_or("hidden_act", "gelu");
  if (activation == "gelu") {
    config.hidden_act = encoder_activation::gelu_erf;
  } else if (activation == "gelu_new" || activation == "gelu_pytorch_tanh") {
    config.hidden_act = encoder_activation::gelu_tanh;
  } else if (activation == "relu") {
    config.hidden_act = encoder_activation::relu;
  } else {
    fail(errc::bad_file, path.string(), ": hidden_act is '", activation,
         "'; gelu, gelu_new, gelu_pytorch_tanh and relu are read");
  }
  require_consistent(config, path.string());
  return config;
}

/// A model as it is published: a folder with config.json, model.safetensors and the files of its tokenizer.
struct model_folder {
  std::filesystem::path folder;
  std::filesystem::path weights;  ///< model.safetensors
  encoder_config config;
  std::optional<encoder_pooling> pooling;  ///< none where the folder has no modules.json
  bool normalize = false;                  ///< whether the embedding is scaled to length 1
  std::size_t max_length = 0;              ///< tokens: sentence_bert_config.json, otherwise max_position_embeddings
};

namespace detail {

inline encoder_pooling read_pooling(const std::filesystem::path& path) {
  const io::json_file file(path);
  const io::json_ref root = file.root();
  root.require(io::json_kind::object);
  std::optional<encoder_pooling> chosen;
  for (const auto& [key, value] : root.value().members()) {
    if (!key.starts_with("pooling_mode_") || !value.is_true()) continue;
    const bool known = key == "pooling_mode_mean_tokens" || key == "pooling_mode_cls_token";
    expects(known && !chosen, errc::bad_file, path.string(), ": ", key,
            known ? " is a second way of pooling; one is read" : " is not read; mean_tokens and cls_token are");
    chosen = key == "pooling_mode_cls_token" ? encoder_pooling::cls : encoder_pooling::mean;
  }
  expects(chosen.has_value(), errc::bad_file, path.string(), ": no pooling_mode is true");
  return *chosen;
}

inline void read_modules(model_folder& model, const std::filesystem::path& path) {
  const io::json_file file(path);
  const io::json_ref modules = file.root();
  modules.require(io::json_kind::array);
  for (std::size_t i = 0; i < modules.size(); ++i) {
    const std::string& type = modules.at(i).at("type").as_string();
    const std::string_view name = std::string_view(type).substr(type.rfind('.') + 1);
    if (name == "Pooling") {
      model.pooling = read_pooling(model.folder / modules.at(i).at("path").as_string() / "config.json");
    } else if (name == "Normalize") {
      model.normalize = true;
    } else {
      expects(name == "Transformer", errc::bad_file, modules.at(i).where(), ": module '", type,
              "' is not read; Transformer, Pooling and Normalize are");
      const std::string inside = modules.at(i).string_or("path", "");
      expects(inside.empty(), errc::bad_file, modules.at(i).where(), ": the transformer lies in '", inside,
              "'; name that folder instead");
    }
  }
}

}  // namespace detail

/// Throws bad_file with the names of all that is missing when `folder` is no model.
inline model_folder read_model_folder(const std::filesystem::path& folder) {
  std::error_code ignored;
  expects(std::filesystem::is_directory(folder, ignored), errc::bad_file, folder.string(),
          ": no such folder; a model is a folder with config.json, model.safetensors and tokenizer.json or vocab.txt");
  const auto exists = [&](const char* name) { return std::filesystem::exists(folder / name, ignored); };
  std::string missing;
  const auto need = [&](bool present, std::string_view name) {
    if (!present) missing += text(missing.empty() ? "" : ", ", name);
  };
  need(exists("config.json"), "config.json");
  need(exists("model.safetensors"), "model.safetensors");
  need(exists("tokenizer.json") || exists("vocab.txt"), "tokenizer.json (or vocab.txt)");
  expects(missing.empty(), errc::bad_file, folder.string(), ": not a model folder, it lacks ", missing,
          exists("adapter_config.json") ? " (it is an adapter: name its base model's folder)" : "");
  model_folder model;
  model.folder = folder;
  model.weights = folder / "model.safetensors";
  model.config = read_encoder_config(folder / "config.json");
  model.max_length = model.config.max_position_embeddings;
  if (exists("modules.json")) detail::read_modules(model, folder / "modules.json");
  if (exists("sentence_bert_config.json")) {
    const io::json_file file(folder / "sentence_bert_config.json");
    model.max_length = file.root().size_or("max_seq_length", model.max_length);
    expects(model.max_length <= model.config.max_position_embeddings, errc::bad_file,
            (folder / "sentence_bert_config.json").string(), ": max_seq_length ", model.max_length,
            " is more than max_position_embeddings ", model.config.max_position_embeddings);
  }
  return model;
}

}  // namespace hocket::nn
