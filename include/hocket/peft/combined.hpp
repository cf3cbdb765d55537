// Methods at the same time: prefix + LoRA, or two LoRA adapters whose terms are summed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <hocket/peft/method.hpp>

namespace hocket::peft {

/// All of `methods`, in their order: combined{lora{...}, prefix{...}}. Adapters of one name share a head; of different
/// names, the last one's head is used.
template <Method... Methods>
struct combined {
  static constexpr std::string_view method_name = "combined";
  std::tuple<Methods...> methods;

  explicit combined(Methods... each) : methods(std::move(each)...) {}

  template <Real T>
  void add_to(const nn::encoder_config& config, nn::parameter_set<T>& weights, std::uint64_t seed) const {
    std::apply([&](const auto&... each) { (each.add_to(config, weights, seed++), ...); }, methods);
  }
  template <Real T>
  std::vector<std::string> trained(nn::parameter_set<T>& weights) const {
    std::vector<std::string> all;
    const auto take = [&](const std::vector<std::string>& patterns) {
      all.insert(all.end(), patterns.begin(), patterns.end());
    };
    std::apply([&](const auto&... each) { (take(each.trained(weights)), ...); }, methods);
    return all;
  }
  template <Real T>
  void join(additions<T>& into) const {
    std::apply([&](const auto&... each) { (each.join(into), ...); }, methods);
  }
};

}  // namespace hocket::peft
