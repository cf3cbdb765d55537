// LoRA: y = x W' + b + s drop(x) A' B' beside frozen W, b (Hu et al., "LoRA: Low-rank adaptation of large language
// models", 2021). A (rank, in) starts uniform in +-1/sqrt(in) (Kaiming's rule with a = sqrt(5), as peft), B (out, rank)
// at zero; s = alpha / rank, or alpha / sqrt(rank) (Kalajdzievski, "A rank stabilization scaling factor for fine-tuning
// with LoRA", 2023: rsLoRA).
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/core/options.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/peft/method.hpp>

namespace hocket::peft {

enum class lora_init { kaiming, gaussian };

}  // namespace hocket::peft

template <>
struct hocket::enum_names<hocket::peft::lora_init> {
  using enum hocket::peft::lora_init;
  static constexpr std::array values = {std::pair{kaiming, std::string_view{"kaiming"}},
                                        std::pair{gaussian, std::string_view{"gaussian"}}};
};

namespace hocket::peft {

struct lora_options {
  std::size_t rank = 8;
  double alpha = 8;
  double dropout = 0;
  bool rslora = false;
  std::string targets = "query,value";
  std::string exclude = {};
  std::string layers = "all";
  std::string rank_pattern = {}, alpha_pattern = {};
  lora_init init = lora_init::kaiming;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("rank", self.rank, "columns of A' and B: the most that the change of a weight can have as its rank");
    visit("alpha", self.alpha, "the term is scaled by alpha / rank");
    visit("dropout", self.dropout, "probability, of what goes into A");
    visit("rslora", self.rslora, "scale by alpha / sqrt(rank) instead");
    visit("targets", self.targets,
          "all-linear, or the ends of module names, by commas; * stands for anything (query,value; *.4.*.dense)");
    visit("exclude", self.exclude, "ends of module names that are no targets");
    visit("layers", self.layers, "all, or the numbers of layers, by commas, from 0");
    visit("rank_pattern", self.rank_pattern, "other ranks, as end-of-name:rank, by commas");
    visit("alpha_pattern", self.alpha_pattern, "other alphas, in the same way");
    visit("init", self.init, "kaiming (uniform in +-1/sqrt(in)) or gaussian (deviation 1/rank): how A starts");
  }
};

/// One weight that gets a term.
struct lora_target {
  std::string module;
  std::size_t out, in, rank;
  double alpha, scale;
};

/// "a,b" as {"a", "b"}; an empty text has no items. Throws bad_option for an empty item.
inline std::vector<std::string> listed(std::string_view list, std::string_view option) {
  std::vector<std::string> items;
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    items.emplace_back(list.substr(0, comma));
    expects(!items.back().empty() && comma != list.size() - 1, errc::bad_option, option, "=", list,
            ": an item is empty");
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
  }
  return items;
}

/// Whether `item` is the module's name or its end behind a dot, as peft matches.
inline bool names_module(std::string_view item, std::string_view module) {
  if (item.starts_with("bert.")) item.remove_prefix(5);
  return nn::matches(item, module) || nn::matches(text("*.", item), module);
}

/// The products of an encoder: {module, out, in}. What all-linear means.
inline std::vector<nn::named_size> linear_modules(const nn::encoder_config& config, bool pooler) {
  std::vector<nn::named_size> modules;
  for (nn::named_size& each : nn::encoder_sizes(config, pooler)) {
    if (!each.name.ends_with(".weight") || each.name.starts_with("embeddings.")) continue;
    if (each.name.find("LayerNorm") != std::string::npos) continue;
    each.name.resize(each.name.size() - std::string_view(".weight").size());
    modules.push_back(std::move(each));
  }
  return modules;
}

namespace detail {

template <class Number>
Number number_of(std::string_view digits, std::string_view option) {
  Number n{};
  const auto done = std::from_chars(digits.data(), digits.data() + digits.size(), n);
  expects(done.ec == std::errc{} && done.ptr == digits.data() + digits.size(), errc::bad_option, option, ": '", digits,
          "' is no number");
  return n;
}

/// The items of a list end:value, divided.
template <class Number>
std::vector<std::pair<std::string, Number>> patterns_of(std::string_view list, std::string_view option) {
  std::vector<std::pair<std::string, Number>> all;
  for (const std::string& item : listed(list, option)) {
    const std::size_t colon = item.rfind(':');
    expects(colon != std::string::npos, errc::bad_option, option, ": '", item, "' is not end-of-name:number");
    all.emplace_back(item.substr(0, colon), number_of<Number>(std::string_view(item).substr(colon + 1), option));
  }
  return all;
}

/// The value of the first item whose end names the module.
template <class Number>
Number patterned(const std::vector<std::pair<std::string, Number>>& patterns, std::string_view module,
                 Number otherwise) {
  for (const auto& [end, number] : patterns)
    if (names_module(end, module)) return number;
  return otherwise;
}

/// The layer of "encoder.layer.3.output.dense"; none for the pooler.
inline std::string_view layer_of(std::string_view module) {
  constexpr std::string_view front = "encoder.layer.";
  if (!module.starts_with(front)) return {};
  module.remove_prefix(front.size());
  return module.substr(0, module.find('.'));
}

}  // namespace detail

/// Every product that gets a term, in the model's order. Throws bad_option for a rank of 0, a scale that is not finite,
/// and, unless `lenient` as peft is, for a name in targets, exclude or a pattern that is no module's.
inline std::vector<lora_target> lora_targets(const nn::encoder_config& config, bool pooler, const lora_options& options,
                                             bool lenient = false) {
  const auto modules = linear_modules(config, pooler);
  const auto targets = listed(options.targets, "targets"), excluded = listed(options.exclude, "exclude");
  std::vector<std::size_t> layers;
  for (const auto& item : options.layers == "all" ? std::vector<std::string>{} : listed(options.layers, "layers")) {
    layers.push_back(detail::number_of<std::size_t>(item, "layers"));
    expects(layers.back() < config.num_hidden_layers, errc::bad_option, "layers=", options.layers,
            ": the model has layers 0 to ", config.num_hidden_layers - 1);
  }
  const auto chosen_layer = [&](std::string_view module) {
    const std::string_view layer = detail::layer_of(module);
    return options.layers == "all" ||
           (!layer.empty() &&
            std::find(layers.begin(), layers.end(), detail::number_of<std::size_t>(layer, "layers")) != layers.end());
  };
  const auto named_by = [](const std::vector<std::string>& items, std::string_view module) {
    return std::any_of(items.begin(), items.end(), [&](const auto& item) { return names_module(item, module); });
  };
  const auto ranks = detail::patterns_of<std::size_t>(options.rank_pattern, "rank_pattern");
  const auto alphas = detail::patterns_of<double>(options.alpha_pattern, "alpha_pattern");
  const auto require_known = [&](std::string_view end, std::string_view option, std::string_view all) {
    const bool known =
        std::any_of(modules.begin(), modules.end(), [&](const auto& module) { return names_module(end, module.name); });
    expects(known || lenient, errc::bad_option, option, "=", all, ": '", end,
            "' is the end of no module's name; names end in query, key, value or dense");
  };
  for (const auto& target : targets)
    if (target != "all-linear") require_known(target, "targets", options.targets);
  for (const auto& each : excluded) require_known(each, "exclude", options.exclude);
  for (const auto& each : ranks) require_known(each.first, "rank_pattern", options.rank_pattern);
  for (const auto& each : alphas) require_known(each.first, "alpha_pattern", options.alpha_pattern);
  std::vector<lora_target> chosen;
  for (const auto& [module, out, in] : modules) {
    if (options.targets != "all-linear" && !named_by(targets, module)) continue;
    if (named_by(excluded, module)) continue;
    if (!chosen_layer(module)) continue;
    const std::size_t rank = detail::patterned(ranks, module, options.rank);
    const double alpha = detail::patterned(alphas, module, options.alpha);
    expects(rank >= 1, errc::bad_option, "LoRA: the rank of ", module, " is 0");
    const double by = static_cast<double>(rank);
    chosen.push_back({module, out, in, rank, alpha, alpha / (options.rslora ? std::sqrt(by) : by)});
    expects(std::isfinite(chosen.back().scale), errc::bad_option, "LoRA: alpha is ", alpha, "; it must be finite");
  }
  expects(!chosen.empty(), errc::bad_option, "LoRA: targets=", options.targets, " exclude=", options.exclude,
          " layers=", options.layers, " leave no module");
  return chosen;
}

/// Trained: the sum over targets of rank (in + out), and the adapter's copy of the head.
struct lora {
  static constexpr std::string_view method_name = "lora";
  lora_options options;
  std::string adapter = "default";

  std::string a_of(std::string_view module) const { return text(module, ".lora_A.", adapter, ".weight"); }
  std::string b_of(std::string_view module) const { return text(module, ".lora_B.", adapter, ".weight"); }
  /// Of an adapter that is there; one that was read from peft's folder may name more modules than the model has.
  template <Real T>
  std::vector<lora_target> targets(const nn::encoder_config& config, const nn::parameter_set<T>& weights) const {
    return lora_targets(config, has_pooler(weights), options, true);
  }

  template <Real T>
  void add_to(const nn::encoder_config& config, nn::parameter_set<T>& weights, std::uint64_t seed) const {
    std::uint64_t stream = std::uint64_t{0x6c6f7261} << 32;  // no other weight draws from these
    for (const auto& target : lora_targets(config, has_pooler(weights), options)) {
      auto& a = weights.add(a_of(target.module), target.rank, target.in);
      weights.add(b_of(target.module), target.out, target.rank);
      const philox random(seed, stream++);
      const double bound = 1 / std::sqrt(static_cast<double>(target.in)),
                   deviation = 1 / static_cast<double>(target.rank);
      for (std::size_t i = 0; i < a.size(); ++i)
        a.writable().data()[i] =
            static_cast<T>(options.init == lora_init::kaiming ? bound * (2 * random.uniform_at(i) - 1)
                                                              : deviation * random.normal_at(i));
    }
    add_head(adapter, weights);
  }
  template <Real T>
  std::vector<std::string> trained(nn::parameter_set<T>& weights) const {
    std::vector<std::string> patterns{a_of("*"), b_of("*")};
    if (weights.contains(head_module(adapter) + ".weight")) patterns.push_back(head_module(adapter) + ".*");
    return patterns;
  }
  template <Real T>
  void join(additions<T>& into) const {
    for (const auto& target : targets(into.config(), into.weights()))
      into.add_term(target.module, {into.parameter(a_of(target.module)), into.parameter(b_of(target.module)),
                                    target.scale, options.dropout});
    join_head(adapter, into);
  }
};
static_assert(Method<lora>);

}  // namespace hocket::peft
