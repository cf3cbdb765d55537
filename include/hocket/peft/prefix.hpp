// Prefix tuning: n trained keys and values stand before those of every item in every layer, and the model is frozen
// (Li, Liang, "Prefix-tuning: Optimizing continuous prompts for generation", 2021; deep as Liu et al., "P-tuning v2",
// 2022). Reparameterised, they are tanh(E W0' + b0) W2' + b2 of a small table E; initialised from real text, they are
// the keys and values that the model itself has for the first n tokens of it.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <hocket/core/options.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/peft/method.hpp>

namespace hocket::peft {

struct prefix_options {
  std::size_t rows = 20;
  bool projection = false;
  std::size_t hidden = 0;
  double deviation = 1;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("rows", self.rows, "keys and values before every text (peft's num_virtual_tokens)");
    visit("projection", self.projection, "make them by a small network of a table, which is trained instead");
    visit("hidden", self.hidden, "width of that network; 0: that of the model");
    visit("deviation", self.deviation, "standard deviation of a new table; peft's is 1");
  }
};

/// Trained: 2 n L D numbers; with projection n D + (D + 1) h + (h + 1) 2 L D; and the adapter's copy of the head.
/// Positions of texts begin at n, as transformers counts them, so the longest text is n tokens shorter.
struct prefix {
  static constexpr std::string_view method_name = "prefix";
  prefix_options options;
  std::string adapter = "default";

  std::string table() const { return text("prompt_encoder.", adapter, ".embedding.weight"); }
  std::string layer(int number, std::string_view part) const {
    return text("prompt_encoder.", adapter, ".transform.", number, ".", part);
  }
  std::size_t hidden(const nn::encoder_config& config) const {
    return options.hidden == 0 ? config.hidden_size : options.hidden;
  }

  template <Real T>
  void add_to(const nn::encoder_config& config, nn::parameter_set<T>& weights, std::uint64_t seed) const {
    expects(options.rows >= 1 && options.rows < config.max_position_embeddings, errc::bad_option,
            "prefix: ", options.rows, " rows; the model has ", config.max_position_embeddings,
            " positions, and a text needs one or more");
    expects(options.deviation >= 0, errc::bad_option, "prefix: deviation=", options.deviation,
            ": expected a number >= 0");
    const std::size_t width = config.hidden_size, flat = 2 * config.num_hidden_layers * width;
    std::uint64_t stream = std::uint64_t{0x70726566} << 32;  // no other weight draws from these
    auto& e = weights.add(table(), options.rows, options.projection ? width : flat);
    const philox random(seed, stream++);
    for (std::size_t i = 0; i < e.size(); ++i)
      e.writable().data()[i] = static_cast<T>(options.deviation * random.normal_at(i));
    const auto dense = [&](int number, std::size_t out,
                           std::size_t in) {  // uniform in +-1/sqrt(in), as torch.nn.Linear
      const double bound = 1 / std::sqrt(static_cast<double>(in));
      for (auto* each : {&weights.add(layer(number, "weight"), out, in), &weights.add(layer(number, "bias"), 1, out)}) {
        const philox draws(seed, stream++);
        for (std::size_t i = 0; i < each->size(); ++i)
          each->writable().data()[i] = static_cast<T>(bound * (2 * draws.uniform_at(i) - 1));
      }
    };
    if (options.projection) {
      dense(0, hidden(config), width);
      dense(2, flat, hidden(config));
    }
    add_head(adapter, weights);
  }
  template <Real T>
  std::vector<std::string> trained(nn::parameter_set<T>& weights) const {
    std::vector<std::string> patterns{text("prompt_encoder.", adapter, ".*")};
    if (weights.contains(head_module(adapter) + ".weight")) patterns.push_back(head_module(adapter) + ".*");
    return patterns;
  }
  template <Real T>
  void join(additions<T>& into) const {
    into.add_prefix(rows_on(into.tape(), into.config(), into.weights()));
    join_head(adapter, into);
  }
  /// (n, 2 L D) as additions::add_prefix takes them.
  template <Real T>
  nn::value rows_on(nn::tape<T>& t, const nn::encoder_config&, nn::parameter_set<T>& weights) const {
    const nn::value e = t.parameter(weights.at(table()));
    if (!options.projection) return e;
    const auto dense = [&](int number) {
      return nn::linear_weights{t.parameter(weights.at(layer(number, "weight"))),
                                t.parameter(weights.at(layer(number, "bias")))};
    };
    return nn::linear(t, nn::linear(t, e, {dense(0)}, {nn::activation::tanh}), {dense(2)});
  }
};
static_assert(Method<prefix>);

/// The rows that a prefix puts before texts, as they are now: (n, 2 L D).
template <Real T>
tensor<T> prefix_rows(const prefix& method, const nn::encoder_config& config, nn::parameter_set<T>& weights) {
  nn::tape<T> t;
  const nn::value rows = nn::scaled(t, method.rows_on(t, config, weights), T{1});
  t.compile_forward({rows});
  t.forward();
  return tensor<T>(t.read(rows));
}

/// Sets the rows of a prefix without projection to the keys and values of the first n tokens of a text, as the model
/// without adapters has them. Throws bad_option for a shorter text, or with projection: the network cannot be asked for
/// given rows.
template <Real T>
void initialise_from_text(const prefix& method, const nn::encoder_config& config, nn::parameter_set<T>& weights,
                          std::span<const std::uint32_t> ids) {
  const std::size_t n = method.options.rows, width = config.hidden_size;
  expects(!method.options.projection, errc::bad_option,
          "prefix: with projection=true the rows are made by a network; they cannot be those of a text");
  expects(ids.size() >= n, errc::bad_option, "prefix: ", n, " rows from a text of ", ids.size(), " tokens; it needs ",
          n);
  nn::tape<T> t;
  nn::encoder_batch batch(t, config, 1, ids.size(), ids.size());
  std::vector<nn::value> qkv;
  nn::encoder_hooks<T> hooks;
  const nn::encoder<T> model(config, weights);
  hooks.linear = [&](nn::tape<T>&, std::span<const std::string> modules, nn::value x,
                     const nn::linear_options& options) {
    std::vector<nn::linear_weights> own;
    for (const auto& module : modules) own.push_back(model.weights_of(t, module));
    const nn::value y = nn::linear(t, x, own, options);
    if (modules.size() == 3) qkv.push_back(y);
    return y;
  };
  model.record(t, batch, {.dropout = false}, hooks);
  t.compile_forward(qkv);
  const auto length = static_cast<std::uint32_t>(ids.size());
  batch.set(t, ids, {&length, 1});
  t.forward();
  const view<T, 2> rows = weights.at(method.table()).writable();
  for (std::size_t layer = 0; layer < qkv.size(); ++layer)
    for (std::size_t r = 0; r < n; ++r)
      std::copy_n(t.read(qkv[layer]).data() + r * 3 * width + width, 2 * width, &rows(r, 2 * layer * width));
}

}  // namespace hocket::peft

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in peft/instances.cpp
namespace hocket::peft {
HOCKET_PEFT_INSTANCE tensor<float> prefix_rows<float>(const prefix&, const nn::encoder_config&,
                                                      nn::parameter_set<float>&);
HOCKET_PEFT_INSTANCE tensor<double> prefix_rows<double>(const prefix&, const nn::encoder_config&,
                                                        nn::parameter_set<double>&);
HOCKET_PEFT_INSTANCE void initialise_from_text<float>(const prefix&, const nn::encoder_config&,
                                                      nn::parameter_set<float>&, std::span<const std::uint32_t>);
HOCKET_PEFT_INSTANCE void initialise_from_text<double>(const prefix&, const nn::encoder_config&,
                                                       nn::parameter_set<double>&, std::span<const std::uint32_t>);
}  // namespace hocket::peft
#endif
