// SGD, Adam and AdamW over the trainable parameters of a model. A step is one pass over each weight, its gradient and
// its moments; it clears the gradient, allocates nothing, and gives the same bits for any number of threads.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/core/device.hpp>
#include <hocket/core/options.hpp>
#include <hocket/kernels/optimizer_step/cpu.hpp>
#include <hocket/nn/parameter.hpp>

namespace hocket::nn {

enum class update_rule { sgd, adam, adamw };

}  // namespace hocket::nn

template <>
struct hocket::enum_names<hocket::nn::update_rule> {
  using enum hocket::nn::update_rule;
  static constexpr std::array values = {std::pair{sgd, std::string_view{"sgd"}},
                                        std::pair{adam, std::string_view{"adam"}},
                                        std::pair{adamw, std::string_view{"adamw"}}};
};

namespace hocket::nn {

struct optimizer_options {
  update_rule rule = update_rule::adamw;
  double rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double decay = 0.01;
  double momentum = 0;
  bool nesterov = false;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("rule", self.rule, "sgd, adam or adamw");
    visit("rate", self.rate, "learning rate, before the schedule's factor");
    visit("beta1", self.beta1, "of Adam: memory of the mean gradient");
    visit("beta2", self.beta2, "of Adam: memory of the mean square");
    visit("eps", self.eps, "of Adam: added to the root of the mean square");
    visit("decay", self.decay, "weight decay: adamw takes it from the weight, sgd and adam add it to the gradient");
    visit("momentum", self.momentum, "of SGD");
    visit("nesterov", self.nesterov, "of SGD with momentum");
  }
};

/// What a gradient of this norm is multiplied with so that it is at most `most` long, as PyTorch's clip_grad_norm_.
inline double clip_factor(double norm, double most) {
  expects(most > 0, errc::bad_option, "clipping to a norm of ", most, "; it must be positive");
  const double factor = most / (norm + 1e-6);
  return factor < 1 ? factor : 1;
}

template <Real T>
class optimizer {
 public:
  /// One parameter with its own decay and its rate relative to the others'.
  struct slot {
    parameter<T>* weight;
    double decay, rate_factor;
    buffer<T> first, second;            ///< moments; SGD without momentum has none, with it the first only
    buffer<std::uint8_t> resting = {};  ///< of Adam: which runs of elements have zero moments (kernels/optimizer_step)
  };

  explicit optimizer(const optimizer_options& options = {}, const cpu& device = {})
      : options_(options), device_(device) {
    require_threads(device);
    const auto require = [](bool good, std::string_view what, double value) {
      expects(good, errc::bad_option, "optimizer: ", what, " is ", value);
    };
    require(options.rate >= 0, "rate", options.rate);
    require(options.beta1 >= 0 && options.beta1 < 1, "beta1", options.beta1);
    require(options.beta2 >= 0 && options.beta2 < 1, "beta2", options.beta2);
    require(options.eps >= 0, "eps", options.eps);
    require(options.decay >= 0, "decay", options.decay);
    require(options.momentum >= 0, "momentum", options.momentum);
    expects(!options.nesterov || options.momentum > 0, errc::bad_option, "optimizer: nesterov without momentum");
  }

  /// Throws bad_option if it is frozen or was added before.
  void add(parameter<T>& weight, double decay, double rate_factor = 1) {
    expects(weight.trainable(), errc::bad_option, "optimizer: parameter ", weight.name(), " is frozen");
    for (const slot& each : slots_)
      expects(each.weight != &weight, errc::bad_option, "optimizer: parameter ", weight.name(), " was added twice");
    slot one{&weight, decay, rate_factor, {}, {}};
    const bool adam = options_.rule != update_rule::sgd;
    if (adam || options_.momentum > 0) one.first = buffer<T>(weight.size());
    if (adam) one.second = buffer<T>(weight.size());
    if (adam) one.resting = buffer<std::uint8_t>(kernels::optimizer_step::resting_runs(weight.size()));
    weight.gradient();  // takes its memory now
    const std::size_t tiles = kernels::optimizer_step::tiles_of(weight.size());
    if (tiles > work_.size()) work_ = buffer<double>(tiles);
    slots_.push_back(std::move(one));
  }
  /// All trainable parameters; biases and the gains of norms are not decayed, as is usual for transformers.
  void add(parameter_set<T>& all) {
    for (auto& each : all)
      if (each.trainable())
        add(each, matches("*.bias", each.name()) || matches("*Norm.weight", each.name()) ? 0 : options_.decay);
  }

  /// Length of all gradients together, summed in f64.
  double gradient_norm() {
    double sum = 0;
    for (slot& each : slots_)
      sum += kernels::optimizer_step::squares<T>(device_, each.weight->size(), each.weight->gradient().data(),
                                                 work_.data());
    return std::sqrt(sum);
  }

  /// Moves every weight by its gradient times `gradient_scale`, at rate x `rate_factor`, and clears the gradients.
  void step(double rate_factor = 1, double gradient_scale = 1) {
    ++steps_;
    for (slot& each : slots_) {
      parameter<T>& w = *each.weight;
      T* const p = w.writable().data();
      T* const g = w.gradient().data();
      const double rate = options_.rate * rate_factor * each.rate_factor;
      if (options_.rule == update_rule::sgd)
        kernels::optimizer_step::sgd<T>(
            device_, {rate, options_.momentum, each.decay, gradient_scale, options_.nesterov, steps_ == 1}, w.size(), p,
            g, each.first.empty() ? nullptr : each.first.data(), true);
      else
        adam(each, rate, gradient_scale, p, g);
    }
  }

  const optimizer_options& options() const { return options_; }
  std::size_t steps() const { return steps_; }
  const std::vector<slot>& slots() const { return slots_; }
  /// For who loads a checkpoint and changes moments.
  std::vector<slot>& changing_slots() {
    for (slot& each : slots_) std::fill(each.resting.begin(), each.resting.end(), std::uint8_t{0});
    return slots_;
  }
  void resume_at(std::size_t steps) { steps_ = steps; }

 private:
  void adam(slot& each, double rate, double gradient_scale, T* p, T* g) {
    const kernels::optimizer_step::adam_settings how{rate,
                                                     options_.beta1,
                                                     options_.beta2,
                                                     options_.eps,
                                                     each.decay,
                                                     gradient_scale,
                                                     options_.rule == update_rule::adamw,
                                                     steps_};
    const bool may_rest = options_.eps > 0 && (options_.rule == update_rule::adamw || each.decay == 0);
    T *const m = each.first.data(), *const v = each.second.data();
    const std::size_t n = each.weight->size();
    if (may_rest)
      kernels::optimizer_step::adam<T>(device_, how, n, p, g, m, v, true, each.resting.data());
    else
      kernels::optimizer_step::adam<T>(device_, how, n, p, g, m, v, true);
  }

  optimizer_options options_;
  cpu device_;
  std::vector<slot> slots_;
  buffer<double> work_;
  std::size_t steps_ = 0;
};

}  // namespace hocket::nn

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in nn/instances.cpp
namespace hocket::nn {
HOCKET_NN_INSTANCE class optimizer<float>;
HOCKET_NN_INSTANCE class optimizer<double>;
}  // namespace hocket::nn
#endif
