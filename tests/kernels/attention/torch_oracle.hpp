// The stored inputs, reference and peers of PyTorch's scaled_dot_product_attention (tests/oracles/attention/make.py).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <hocket/core/tolerance.hpp>
#include <hocket/io/safetensors.hpp>
#include <hocket/kernels/attention/shape.hpp>

namespace attention_test {

using namespace hocket;
namespace attention = kernels::attention;

inline const std::vector<std::string> torch_cases = {"plain",  "across",        "causal",  "bias",   "bias_across",
                                                     "window", "causal_window", "grouped", "prefix", "everything"};

/// One case; tensors are (B, H, T, D), a prefix (H, T, D), the bias (H, queries, keys).
class torch_case {
 public:
  explicit torch_case(const std::string& name)
      : file_(std::filesystem::path(HOCKET_SOURCE_DIR) / "tests/oracles/attention/torch.safetensors"), name_(name) {
    const auto facts = file_.copy<std::int32_t>(name + ".facts");
    const auto at = [&](std::size_t i) { return static_cast<std::size_t>(facts.data()[i]); };
    s = {at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7) != 0, at(8), attention::usual_scale(at(5))};
  }

  bool biased() const { return file_.contains(name_ + ".bias"); }
  /// An input, exact in bf16; empty where the case has none.
  std::vector<float> given(const std::string& what) const {
    const std::string name = name_ + "." + what;
    if (!file_.contains(name)) return {};
    const auto stored = file_.copy<float>(name);
    return {stored.begin(), stored.end()};
  }
  /// `kind`: f64, the reference; f32, bf16, peers.
  std::vector<double> result(const std::string& kind, const std::string& what) const {
    const std::string name = kind + "." + name_ + "." + what;
    if (!file_.contains(name)) return {};
    const auto stored = file_.copy_as<double>(name);
    return {stored.begin(), stored.end()};
  }
  /// `ours` in the oracle's order, by the 2x rule against the peer of `kind`; gradients may be 3x off, their floor is
  /// `largest`, by default the largest of this tensor.
  template <class T>
  comparison judge(const std::vector<T>& ours, const std::string& kind, const std::string& what, double epsilon) const {
    const auto reference = result("f64", what), peer = result(kind, what);
    const double error = max_abs_difference(peer.data(), reference.data(), reference.size()),
                 magnitude = max_abs(reference.data(), reference.size());
    comparison outcome;
    if (ours.size() != reference.size()) outcome.add(1, 0);
    for (std::size_t i = 0; outcome && i < reference.size(); ++i)
      outcome.add(std::abs(static_cast<double>(ours[i]) - reference[i]),
                  std::max((what == "out" ? 2 : 3) * error, epsilon * magnitude));
    return outcome;
  }

  attention::shape s;

 private:
  io::safetensors_file file_;
  std::string name_;
};

}  // namespace attention_test
