// What a method of fine-tuning is, and what methods add to the recording of an encoder.
//
// All that one run trains lives in one parameter_set: the model's weights (frozen ones may lie in a mapped file that
// any number of runs share), and beside them what methods add, under the names that peft gives it in memory
// ("encoder.layer.0.attention.self.query.lora_A.default.weight").
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/nn/encoder.hpp>
#include <hocket/nn/ops/arrange.hpp>
#include <hocket/nn/ops/low_rank.hpp>
#include <hocket/nn/sequence_classifier.hpp>

namespace hocket::peft {

/// scale drop(x) A' B', added to the output of one linear module: A (rank, in), B (out, rank).
struct low_rank_term {
  nn::value a, b;
  double scale = 1;
  double dropout = 0;
};

/// What the active methods add to one recording of an encoder. Made for a tape, filled by `join` of every method, then
/// handed to the encoder as hooks(); it must live until the recording ends.
template <Real T>
class additions {
 public:
  additions(nn::tape<T>& t, const nn::encoder_config& config, nn::parameter_set<T>& weights)
      : tape_(t), config_(config), weights_(weights) {}
  additions(const additions&) = delete;
  additions& operator=(const additions&) = delete;

  nn::tape<T>& tape() const { return tape_; }
  const nn::encoder_config& config() const { return config_; }
  nn::value parameter(const std::string& name) const { return tape_.parameter(weights_.at(name)); }
  nn::parameter_set<T>& weights() const { return weights_; }

  /// A batch that mixes adapters: item i is served by what joins under number of_items[i] of serve(); 0 is none.
  void mix(nn::index_input of_items, nn::sequences batch) {
    expects(terms_.empty() && heads_.empty() && prefixes_.empty(), errc::bad_option,
            "mix: adapters have joined for all items already");
    mixed_ = {of_items, batch, 0};
  }
  /// What joins from now on serves the items of this number.
  void serve(std::uint32_t number) {
    expects(!mixed_.all() && number >= 1 && number < tape_.bound(mixed_.of_items), errc::bad_option, "serve: number ",
            number, "; a mixed batch has adapters 1 to ", mixed_.all() ? 0 : tape_.bound(mixed_.of_items) - 1);
    mixed_.number = number;
  }

  /// Terms of one module that serve the same items are summed.
  void add_term(const std::string& module, const low_rank_term& term) {
    terms_[module].push_back({term, mixed_.number});
  }
  /// `rows` (n, 2 L D): the keys of layer i in columns [2 i D, 2 i D + D), its values in the D columns after them, as
  /// peft stores them. Prefixes are put one before the other.
  void add_prefix(nn::value rows) {
    expects(mixed_.all(), errc::bad_option,
            "a prefix stands before every item; a mixed batch has low-rank adapters only");
    prefixes_.push_back(rows);
  }
  /// The weights of `module` are the head instead of the model's own.
  void set_head(const std::string& module) { heads_[mixed_.number] = module; }

  /// Where positions of texts begin: behind the prefixes, as transformers counts.
  std::size_t first_position() const {
    std::size_t rows = 0;
    for (const nn::value prefix : prefixes_) rows += tape_.rows(prefix).factor;
    return rows;
  }

  nn::encoder_hooks<T> hooks() const {
    nn::encoder_hooks<T> out;
    out.linear = [this](nn::tape<T>&, std::span<const std::string> modules, nn::value x,
                        const nn::linear_options& options) {
      return modules[0] == nn::classifier_head ? head(x, options) : linear(modules, x, options);
    };
    if (prefixes_.empty()) return out;
    const nn::value all = prefixes_.size() == 1 ? prefixes_[0] : nn::concat_rows(tape_, prefixes_);
    const std::size_t width = config_.hidden_size;
    out.prefix = [all, width](nn::tape<T>& t, std::size_t layer) {
      const nn::value keys = nn::slice_columns(t, all, 2 * layer * width, width);
      return std::pair{keys, nn::slice_columns(t, all, (2 * layer + 1) * width, width)};
    };
    return out;
  }

 private:
  struct served_term {
    low_rank_term term;
    std::uint32_t number;
  };

  nn::linear_weights weights_of(const std::string& module) const {
    return {parameter(module + ".weight"), parameter(module + ".bias")};
  }
  /// The rows of x that an adapter serves: tokens, or items behind the pooling.
  nn::row_choice rows_of(nn::value x, std::uint32_t number) const {
    if (mixed_.all()) return {};
    const bool tokens = tape_.rows(x) == tape_.tokens(mixed_.batch);
    return {mixed_.of_items, tokens ? mixed_.batch : nn::sequences{}, number};
  }

  nn::value linear(std::span<const std::string> modules, nn::value x, const nn::linear_options& options) const {
    std::vector<nn::linear_weights> weights;
    std::vector<nn::down_weights> down;
    std::size_t column = 0;
    for (const auto& module : modules) {
      weights.push_back(weights_of(module));
      const auto found = terms_.find(module);
      if (found == terms_.end()) continue;
      // Adapters of different items share columns of u; terms of the same items lie side by side.
      std::map<std::uint32_t, std::size_t> taken;
      std::size_t widest = 0;
      for (const auto& [term, number] : found->second) {
        std::size_t& here = taken[number];
        const nn::row_choice rows = rows_of(x, number);
        down.push_back({term.a, term.dropout, column + here, rows});
        weights.back().addends.push_back({{}, term.b, term.scale, column + here, rows});
        here += tape_.rows(term.a).factor;
        widest = std::max(widest, here);
      }
      column += widest;
    }
    if (down.empty()) return nn::linear(tape_, x, weights, options);
    const nn::value u = nn::project_down(tape_, x, down, nn::precision_of_terms(options.products));
    for (auto& each : weights)
      for (auto& addend : each.addends) addend.u = u;
    return nn::linear(tape_, x, weights, options);
  }

  /// The head of the adapter, or of each item's adapter; without one the model's own.
  nn::value head(nn::value x, const nn::linear_options& options) const {
    const auto of = [&](std::uint32_t number) {
      const auto found = heads_.find(number);
      return found == heads_.end() ? std::string(nn::classifier_head) : found->second;
    };
    if (mixed_.all() || heads_.empty()) return nn::linear(tape_, x, {weights_of(of(0))}, options);
    std::vector<nn::down_weights> products;
    std::vector<nn::value> biases;
    const std::size_t labels = tape_.columns(weights_of(of(0)).bias);
    for (std::uint32_t number = 0; number < tape_.bound(mixed_.of_items); ++number) {
      const nn::linear_weights w = weights_of(of(number));
      expects(tape_.columns(w.bias) == labels, errc::unsupported_shape,
              "adapters of one batch have heads of equal size; ", of(number), " has ", tape_.columns(w.bias),
              " labels, the model ", labels);
      products.push_back({w.weight, 0, 0, rows_of(x, number)});
      biases.push_back(w.bias);
    }
    return nn::add(tape_, nn::project_down(tape_, x, products, nn::precision_of_terms(options.products)),
                   nn::gather(tape_, nn::concat_rows(tape_, biases), mixed_.of_items));
  }

  nn::tape<T>& tape_;
  nn::encoder_config config_;
  nn::parameter_set<T>& weights_;
  nn::row_choice mixed_;
  std::map<std::string, std::vector<served_term>, std::less<>> terms_;
  std::vector<nn::value> prefixes_;
  std::map<std::uint32_t, std::string> heads_;
};

/// A method is a small value: it adds its own weights to a model's set, names what is trained of the set (patterns of
/// nn::matches), and joins recordings with terms and prefixes. It edits no model: without it the model is what it was.
template <class M>
concept Method = requires(const M& m, const nn::encoder_config& config, nn::parameter_set<float>& weights,
                          additions<float>& into) {
  { M::method_name } -> std::convertible_to<std::string_view>;
  m.add_to(config, weights, std::uint64_t{0});
  { m.trained(weights) } -> std::same_as<std::vector<std::string>>;
  m.join(into);
};

/// Whether transformers keeps a weight as a vector; here it is one row.
inline bool is_vector(std::string_view name) {
  return name.ends_with(".bias") || name.find("LayerNorm") != std::string_view::npos;
}

/// The weights of a set that a method trains.
template <Method M, Real T>
std::vector<nn::parameter<T>*> trained_by(const M& method, nn::parameter_set<T>& weights) {
  std::vector<nn::parameter<T>*> all;
  const auto patterns = method.trained(weights);
  for (auto& each : weights)
    if (std::any_of(patterns.begin(), patterns.end(), [&](const auto& p) { return nn::matches(p, each.name()); }))
      all.push_back(&each);
  return all;
}

/// Adds the method's weights, drawn from `seed`, and makes trainable exactly what it trains.
template <Method M, Real T>
void attach(const M& method, const nn::encoder_config& config, nn::parameter_set<T>& weights, std::uint64_t seed) {
  method.add_to(config, weights, seed);
  weights.train_only(method.trained(weights));
}

inline constexpr std::string_view pooler_module = "pooler.dense";
template <Real T>
bool has_pooler(const nn::parameter_set<T>& weights) {
  return weights.contains(text(pooler_module, ".weight"));
}

/// Where an adapter keeps its own copy of the head (peft's modules_to_save).
inline std::string head_module(std::string_view adapter) {
  return text(nn::classifier_head, ".modules_to_save.", adapter);
}

/// A copy of the model's head for an adapter, where the model has one and the adapter none yet.
template <Real T>
void add_head(std::string_view adapter, nn::parameter_set<T>& weights) {
  for (const char* part : {".weight", ".bias"}) {
    const nn::parameter<T>* const own = weights.find(text(nn::classifier_head, part));
    const std::string name = head_module(adapter) + part;
    if (!own || weights.find(name)) continue;
    auto& copy = weights.add(name, own->rows(), own->columns());
    std::copy_n(own->value().data(), own->size(), copy.writable().data());
  }
}

/// The head of an adapter, if it has one, serves what the adapter serves.
template <Real T>
void join_head(std::string_view adapter, additions<T>& into) {
  if (into.weights().contains(head_module(adapter) + ".weight")) into.set_head(head_module(adapter));
}

}  // namespace hocket::peft

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in peft/instances.cpp
namespace hocket::peft {
HOCKET_PEFT_INSTANCE class additions<float>;
HOCKET_PEFT_INSTANCE class additions<double>;
}  // namespace hocket::peft
#endif
