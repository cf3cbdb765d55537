// LoRA's terms inside the weights themselves: W + s B A. A merged model costs what the model costs, and the originals
// are kept, so that taking the terms out again gives back the bits that were there, however often.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <hocket/core/device.hpp>
#include <hocket/core/tensor.hpp>
#include <hocket/io/safetensors.hpp>
#include <hocket/linalg/gemm.hpp>
#include <hocket/peft/combined.hpp>

namespace hocket::peft {

/// The weights of a model with adapters merged, until unmerge() or the end of its life. Tapes of that model are
/// recorded without the adapters; heads are not merged. Of two on one model the later one ends first.
template <Real T>
class merged_lora {
 public:
  merged_lora() = default;
  merged_lora(const lora& method, const nn::encoder_config& config, nn::parameter_set<T>& weights,
              const cpu& device = {}) {
    merge(method, config, weights, device);
  }
  merged_lora(merged_lora&&) = default;
  merged_lora& operator=(merged_lora&&) = delete;
  ~merged_lora() { unmerge(); }

  /// One more adapter.
  void merge(const lora& method, const nn::encoder_config& config, nn::parameter_set<T>& weights,
             const cpu& device = {}) {
    linalg::gemm_plan<T> products({}, device);
    for (const auto& target : method.targets(config, weights)) {
      nn::parameter<T>& w = weights.at(target.module + ".weight");
      const view<const T, 2> a = weights.at(method.a_of(target.module)).value(),
                             b = weights.at(method.b_of(target.module)).value();
      kept_.push_back({&w, tensor<T>(w.value())});
      w.own();
      products.run(static_cast<T>(target.scale), b, linalg::transpose::no, a, linalg::transpose::no, T{1},
                   w.writable());
    }
  }

  /// Puts the original bits back. A second call does nothing.
  void unmerge() {
    for (; !kept_.empty(); kept_.pop_back()) {
      const auto& [w, original] = kept_.back();
      std::copy(original.begin(), original.end(), w->writable().data());
    }
  }
  bool merged() const { return !kept_.empty(); }

 private:
  std::vector<std::pair<nn::parameter<T>*, tensor<T>>> kept_;
};

/// Writes a model with its adapters merged as one file by transformers' names: BertForSequenceClassification's where
/// there is a head, otherwise BertModel's. The set is as it was afterwards. Throws bad_option for a prefix: rows before
/// a text are no part of a weight. `metadata` stands in the file's header beside the format.
template <Real T>
void write_merged(const std::filesystem::path& path, const combined& methods, const nn::encoder_config& config,
                  nn::parameter_set<T>& weights, const io::tensor_metadata& metadata = {{"format", "pt"}}) {
  merged_lora<T> terms;
  std::string head = std::string(nn::classifier_head);
  for (const auto& each : methods.methods)
    expects(!std::holds_alternative<prefix>(each), errc::bad_option, path.string(),
            ": a prefix cannot be merged into weights; it stands before every text");
  for (const auto& each : methods.methods) {
    if (const lora* const method = std::get_if<lora>(&each)) terms.merge(*method, config, weights);
    if (weights.contains(head_module(adapter_name(each)) + ".weight")) head = head_module(adapter_name(each));
  }
  const bool classifies = weights.contains(head + ".weight");
  std::vector<io::tensor_bytes> tensors;
  const auto add = [&](const std::string& name, const std::string& weight, bool vector) {
    const view<const T, 2> values = weights.at(weight).value();
    tensors.push_back(vector ? io::named_tensor(name, view<const T, 1>(values.data(), {values.size()}))
                             : io::named_tensor(name, values));
  };
  for (const auto& each : nn::encoder_sizes(config, has_pooler(weights)))
    add(text(classifies ? "bert." : "", each.name), each.name, is_vector(each.name));
  if (classifies)
    for (const char* part : {".weight", ".bias"}) add(text(nn::classifier_head, part), head + part, part[1] == 'b');
  io::write_safetensors(path, tensors, metadata);
}

}  // namespace hocket::peft

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in peft/instances.cpp
namespace hocket::peft {
HOCKET_PEFT_INSTANCE class merged_lora<float>;
HOCKET_PEFT_INSTANCE class merged_lora<double>;
HOCKET_PEFT_INSTANCE void write_merged<float>(const std::filesystem::path&, const combined&, const nn::encoder_config&,
                                              nn::parameter_set<float>&, const io::tensor_metadata&);
HOCKET_PEFT_INSTANCE void write_merged<double>(const std::filesystem::path&, const combined&, const nn::encoder_config&,
                                               nn::parameter_set<double>&, const io::tensor_metadata&);
}  // namespace hocket::peft
#endif
