// A linear probe: the encoder is frozen, the head alone is trained (Alain, Bengio, "Understanding intermediate layers
// using linear classifier probes", 2016). What is left of a method when everything else is taken away.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <hocket/peft/method.hpp>

namespace hocket::peft {

/// Trained: labels x (D + 1) numbers.
struct linear_probe {
  static constexpr std::string_view method_name = "linear_probe";

  template <Real T>
  void add_to(const nn::encoder_config&, nn::parameter_set<T>&, std::uint64_t) const {}
  template <Real T>
  std::vector<std::string> trained(nn::parameter_set<T>&) const {
    return {text(nn::classifier_head, ".weight"), text(nn::classifier_head, ".bias")};
  }
  template <Real T>
  void join(additions<T>&) const {}
};
static_assert(Method<linear_probe>);

}  // namespace hocket::peft
