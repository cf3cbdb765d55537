// Several adapters in one batch: item i is served by adapter number of_items[i], or by none (0). The products of the
// model are made once for all; each adapter's narrow products for its own rows.
//
//   const auto of_items = t.indices("adapters", batch.items(), 3);
//   peft::additions<float> into(t, config, weights);
//   peft::join_mixed(into, of_items, batch.rows(), one, two);   // lora values; items numbered 1 and 2
//   const auto logits = model.record(t, batch, {}, into.hooks()).logits;
//   t.compile(nn::cross_entropy(t, logits, targets));           // targets: balanced_targets
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <hocket/core/tensor.hpp>
#include <hocket/peft/method.hpp>

namespace hocket::peft {

/// `methods` join for the items numbered 1, 2, ... in their order. Throws bad_option for a prefix: it would stand
/// before every item.
template <Real T, Method... Methods>
void join_mixed(additions<T>& into, nn::index_input of_items, nn::sequences batch, const Methods&... methods) {
  into.mix(of_items, batch);
  std::uint32_t number = 0;
  ((into.serve(++number), methods.join(into)), ...);
}

/// Targets (items, classes) for cross_entropy with which the loss is the sum over adapters of the mean over each one's
/// items: every adapter then trains as it would on its items alone. Row i is the smoothed label times items / (items of
/// its adapter); items of no adapter (0) weigh nothing.
template <Real T>
void balanced_targets(std::span<const std::uint32_t> labels, std::span<const std::uint32_t> of_items, double smoothing,
                      const view<T, 2>& targets) {
  const std::size_t items = labels.size(), classes = targets.extent(1);
  expects(of_items.size() == items && targets.extent(0) == items, errc::unsupported_shape, "balanced_targets: ", items,
          " labels, ", of_items.size(), " adapters, ", targets.extent(0), " rows; they must be equal");
  for (std::size_t i = 0; i < items; ++i) {
    expects(labels[i] < classes, errc::bad_value, "balanced_targets: label ", labels[i], " of item ", i,
            "; it must be less than ", classes);
    std::size_t same = 0;
    for (const std::uint32_t other : of_items) same += other == of_items[i];
    const double weight = of_items[i] == 0 ? 0 : static_cast<double>(items) / static_cast<double>(same);
    for (std::size_t k = 0; k < classes; ++k)
      targets(i, k) =
          static_cast<T>(weight * (smoothing / static_cast<double>(classes) + (labels[i] == k ? 1 - smoothing : 0.0)));
  }
}

}  // namespace hocket::peft
