// Methods chosen at run time, and several at the same time: prefix + LoRA, or two LoRA adapters whose terms are summed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <hocket/peft/bitfit.hpp>
#include <hocket/peft/full.hpp>
#include <hocket/peft/linear_probe.hpp>
#include <hocket/peft/lora.hpp>
#include <hocket/peft/method.hpp>
#include <hocket/peft/prefix.hpp>

namespace hocket::peft {

/// One of the methods.
using any_method = std::variant<lora, prefix, full, linear_probe, bitfit>;

inline std::string_view name_of(const any_method& method) {
  return std::visit([](const auto& m) { return m.method_name; }, method);
}

/// The name of an adapter; empty for methods that train the model itself.
inline std::string adapter_name(const any_method& method) {
  if (const lora* const m = std::get_if<lora>(&method)) return m->adapter;
  if (const prefix* const m = std::get_if<prefix>(&method)) return m->adapter;
  return {};
}

/// All of `methods`, in their order: combined(prefix{...}, lora{...}). Adapters of one name share a head; of different
/// names, the last one's head is used.
struct combined {
  static constexpr std::string_view method_name = "combined";
  std::vector<any_method> methods;

  combined() = default;
  template <Method... Methods>
  explicit combined(Methods... each) : methods{any_method(std::move(each))...} {}

  template <Real T>
  void add_to(const nn::encoder_config& config, nn::parameter_set<T>& weights, std::uint64_t seed) const {
    for (const auto& each : methods) std::visit([&](const auto& m) { m.add_to(config, weights, seed); }, each), ++seed;
  }
  template <Real T>
  std::vector<std::string> trained(nn::parameter_set<T>& weights) const {
    std::vector<std::string> all;
    for (const auto& each : methods)
      for (auto& pattern : std::visit([&](const auto& m) { return m.trained(weights); }, each))
        all.push_back(std::move(pattern));
    return all;
  }
  template <Real T>
  void join(additions<T>& into) const {
    for (const auto& each : methods) std::visit([&](const auto& m) { m.join(into); }, each);
  }
};
static_assert(Method<combined>);

}  // namespace hocket::peft
