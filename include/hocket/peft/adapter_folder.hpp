// Adapter folders of Hugging Face's peft, read and written: adapter_config.json + adapter_model.safetensors.
//
//   LoRA     base_model.model.[bert.]<module>.lora_A.weight (rank, in) and .lora_B.weight (out, rank)
//   prefix   prompt_embeddings (n, 2 L D): the rows themselves, also of a prefix that is made by a network
//   head     base_model.model.classifier.weight (labels, D), .bias; of a prefix base_model.classifier.weight, .bias
//
// "bert." stands there where the adapter was trained on BertForSequenceClassification, not on BertModel. peft's format
// is for one method: a folder of prefix + LoRA holds two such folders, prefix/ and lora/. What methods train of the
// model itself (full, bitfit, linear_probe) has no format in peft; it is the same two files with peft_type
// HOCKET_WEIGHTS, which peft refuses.
//
// Reading is strict: a key that is missing, one too many, a shape, a number that is not finite are bad_file with the
// file and the name, before anything is changed.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <hocket/io/safetensors.hpp>
#include <hocket/peft/adapter_config.hpp>

namespace hocket::peft {

inline constexpr const char *config_file = "adapter_config.json", *weights_file = "adapter_model.safetensors";

/// What a program needs to know before it makes the model. It stands in the metadata of the weights file, where peft
/// passes it over; a folder of peft's has none, and its head pools as BertForSequenceClassification.
struct adapter_notes {
  nn::classifier_pooling pooling = nn::classifier_pooling::pooler;
  std::vector<std::string> labels = {};  ///< names of the classes, in their order
  std::size_t max_length = 0;            ///< tokens at which texts were cut; 0: not known
  std::string base_sha256 = {};          ///< of the model's weights file; empty: not known
};

/// The notes as metadata of a safetensors file, and back; a file without them gives the defaults.
inline io::tensor_metadata metadata_of(const adapter_notes& notes) {
  io::tensor_metadata all{{"format", "pt"},
                          {"hocket.pooling", std::string(hocket::name_of(notes.pooling))},
                          {"hocket.labels", detail::json_list(notes.labels)}};
  if (notes.max_length > 0) all.push_back({"hocket.max_length", text(notes.max_length)});
  if (!notes.base_sha256.empty()) all.push_back({"hocket.base_sha256", notes.base_sha256});
  return all;
}
inline adapter_notes notes_of(const io::safetensors_file& file) {
  adapter_notes notes;
  if (const std::string* const pooling = file.metadata("hocket.pooling")) {
    const auto& known = enum_names<nn::classifier_pooling>::values;
    const auto found =
        std::find_if(known.begin(), known.end(), [&](const auto& each) { return each.second == *pooling; });
    expects(found != known.end(), errc::bad_file, file.source(), ": hocket.pooling is '", *pooling, "'");
    notes.pooling = found->first;
  }
  if (const std::string* const labels = file.metadata("hocket.labels")) {
    const io::json_file list(*labels, file.source() + ": hocket.labels");
    list.root().require(io::json_kind::array);
    for (std::size_t i = 0; i < list.root().size(); ++i) notes.labels.push_back(list.root().at(i).as_string());
  }
  if (const std::string* const length = file.metadata("hocket.max_length")) {
    const io::json_file number(*length, file.source() + ": hocket.max_length");
    notes.max_length = number.root().as_size();
  }
  if (const std::string* const digest = file.metadata("hocket.base_sha256")) notes.base_sha256 = *digest;
  return notes;
}

namespace detail {

/// A tensor of a file and the weight of a set that it is. A vector has one dimension there and is one row here.
struct tensor_place {
  std::string key, weight;
  std::size_t rows, columns;
  bool vector = false;
};

inline void place_terms(const lora& method, const std::vector<lora_target>& targets, std::string_view front,
                        std::vector<tensor_place>& places) {
  for (const auto& target : targets) {
    places.push_back(
        {text(front, target.module, ".lora_A.weight"), method.a_of(target.module), target.rank, target.in});
    places.push_back(
        {text(front, target.module, ".lora_B.weight"), method.b_of(target.module), target.out, target.rank});
  }
}
inline void place_head(std::string_view front, const std::string& adapter, std::size_t labels, std::size_t width,
                       std::vector<tensor_place>& places) {
  const std::string key = text(front, nn::classifier_head), weight = head_module(adapter);
  places.push_back({key + ".weight", weight + ".weight", labels, width});
  places.push_back({key + ".bias", weight + ".bias", 1, labels, true});
}
template <Method M, Real T>
void place_trained(const M& method, nn::parameter_set<T>& weights, std::vector<tensor_place>& places) {
  for (const nn::parameter<T>* each : trained_by(method, weights))
    places.push_back({each->name(), each->name(), each->rows(), each->columns(), is_vector(each->name())});
}

/// Classes of the head that the set holds for an adapter; 0: none.
template <Real T>
std::size_t labels_of(const std::string& adapter, nn::parameter_set<T>& weights) {
  const nn::parameter<T>* const head = weights.find(head_module(adapter) + ".weight");
  return head ? head->rows() : 0;
}

template <Real T>
void write_tensors(const std::filesystem::path& folder, const std::vector<tensor_place>& places,
                   nn::parameter_set<T>& weights, const std::string& config, const adapter_notes& notes) {
  std::vector<io::tensor_bytes> tensors;
  for (const auto& each : places) {
    const view<const T, 2> values = weights.at(each.weight).value();
    tensors.push_back(each.vector ? io::named_tensor(each.key, view<const T, 1>(values.data(), {values.size()}))
                                  : io::named_tensor(each.key, values));
  }
  std::error_code trouble;
  std::filesystem::create_directories(folder, trouble);
  expects(!trouble, errc::bad_file, folder.string(), ": cannot be made: ", trouble.message());
  io::write_safetensors(folder / weights_file, tensors, metadata_of(notes));
  io::write_file(folder / config_file, config);
}

}  // namespace detail

// Writing -----------------------------------------------------------------------------------------------------------

/// Writes one adapter of the set, in the set's type; `base_model` notes where its model is found.
template <Real T>
void write_adapter(const std::filesystem::path& folder, const lora& method, const nn::encoder_config& config,
                   nn::parameter_set<T>& weights, const adapter_notes& notes = {}, const std::string& base_model = {}) {
  const std::size_t labels = detail::labels_of(method.adapter, weights);
  const auto targets = method.targets(config, weights);
  std::vector<detail::tensor_place> places;
  detail::place_terms(method, targets, labels > 0 ? "base_model.model.bert." : "base_model.model.", places);
  if (labels > 0) detail::place_head("base_model.model.", method.adapter, labels, config.hidden_size, places);
  detail::write_tensors(folder, places, weights, detail::config_text(method, config, targets, labels > 0, base_model),
                        notes);
}

template <Real T>
void write_adapter(const std::filesystem::path& folder, const prefix& method, const nn::encoder_config& config,
                   nn::parameter_set<T>& weights, const adapter_notes& notes = {}, const std::string& base_model = {}) {
  const std::size_t labels = detail::labels_of(method.adapter, weights);
  const tensor<T> rows = prefix_rows(method, config, weights);
  nn::parameter_set<T> stored;  // the rows, made if need be, and the head
  stored.add("prompt_embeddings", rows.as_view());
  std::vector<detail::tensor_place> places{{"prompt_embeddings", "prompt_embeddings", rows.extent(0), rows.extent(1)}};
  if (labels > 0) {
    detail::place_head("base_model.", method.adapter, labels, config.hidden_size, places);
    for (const char* part : {".weight", ".bias"})
      stored.add(head_module(method.adapter) + part, weights.at(head_module(method.adapter) + part).value());
  }
  detail::write_tensors(folder, places, stored, detail::config_text(method, config, labels > 0, base_model), notes);
}

/// What a method trains of the model itself.
template <class M, Real T>
requires(std::same_as<M, full> || std::same_as<M, bitfit> ||
         std::same_as<M, linear_probe>) void write_adapter(const std::filesystem::path& folder, const M& method,
                                                           const nn::encoder_config&, nn::parameter_set<T>& weights,
                                                           const adapter_notes& notes = {},
                                                           const std::string& base_model = {}) {
  std::vector<detail::tensor_place> places;
  detail::place_trained(method, weights, places);
  detail::write_tensors(folder, places, weights, detail::config_text(method, base_model), notes);
}

/// One method: its folder. Several: in it a folder for each, by the methods' names.
template <Real T>
void write_adapter(const std::filesystem::path& folder, const combined& all, const nn::encoder_config& config,
                   nn::parameter_set<T>& weights, const adapter_notes& notes = {}, const std::string& base_model = {}) {
  expects(!all.methods.empty(), errc::bad_option, folder.string(), ": there is no method to write");
  for (const auto& each : all.methods) {
    const auto same = [&](const any_method& other) { return name_of(other) == name_of(each); };
    expects(std::count_if(all.methods.begin(), all.methods.end(), same) == 1, errc::bad_option, folder.string(),
            ": two adapters by ", name_of(each), "; write them to folders of their own");
    const std::filesystem::path place = all.methods.size() == 1 ? folder : folder / name_of(each);
    std::visit([&](const auto& m) { write_adapter(place, m, config, weights, notes, base_model); }, each);
  }
}

// Reading -----------------------------------------------------------------------------------------------------------

/// An adapter folder before its weights are read: enough to make the model that it fits.
struct adapter_folder {
  std::filesystem::path folder;
  adapter_config config;
  adapter_notes notes;
  std::size_t labels = 0;  ///< classes of its head; 0: none
};

/// The adapters of a folder, one or (prefix/, lora/) several, under the name `adapter`. Throws bad_file with the file
/// and what is wrong with it, `model` being the sizes of the model it is for.
inline std::vector<adapter_folder> open_adapters(const std::filesystem::path& folder, const nn::encoder_config& model,
                                                 const std::string& adapter = "default") {
  std::error_code ignored;
  std::vector<std::filesystem::path> places;
  if (std::filesystem::exists(folder / config_file, ignored)) {
    places.push_back(folder);
  } else {
    for (const char* each : {"prefix", "lora"})
      if (std::filesystem::exists(folder / each / config_file, ignored)) places.push_back(folder / each);
  }
  expects(!places.empty(), errc::bad_file, folder.string(), ": no adapter folder: it lacks ", config_file);
  std::vector<adapter_folder> all;
  for (const auto& place : places) {
    adapter_folder one{place, read_adapter_config(place / config_file, adapter, model), {}, 0};
    const io::safetensors_file file(place / weights_file);
    one.notes = notes_of(file);
    for (const auto& tensor : file.tensors())
      if (one.config.head && tensor.rank() == 2 && tensor.name.ends_with(text(nn::classifier_head, ".weight")))
        one.labels = tensor.extents[0];
    expects(one.notes.labels.empty() || one.notes.labels.size() == one.labels, errc::bad_file, file.source(), ": ",
            one.notes.labels.size(), " names of classes, but its head has ", one.labels);
    all.push_back(std::move(one));
  }
  for (const auto& each : all)
    expects(each.labels == all[0].labels && each.notes.pooling == all[0].notes.pooling, errc::bad_file, folder.string(),
            ": its adapters differ in their heads");
  return all;
}

namespace detail {

/// Throws bad_file with the names of up to eight tensors that are missing or not expected, and for another shape or a
/// number that is not finite.
inline void require_tensors(const io::safetensors_file& file, const std::vector<tensor_place>& expected,
                            std::vector<std::string> known) {
  std::string missing, extra;
  std::size_t count = 0;
  const auto note = [&](std::string& list, const std::string& name) {
    if (++count <= 8) list += text(list.empty() ? "" : ", ", name);
  };
  for (const auto& each : expected) {
    if (!file.contains(each.key)) note(missing, each.key);
    known.push_back(each.key);
  }
  std::sort(known.begin(), known.end());
  for (const auto& tensor : file.tensors())
    if (!std::binary_search(known.begin(), known.end(), tensor.name)) note(extra, tensor.name);
  expects(count == 0, errc::bad_file, file.source(), ": ", missing.empty() ? "" : "missing: ", missing,
          missing.empty() || extra.empty() ? "" : "; ", extra.empty() ? "" : "not expected: ", extra,
          count > 8 ? text(" and ", count - 8, " more") : "");
  for (const auto& each : expected) {
    if (each.vector)
      file.require_extents(file.info(each.key), shape<1>{each.columns});
    else
      file.require_extents(file.info(each.key), shape<2>{each.rows, each.columns});
    file.require_finite(each.key);
  }
}

}  // namespace detail

/// Adds the adapter's weights to the set (full, bitfit, linear_probe: overwrites the model's), frozen. Several adapters
/// of one name may share a head.
template <Real T>
void read_adapter(const adapter_folder& from, const nn::encoder_config& model, nn::parameter_set<T>& weights) {
  const io::safetensors_file file(from.folder / weights_file);
  std::vector<detail::tensor_place> places;
  std::vector<std::string> unused;
  std::string head;
  if (const lora* const method = std::get_if<lora>(&from.config.method)) {
    const auto names = file.names();
    const bool bert = std::any_of(names.begin(), names.end(),
                                  [](const auto& name) { return name.starts_with("base_model.model.bert."); });
    const std::string front = bert ? "base_model.model.bert." : "base_model.model.";
    detail::place_terms(*method, detail::read_targets(*method, model, has_pooler(weights), from.folder / config_file),
                        front, places);
    head = "base_model.model.";
    if (!has_pooler(weights))  // the model was loaded without: terms of its product have no place
      for (const char* part : {".lora_A.weight", ".lora_B.weight"}) unused.push_back(text(front, pooler_module, part));
  } else if (const prefix* const rows = std::get_if<prefix>(&from.config.method)) {
    places.push_back(
        {"prompt_embeddings", rows->table(), rows->options.rows, 2 * model.num_hidden_layers * model.hidden_size});
    head = "base_model.";
  } else {
    std::visit([&](const auto& m) { detail::place_trained(m, weights, places); }, from.config.method);
  }
  if (from.config.head && !head.empty())
    detail::place_head(head, adapter_name(from.config.method), from.labels, model.hidden_size, places);
  detail::require_tensors(file, places, unused);
  for (const auto& each : places) {
    const buffer<T> values = file.copy_as<T>(each.key);
    nn::parameter<T>* to = weights.find(each.weight);
    if (!to) {
      to = &weights.add(each.weight, each.rows, each.columns);
    } else if (each.weight.starts_with(text(nn::classifier_head, ".modules_to_save."))) {
      expects(to->size() == values.size() && std::equal(values.begin(), values.end(), to->value().data()),
              errc::bad_file, file.source(), ": ", each.key, " is not the head that another adapter of the name has");
      continue;
    }
    to->own();
    std::copy(values.begin(), values.end(), to->writable().data());
    to->train(false);
  }
}

/// Reads all adapters of a folder into the set; returns the methods, to be joined.
template <Real T>
combined read_adapters(const std::filesystem::path& folder, const nn::encoder_config& model,
                       nn::parameter_set<T>& weights, const std::string& adapter = "default") {
  combined all;
  for (const adapter_folder& each : open_adapters(folder, model, adapter)) {
    read_adapter(each, model, weights);
    all.methods.push_back(each.config.method);
  }
  return all;
}

}  // namespace hocket::peft

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in peft/instances.cpp
namespace hocket::peft {
HOCKET_PEFT_INSTANCE void write_adapter<float>(const std::filesystem::path&, const lora&, const nn::encoder_config&,
                                               nn::parameter_set<float>&, const adapter_notes&, const std::string&);
HOCKET_PEFT_INSTANCE void write_adapter<double>(const std::filesystem::path&, const lora&, const nn::encoder_config&,
                                                nn::parameter_set<double>&, const adapter_notes&, const std::string&);
HOCKET_PEFT_INSTANCE void write_adapter<float>(const std::filesystem::path&, const prefix&, const nn::encoder_config&,
                                               nn::parameter_set<float>&, const adapter_notes&, const std::string&);
HOCKET_PEFT_INSTANCE void write_adapter<double>(const std::filesystem::path&, const prefix&, const nn::encoder_config&,
                                                nn::parameter_set<double>&, const adapter_notes&, const std::string&);
HOCKET_PEFT_INSTANCE void write_adapter<float>(const std::filesystem::path&, const combined&, const nn::encoder_config&,
                                               nn::parameter_set<float>&, const adapter_notes&, const std::string&);
HOCKET_PEFT_INSTANCE void write_adapter<double>(const std::filesystem::path&, const combined&,
                                                const nn::encoder_config&, nn::parameter_set<double>&,
                                                const adapter_notes&, const std::string&);
HOCKET_PEFT_INSTANCE void read_adapter<float>(const adapter_folder&, const nn::encoder_config&,
                                              nn::parameter_set<float>&);
HOCKET_PEFT_INSTANCE void read_adapter<double>(const adapter_folder&, const nn::encoder_config&,
                                               nn::parameter_set<double>&);
HOCKET_PEFT_INSTANCE combined read_adapters<float>(const std::filesystem::path&, const nn::encoder_config&,
                                                   nn::parameter_set<float>&, const std::string&);
HOCKET_PEFT_INSTANCE combined read_adapters<double>(const std::filesystem::path&, const nn::encoder_config&,
                                                    nn::parameter_set<double>&, const std::string&);
}  // namespace hocket::peft
#endif
