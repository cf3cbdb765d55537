// BitFit: every bias is trained, those of the norms too, and the head (Ben Zaken, Goldberg, Ravfogel, "BitFit: Simple
// parameter-efficient fine-tuning for transformer-based masked language-models", 2022).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <hocket/peft/method.hpp>

namespace hocket::peft {

/// Trained, besides the head: L (7 D + F) + D numbers with F = intermediate_size (four of D in the products of
/// attention, F and D in the block behind it, two norms; one norm behind the embedding), and D of a pooler.
struct bitfit {
  static constexpr std::string_view method_name = "bitfit";

  template <Real T>
  void add_to(const nn::encoder_config&, nn::parameter_set<T>&, std::uint64_t) const {}
  template <Real T>
  std::vector<std::string> trained(nn::parameter_set<T>& weights) const {
    std::vector<std::string> patterns{"*.bias"};
    if (weights.contains(text(nn::classifier_head, ".weight")))
      patterns.push_back(text(nn::classifier_head, ".weight"));
    return patterns;
  }
  template <Real T>
  void join(additions<T>&) const {}
};
static_assert(Method<bitfit>);

}  // namespace hocket::peft
