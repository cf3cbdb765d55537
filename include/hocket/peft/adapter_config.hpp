// adapter_config.json as Hugging Face's peft reads and writes it, for LoRA and prefix tuning. An option that would
// change what an adapter computes and is not built is refused by its name; what peft says about itself is passed over.
#pragma once

#include <algorithm>
#include <array>
#include <cctype>
#include <concepts>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/io/json.hpp>
#include <hocket/peft/combined.hpp>

namespace hocket::peft {

/// An adapter's configuration, with the name that it will have here.
struct adapter_config {
  any_method method;
  bool head = false;            ///< whether the folder holds a classifier's head
  std::string base_model = {};  ///< base_model_name_or_path, as it was written
};

namespace detail {

/// What methods train of the model itself; peft has no such type.
inline constexpr std::string_view weights_type = "HOCKET_WEIGHTS";

[[noreturn]] inline void refuse(const io::json_ref& at, std::string_view why) {
  fail(errc::bad_file, at.where(), ": ", why);
}
inline std::string as_written(const io::json_ref& at) {
  switch (at.kind()) {
    case io::json_kind::null: return "null";
    case io::json_kind::string: return text("'", at.value().characters(), "'");
    case io::json_kind::array:
    case io::json_kind::object: return std::string(name_of(at.kind()));
    default: return at.value().characters();
  }
}
/// null, false, "", {} and [] switch nothing on.
inline bool is_off(const io::json_ref& at) {
  switch (at.kind()) {
    case io::json_kind::null: return true;
    case io::json_kind::boolean: return !at.as_bool();
    case io::json_kind::string: return at.as_string().empty();
    case io::json_kind::array:
    case io::json_kind::object: return at.size() == 0;
    default: return false;
  }
}

/// A list of strings as "a,b"; null is empty. Items with a comma cannot be names of modules.
inline std::string comma_list(const io::json_ref& root, std::string_view key) {
  if (!root.has(key)) return "";
  const io::json_ref list = root.at(key);
  list.require(io::json_kind::array);
  std::string all;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string& item = list.at(i).as_string();
    const bool plain = !item.empty() && std::all_of(item.begin(), item.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-';
    });
    if (!plain) refuse(list.at(i), text("'", item, "' is no name of a module"));
    all += text(all.empty() ? "" : ",", item);
  }
  return all;
}

/// {"end of name": number} as "end:number,..."; peft takes the ends as regular expressions, of which names are read.
inline std::string pattern_list(const io::json_ref& root, std::string_view key) {
  if (!root.has(key)) return "";
  const io::json_ref patterns = root.at(key);
  patterns.require(io::json_kind::object);
  std::string all;
  for (const auto& [name, value] : patterns.value().members()) {
    const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '_' || c == '.';
    });
    const io::json_ref at = patterns.at(name);
    if (!plain) refuse(at, text("'", name, "' is a regular expression; ends of names are read"));
    at.require(io::json_kind::number);
    all += text(all.empty() ? "" : ",", name, ":", value.characters());
  }
  return all;
}

inline bool head_of(const io::json_ref& root) {
  if (!root.has("modules_to_save")) return false;
  const io::json_ref list = root.at("modules_to_save");
  list.require(io::json_kind::array);
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string& module = list.at(i).as_string();  // peft itself writes both names of heads
    if (module != nn::classifier_head && module != "score")
      refuse(list.at(i), text("'", module, "' is not read as a module to save; classifier and score are"));
  }
  return list.size() > 0;
}

inline lora lora_of(const io::json_ref& root, const std::string& name) {
  lora method{{}, name};
  lora_options& o = method.options;
  o.rank = root.at("r").as_size();
  o.alpha = root.at("lora_alpha").as_double();
  o.dropout = root.double_or("lora_dropout", 0);
  o.rslora = root.bool_or("use_rslora", false);
  const io::json_ref targets = root.at("target_modules");
  if (targets.kind() == io::json_kind::string) {
    o.targets = targets.as_string();
    if (o.targets != "all-linear")
      refuse(targets, text("'", o.targets, "' is a regular expression; a list of names, or all-linear, is read"));
  } else {
    o.targets = comma_list(root, "target_modules");
  }
  if (root.has("exclude_modules") && root.at("exclude_modules").kind() == io::json_kind::string)
    refuse(root.at("exclude_modules"), "a regular expression; a list of names is read");
  o.exclude = comma_list(root, "exclude_modules");
  if (root.has("layers_to_transform")) {
    const io::json_ref layers = root.at("layers_to_transform");
    o.layers.clear();
    if (layers.kind() == io::json_kind::number) {
      o.layers = text(layers.as_size());
    } else {
      layers.require(io::json_kind::array);
      for (std::size_t i = 0; i < layers.size(); ++i) o.layers += text(i == 0 ? "" : ",", layers.at(i).as_size());
      if (layers.size() == 0) o.layers = "all";
    }
  }
  if (root.has("layers_pattern") && !is_off(root.at("layers_pattern"))) {
    const io::json_ref pattern = root.at("layers_pattern");
    const bool one = pattern.kind() == io::json_kind::array && pattern.size() == 1;
    if ((one ? pattern.at(0) : pattern).as_string() != "layer") refuse(pattern, "only 'layer' is read");
  }
  o.rank_pattern = pattern_list(root, "rank_pattern");
  o.alpha_pattern = pattern_list(root, "alpha_pattern");
  if (root.string_or("bias", "none") != "none")
    refuse(root.at("bias"), text(as_written(root.at("bias")), " is not built; 'none' is"));
  // Ways of starting that leave the model's weights as they are; others change them, and the file does not hold that.
  constexpr std::array<std::string_view, 3> starts = {"gaussian", "orthogonal", "eva"};
  if (root.has("init_lora_weights") && root.at("init_lora_weights").kind() != io::json_kind::boolean) {
    const std::string& start = root.at("init_lora_weights").as_string();
    if (std::find(starts.begin(), starts.end(), start) == starts.end())
      refuse(root.at("init_lora_weights"), text("'", start, "' changes the base model's weights; it is not built"));
    if (start == "gaussian") o.init = lora_init::gaussian;
  }
  return method;
}

inline prefix prefix_of(const io::json_ref& root, const std::string& name, const nn::encoder_config& model) {
  const auto equal = [&](std::string_view key, std::size_t expected, std::string_view what) {
    if (root.has(key) && root.at(key).as_size() != expected)
      refuse(root.at(key), text(root.at(key).as_size(), "; ", what, " ", expected));
  };
  equal("token_dim", model.hidden_size, "the model's hidden_size is");
  equal("num_layers", model.num_hidden_layers, "the model's num_hidden_layers is");
  equal("num_attention_heads", model.num_attention_heads, "the model's num_attention_heads is");
  equal("num_transformer_submodules", 1, "an encoder has");
  prefix method{{}, name};
  method.options.rows = root.at("num_virtual_tokens").as_size();  // a file holds rows, never the network behind them
  if (method.options.rows == 0 || method.options.rows >= model.max_position_embeddings)
    refuse(root.at("num_virtual_tokens"), text(method.options.rows, "; the model has ", model.max_position_embeddings,
                                               " positions, and a text needs one or more"));
  return method;
}

inline any_method weights_method_of(const io::json_ref& root) {
  const std::string name = root.at("method").as_string();
  if (name == full::method_name) return full{{root.bool_or("embeddings", true)}};
  if (name == bitfit::method_name) return bitfit{};
  if (name == linear_probe::method_name) return linear_probe{};
  refuse(root.at("method"), text("'", name, "' is not read; full, bitfit and linear_probe are"));
}

}  // namespace detail

/// Reads a configuration for the model whose sizes are `model`. Throws bad_file with the file and the key.
inline adapter_config parse_adapter_config(const io::json_ref& root, const std::string& name,
                                           const nn::encoder_config& model) {
  root.require(io::json_kind::object);
  const std::string type = root.at("peft_type").as_string();
  constexpr std::array<std::string_view, 11> of_lora = {"r",
                                                        "lora_alpha",
                                                        "lora_dropout",
                                                        "use_rslora",
                                                        "target_modules",
                                                        "exclude_modules",
                                                        "layers_to_transform",
                                                        "layers_pattern",
                                                        "rank_pattern",
                                                        "alpha_pattern",
                                                        "init_lora_weights"};
  constexpr std::array<std::string_view, 7> of_prefix = {
      "token_dim",          "num_layers",        "num_attention_heads", "num_transformer_submodules",
      "num_virtual_tokens", "prefix_projection", "encoder_hidden_size"};
  // What peft notes: where from, by which version, and settings of options that are off.
  constexpr std::array<std::string_view, 13> notes = {"peft_type",         "peft_version",    "task_type",
                                                      "inference_mode",    "auto_mapping",    "base_model_name_or_path",
                                                      "revision",          "library_name",    "megatron_core",
                                                      "qalora_group_size", "modules_to_save", "bias",
                                                      "runtime_config"};
  const auto among = [](const auto& list, std::string_view key) {
    return std::find(list.begin(), list.end(), key) != list.end();
  };
  constexpr std::array<std::string_view, 2> of_weights = {"method", "embeddings"};
  expects(type == "LORA" || type == "PREFIX_TUNING" || type == detail::weights_type, errc::bad_file,
          root.at("peft_type").where(), ": '", type, "' is not read; LORA and PREFIX_TUNING are");
  for (const auto& [key, value] : root.value().members()) {
    if (among(notes, key) || (type == "LORA"            ? among(of_lora, key)
                              : type == "PREFIX_TUNING" ? among(of_prefix, key)
                                                        : among(of_weights, key)))
      continue;
    const io::json_ref at(value, text(root.where(), ": ", key));
    if (!detail::is_off(at)) detail::refuse(at, text("an option that is not built, here ", detail::as_written(at)));
  }
  constexpr std::array<std::string_view, 2> tasks = {"SEQ_CLS", "FEATURE_EXTRACTION"};
  if (root.has("task_type") && !among(tasks, root.at("task_type").as_string()))
    detail::refuse(root.at("task_type"), text(detail::as_written(root.at("task_type")),
                                              "; adapters of SEQ_CLS and FEATURE_EXTRACTION are read"));
  adapter_config out;
  if (type == "LORA")
    out.method = detail::lora_of(root, name);
  else if (type == "PREFIX_TUNING")
    out.method = detail::prefix_of(root, name, model);
  else
    out.method = detail::weights_method_of(root);
  out.head = detail::head_of(root);
  out.base_model = root.string_or("base_model_name_or_path", "");
  return out;
}

inline adapter_config read_adapter_config(const std::filesystem::path& path, const std::string& name,
                                          const nn::encoder_config& model) {
  const io::json_file file(path);
  return parse_adapter_config(file.root(), name, model);
}

namespace detail {

/// The targets of a configuration that was read: what is wrong with them is wrong with the file.
inline std::vector<lora_target> read_targets(const lora& method, const nn::encoder_config& model, bool pooler,
                                             const std::filesystem::path& path) {
  try {
    return lora_targets(model, pooler, method.options, true);
  } catch (const error& problem) {
    fail(errc::bad_file, path.string(), ": ", problem.what());
  }
}

inline std::string json_list(const std::vector<std::string>& items) {
  std::string all = "[";
  for (const auto& each : items) all += text(all.size() > 1 ? ", " : "", io::json_quoted(each));
  return all + "]";
}

/// Members whose values are JSON already.
using json_members = std::vector<std::pair<std::string, std::string>>;

/// As Python's json.dumps(indent=2, sort_keys=True).
inline std::string json_object(json_members members) {
  std::sort(members.begin(), members.end());
  std::string all = "{";
  for (const auto& [key, value] : members)
    all += text(all.size() > 1 ? "," : "", "\n  ", io::json_quoted(key), ": ", value);
  return all + "\n}\n";
}

inline json_members common_members(std::string_view type, bool head, const std::string& base_model) {
  return {{"peft_type", io::json_quoted(type)},
          {"base_model_name_or_path", base_model.empty() ? "null" : io::json_quoted(base_model)},
          {"inference_mode", "true"},
          {"modules_to_save", head ? json_list({std::string(nn::classifier_head), "score"}) : "null"},
          {"revision", "null"},
          {"task_type", head ? "\"SEQ_CLS\"" : "\"FEATURE_EXTRACTION\""}};
}

inline std::string config_text(const lora& method, const nn::encoder_config& config,
                               const std::vector<lora_target>& targets, bool head, const std::string& base_model) {
  const lora_options& o = method.options;
  std::vector<std::string> modules;
  std::string ranks, alphas;
  for (const auto& target : targets) {
    modules.push_back(target.module);
    const auto note = [&](std::string& list, const auto& number) {
      list += text(list.empty() ? "" : ", ", io::json_quoted(target.module), ": ", number);
    };
    if (target.rank != o.rank) note(ranks, target.rank);
    if (target.alpha != o.alpha) note(alphas, target.alpha);
  }
  // Ends of names are kept where peft finds the same modules by them, in a model with a pooler too; else all are
  // listed.
  const bool plain = o.targets != "all-linear" && o.targets.find_first_of("*") == std::string::npos &&
                     o.exclude.empty() && o.layers == "all" &&
                     lora_targets(config, true, o, true).size() == targets.size();
  json_members members = common_members("LORA", head, base_model);
  const json_members own = {{"r", text(o.rank)},
                            {"lora_alpha", text(o.alpha)},
                            {"lora_dropout", text(o.dropout)},
                            {"use_rslora", o.rslora ? "true" : "false"},
                            {"target_modules", json_list(plain ? listed(o.targets, "targets") : modules)},
                            {"rank_pattern", text("{", ranks, "}")},
                            {"alpha_pattern", text("{", alphas, "}")},
                            {"layers_to_transform", "null"},
                            {"layers_pattern", "null"},
                            {"bias", "\"none\""},
                            {"fan_in_fan_out", "false"},
                            {"init_lora_weights", o.init == lora_init::gaussian ? "\"gaussian\"" : "true"}};
  members.insert(members.end(), own.begin(), own.end());
  return json_object(std::move(members));
}
inline std::string config_text(const prefix& method, const nn::encoder_config& config, bool head,
                               const std::string& base_model) {
  json_members members = common_members("PREFIX_TUNING", head, base_model);
  const json_members own = {{"num_virtual_tokens", text(method.options.rows)},
                            {"token_dim", text(config.hidden_size)},
                            {"num_layers", text(config.num_hidden_layers)},
                            {"num_attention_heads", text(config.num_attention_heads)},
                            {"num_transformer_submodules", "1"},
                            {"encoder_hidden_size", text(method.hidden(config))},
                            {"prefix_projection", method.options.projection ? "true" : "false"}};
  members.insert(members.end(), own.begin(), own.end());
  return json_object(std::move(members));
}
template <class M>
std::string config_text(const M& method, const std::string& base_model) {
  json_members members = common_members(weights_type, true, base_model);
  members.push_back({"method", io::json_quoted(M::method_name)});
  if constexpr (std::same_as<M, full>) members.push_back({"embeddings", method.options.embeddings ? "true" : "false"});
  return json_object(std::move(members));
}

}  // namespace detail

}  // namespace hocket::peft
