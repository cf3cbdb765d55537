// The encoder of BERT (Devlin et al., 2019) and of MiniLM, on a tape: sizes from the model's config.json, weights by
// the names that transformers gives them, ragged batches without padding.
//
//   embedding   LayerNorm(word[id] + position[t] + type[kind]), dropout
//   layer       h = LayerNorm(x + drop(attention(x) Wo' + bo));   y = LayerNorm(h + drop(act(h W1' + b1) W2' + b2))
//   pooler      tanh(W x_first + b)
//
// Methods that change a layer (adapters, prefixes) do it through encoder_hooks; they never edit this file.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/io/safetensors.hpp>
#include <hocket/nn/encoder_config.hpp>
#include <hocket/nn/ops/layers.hpp>
#include <hocket/nn/ops/linear.hpp>
#include <hocket/nn/ops/pointwise.hpp>
#include <hocket/nn/parameter.hpp>
#include <hocket/nn/tape.hpp>

namespace hocket::nn {

struct named_size {
  std::string name;
  std::size_t rows, columns;
};

/// Every weight of the encoder, by transformers' names; with the pooler where `pooler`. A vector is one row.
inline std::vector<named_size> encoder_sizes(const encoder_config& c, bool pooler) {
  const std::size_t d = c.hidden_size, wide = c.intermediate_size;
  std::vector<named_size> all;
  const auto norm = [&](const std::string& name) {
    all.push_back({name + ".weight", 1, d});
    all.push_back({name + ".bias", 1, d});
  };
  const auto dense = [&](const std::string& name, std::size_t out, std::size_t in) {
    all.push_back({name + ".weight", out, in});
    all.push_back({name + ".bias", 1, out});
  };
  all.push_back({"embeddings.word_embeddings.weight", c.vocab_size, d});
  all.push_back({"embeddings.position_embeddings.weight", c.max_position_embeddings, d});
  all.push_back({"embeddings.token_type_embeddings.weight", c.type_vocab_size, d});
  norm("embeddings.LayerNorm");
  for (std::size_t i = 0; i < c.num_hidden_layers; ++i) {
    const std::string layer = text("encoder.layer.", i, ".");
    for (const char* part : {"query", "key", "value"}) dense(layer + "attention.self." + part, d, d);
    dense(layer + "attention.output.dense", d, d);
    norm(layer + "attention.output.LayerNorm");
    dense(layer + "intermediate.dense", wide, d);
    dense(layer + "output.dense", d, wide);
    norm(layer + "output.LayerNorm");
  }
  if (pooler) dense("pooler.dense", d, d);
  return all;
}

/// Adds the weights of a model to `into`, f32 where they lie in the mapped file (frozen until trained; the file must
/// outlive the set), otherwise converted. A file whose names begin with "bert." is read too. Throws with the name of a
/// tensor that is missing or has another shape. The pooler is added where the file has one, unless it is not wanted;
/// whether it was is returned.
template <Real T>
bool load_encoder(const encoder_config& config, const io::safetensors_file& file, parameter_set<T>& into,
                  bool want_pooler = true) {
  const std::string first = "embeddings.word_embeddings.weight";
  const std::string front = !file.contains(first) && file.contains("bert." + first) ? "bert." : "";
  const bool pooler = want_pooler && file.contains(front + "pooler.dense.weight");
  for (const named_size& each : encoder_sizes(config, pooler)) {
    const std::string name = front + each.name;
    const io::tensor_info& info = file.info(name);
    if (info.rank() == 1)
      file.require_extents(info, shape<1>{each.columns});
    else
      file.require_extents(info, shape<2>{each.rows, each.columns});
    if constexpr (std::is_same_v<T, float>) {
      if (info.type == io::tensor_type::f32) {
        const float* const data =
            info.rank() == 1 ? file.as_view<float, 1>(name).data() : file.as_view<float, 2>(name).data();
        into.add(each.name, view<const float, 2>(data, {each.rows, each.columns}));
        continue;
      }
    }
    const buffer<T> values = file.copy_as<T>(name);
    std::copy(values.begin(), values.end(), into.add(each.name, each.rows, each.columns).writable().data());
  }
  return pooler;
}

/// Adds new weights: normal with the config's deviation, gains 1, biases 0, as transformers does.
template <Real T>
void make_encoder(const encoder_config& config, bool pooler, std::uint64_t seed, parameter_set<T>& into) {
  std::uint64_t stream = 0;
  for (const named_size& each : encoder_sizes(config, pooler)) {
    auto& p = into.add(each.name, each.rows, each.columns);
    const philox random(seed, stream++);
    const bool norm = each.name.find("LayerNorm") != std::string::npos, bias = each.name.ends_with(".bias");
    for (std::size_t i = 0; i < p.size(); ++i)
      p.writable().data()[i] = bias   ? T{0}
                               : norm ? T{1}
                                      : static_cast<T>(config.initializer_range * random.normal_at(i));
  }
}

/// The inputs of one tape: token ids packed item after item.
class encoder_batch {
 public:
  /// Room for `items` texts of up to `longest` tokens, `tokens` together. Positions begin at `first_position`: a prefix
  /// stands before them.
  template <Real T>
  encoder_batch(tape<T>& t, const encoder_config& config, std::size_t items, std::size_t tokens, std::size_t longest,
                std::size_t first_position = 0)
      : first_position_(static_cast<std::uint32_t>(first_position)),
        items_(t.dimension_of("items", items)),
        tokens_(t.dimension_of("tokens", tokens)),
        rows_(t.sequences_of(items_, tokens_, longest)),
        ids_(t.indices("token ids", tokens_, config.vocab_size)),
        positions_(t.indices("positions", tokens_, config.max_position_embeddings)),
        types_(t.indices("token types", tokens_, config.type_vocab_size)) {
    expects(longest + first_position <= config.max_position_embeddings, errc::unsupported_shape, "texts of up to ",
            longest, " tokens from position ", first_position, " on; the model has ", config.max_position_embeddings,
            " positions");
    numbers_.reserve(tokens);
  }

  /// `ids` of all texts one after the other, `lengths` of each; types may be empty: all 0. Allocates nothing.
  template <Real T>
  void set(tape<T>& t, std::span<const std::uint32_t> ids, std::span<const std::uint32_t> lengths,
           std::span<const std::uint32_t> types = {}) {
    t.set(rows_, lengths);
    t.set(ids_, ids);
    numbers_.clear();
    for (const std::uint32_t length : lengths)
      for (std::uint32_t i = 0; i < length; ++i) numbers_.push_back(first_position_ + i);
    t.set(positions_, numbers_);
    if (types.empty()) {
      std::fill(numbers_.begin(), numbers_.end(), std::uint32_t{0});
      t.set(types_, numbers_);
    } else {
      t.set(types_, types);
    }
  }

  dimension items() const { return items_; }
  dimension tokens() const { return tokens_; }
  sequences rows() const { return rows_; }
  index_input ids() const { return ids_; }
  index_input positions() const { return positions_; }
  index_input types() const { return types_; }

 private:
  std::uint32_t first_position_;
  dimension items_, tokens_;
  sequences rows_;
  index_input ids_, positions_, types_;
  std::vector<std::uint32_t> numbers_;
};

/// Where a method takes part. Every member may be empty.
template <Real T>
struct encoder_hooks {
  /// Instead of linear(x, the weights of `modules`, options); several modules share x (query, key, value) and give
  /// columns side by side.
  std::function<value(tape<T>&, std::span<const std::string> modules, value x, const linear_options&)> linear;
  /// Keys and values before those of every item in a layer: (rows, D) each.
  std::function<std::pair<value, value>(tape<T>&, std::size_t layer)> prefix;
};

struct encoder_options {
  bool dropout = true;  ///< the config's hidden_dropout_prob and attention_probs_dropout_prob, in training passes
  bool checkpoint_layers = false;  ///< keep only the inputs of layers, compute their insides again going back
  std::size_t still_layers = 0;    ///< so many layers, from the embedding on, have no dropout
  /// What the still layers give, (tokens, D), made elsewhere (frozen_bottom.hpp); they are not recorded then.
  value below = {};
};

/// What recording gives: (tokens, D) after the embedding, or `below`, and after every layer that was recorded.
struct encoder_values {
  std::vector<value> hidden;
  value last() const { return hidden.back(); }
};

constexpr activation activation_of(encoder_activation act) {
  switch (act) {
    case encoder_activation::gelu_erf: return activation::gelu;
    case encoder_activation::gelu_tanh: return activation::gelu_tanh;
    case encoder_activation::relu: return activation::relu;
  }
  return activation::none;
}

/// The operations of a model on a tape. Its parameters must outlive the tape.
template <Real T>
class encoder {
 public:
  encoder(const encoder_config& config, parameter_set<T>& parameters) : config_(config), parameters_(parameters) {
    require_consistent(config, "encoder");
  }

  const encoder_config& config() const { return config_; }
  parameter_set<T>& parameters() const { return parameters_; }

  encoder_values record(tape<T>& t, const encoder_batch& batch, const encoder_options& options = {},
                        const encoder_hooks<T>& hooks = {}) const {
    const std::size_t layers = config_.num_hidden_layers, still = options.still_layers;
    expects(still <= layers, errc::bad_option, "encoder: ", still, " still layers of ", layers);
    if (present(options.below)) {
      expects(!hooks.prefix, errc::bad_option, "encoder: a prefix changes every layer; none can be made elsewhere");
      expects(t.rows(options.below) == extent(batch.tokens()) && t.columns(options.below) == config_.hidden_size,
              errc::unsupported_shape, "encoder: what is below the layers is ", t.describe(options.below),
              "; it must be tokens x ", config_.hidden_size);
      t.skip_operations(still_operations(still));
      return record_layers(t, batch, still, options.below, options, hooks);
    }
    const double drop = options.dropout && still == 0 ? config_.hidden_dropout_prob : 0;
    value x = embedding(t, {{weight(t, "embeddings.word_embeddings"), batch.ids()},
                            {weight(t, "embeddings.position_embeddings"), batch.positions()},
                            {weight(t, "embeddings.token_type_embeddings"), batch.types()}});
    x = norm(t, "embeddings.LayerNorm", x);
    if (drop > 0) x = dropout(t, x, drop);
    return record_layers(t, batch, 0, x, options, hooks);
  }

  /// The embedding and the first `layers` layers without dropout: all that a frozen_bottom needs.
  value record_still(tape<T>& t, const encoder_batch& batch, std::size_t layers) const {
    const encoder bottom(with_layers(config_, layers), parameters_);
    return bottom.record(t, batch, {false}).last();
  }
  /// How many operations that is.
  static constexpr std::size_t still_operations(std::size_t layers) { return 2 + 7 * layers; }

  /// tanh(W x_first + b) of every item: (items, D).
  value pooler(tape<T>& t, const encoder_batch& batch, value hidden, const encoder_hooks<T>& hooks = {}) const {
    return dense(t, {"pooler.dense"}, pooled(t, batch.rows(), hidden, pool::first), {activation::tanh}, hooks);
  }

  /// One embedding a text: pooled hidden states, of length 1 where `normalize`.
  value embed(tape<T>& t, const encoder_batch& batch, value hidden, encoder_pooling kind, bool normalize) const {
    const value out = pooled(t, batch.rows(), hidden, kind == encoder_pooling::mean ? pool::mean : pool::first);
    return normalize ? unit_rows(t, out) : out;
  }

  /// module.weight and module.bias.
  linear_weights weights_of(tape<T>& t, const std::string& module) const {
    return {weight(t, module), t.parameter(parameters_.at(module + ".bias"))};
  }

  /// x through the products of `modules`, columns side by side; hooks take part.
  value dense(tape<T>& t, const std::vector<std::string>& modules, value x, const linear_options& options,
              const encoder_hooks<T>& hooks) const {
    if (hooks.linear) return hooks.linear(t, modules, x, options);
    std::vector<linear_weights> weights;
    for (const auto& module : modules) weights.push_back(weights_of(t, module));
    return linear(t, x, weights, options);
  }

 private:
  static encoder_config with_layers(encoder_config config, std::size_t layers) {
    config.num_hidden_layers = layers;
    return config;
  }
  encoder_values record_layers(tape<T>& t, const encoder_batch& batch, std::size_t first, value x,
                               const encoder_options& options, const encoder_hooks<T>& hooks) const {
    encoder_values out{{x}};
    for (std::size_t i = first; i < config_.num_hidden_layers; ++i) {
      const bool drops = options.dropout && i >= options.still_layers;
      const auto body = [&] { return layer(t, batch, i, x, drops, hooks); };
      x = options.checkpoint_layers ? t.checkpointed(body) : body();
      out.hidden.push_back(x);
    }
    return out;
  }

  value weight(tape<T>& t, const std::string& module) const { return t.parameter(parameters_.at(module + ".weight")); }

  value norm(tape<T>& t, const std::string& module, value x) const {
    const linear_weights w = weights_of(t, module);
    return layer_norm(t, x, w.weight, w.bias, config_.layer_norm_eps);
  }

  value layer(tape<T>& t, const encoder_batch& batch, std::size_t i, value x, bool dropout,
              const encoder_hooks<T>& hooks) const {
    const double drop = dropout ? config_.hidden_dropout_prob : 0;
    const std::string at = text("encoder.layer.", i, ".");
    // Products of 16 or 8 bits: what goes from product to product or to attention is kept in bf16, what runs through
    // all layers in f32.
    // With int8, products of what comes out of a layer norm stay in bf16: a few of its features are far larger than the
    // rest, and rows quantised to their size lose the rest (smallest cosine of 4000 sentences' embeddings .979, not
    // .993).
    linear_options between;
    between.products = t.products() == precision::int8 ? precision::bf16 : t.products();
    between.kept_in = t.products() == precision::native ? storage::native : storage::bf16;
    linear_options back;
    back.products = t.products();
    back.dropout = drop;
    const value qkv = dense(t, {at + "attention.self.query", at + "attention.self.key", at + "attention.self.value"}, x,
                            between, hooks);
    attention_inputs in{qkv, qkv, qkv};
    if (hooks.prefix) std::tie(in.prefix_k, in.prefix_v) = hooks.prefix(t, i);
    attention_options how{config_.num_attention_heads};
    how.dropout = dropout ? config_.attention_probs_dropout_prob : 0;
    const value mixed = attention(t, batch.rows(), in, how);
    back.residual = x;
    const value h =
        norm(t, at + "attention.output.LayerNorm", dense(t, {at + "attention.output.dense"}, mixed, back, hooks));
    between.act = activation_of(config_.hidden_act);
    const value wide = dense(t, {at + "intermediate.dense"}, h, between, hooks);
    back.residual = h;
    return norm(t, at + "output.LayerNorm", dense(t, {at + "output.dense"}, wide, back, hooks));
  }

  encoder_config config_;
  parameter_set<T>& parameters_;
};

}  // namespace hocket::nn

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in nn/instances.cpp
namespace hocket::nn {
HOCKET_NN_INSTANCE bool load_encoder<float>(const encoder_config&, const io::safetensors_file&, parameter_set<float>&,
                                            bool);
HOCKET_NN_INSTANCE bool load_encoder<double>(const encoder_config&, const io::safetensors_file&, parameter_set<double>&,
                                             bool);
HOCKET_NN_INSTANCE void make_encoder<float>(const encoder_config&, bool, std::uint64_t, parameter_set<float>&);
HOCKET_NN_INSTANCE void make_encoder<double>(const encoder_config&, bool, std::uint64_t, parameter_set<double>&);
HOCKET_NN_INSTANCE class encoder<float>;
HOCKET_NN_INSTANCE class encoder<double>;
}  // namespace hocket::nn
#endif
