// LoRA's terms inside the weights themselves: W + s B A. A merged model costs what the model costs, and the originals
// are kept, so that taking the terms out again gives back the bits that were there, however often.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <hocket/core/device.hpp>
#include <hocket/core/tensor.hpp>
#include <hocket/linalg/gemm.hpp>
#include <hocket/peft/lora.hpp>

namespace hocket::peft {

/// The weights of a model with one adapter merged, until unmerge(). Tapes of that model are recorded without the
/// adapter; the adapter's head is not merged. Of two on one model the later one is unmerged first.
template <Real T>
class merged_lora {
 public:
  merged_lora(const lora& method, const nn::encoder_config& config, nn::parameter_set<T>& weights,
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
  merged_lora(merged_lora&&) = default;
  merged_lora& operator=(merged_lora&&) = default;

  /// Puts the original bits back. A second call does nothing.
  void unmerge() {
    for (auto& [w, original] : kept_) std::copy(original.begin(), original.end(), w->writable().data());
    kept_.clear();
  }
  bool merged() const { return !kept_.empty(); }

 private:
  std::vector<std::pair<nn::parameter<T>*, tensor<T>>> kept_;
};

}  // namespace hocket::peft
