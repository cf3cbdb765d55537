// Full fine-tuning: every weight of the model is trained.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <hocket/peft/method.hpp>

namespace hocket::peft {

struct full_options {
  bool embeddings = true;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("embeddings", self.embeddings, "train the tables of words, positions and types, and their norm, too");
  }
};

/// Trained: all; without the embeddings the encoder, the pooler and the head.
struct full {
  static constexpr std::string_view method_name = "full";
  full_options options;

  template <Real T>
  void add_to(const nn::encoder_config&, nn::parameter_set<T>&, std::uint64_t) const {}
  template <Real T>
  std::vector<std::string> trained(nn::parameter_set<T>& weights) const {
    if (options.embeddings) return {"*"};
    std::vector<std::string> names;
    for (const auto& each : weights)
      if (!each.name().starts_with("embeddings.")) names.push_back(each.name());
    return names;
  }
  template <Real T>
  void join(additions<T>&) const {}
};
static_assert(Method<full>);

}  // namespace hocket::peft
