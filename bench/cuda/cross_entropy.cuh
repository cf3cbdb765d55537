// The cross-entropy kernels as arms: `rows`, `classes`, `smoothing` in percent, `soft` 1 for soft targets.
#pragma once

#include <hocket/core/arm.hpp>
#include <hocket/kernels/cross_entropy/cuda_launch.cuh>
#include <hocket/kernels/cross_entropy/reference.hpp>

#include "bench/cuda/prepare.hpp"

namespace hocket::bench {

/// Labels with smoothing, or soft targets that do not sum to 1; logits of a spread.
struct cross_entropy_case {
  kernels::cross_entropy::shape size;
  float smoothing = 0;
  bool soft = false;
  float spread = 1;
};

template <CudaDevice Device>
ready prepare_cross_entropy(const Device& device, const cross_entropy_case& c, pass which, bool add = false) {
  namespace cross_entropy = kernels::cross_entropy;
  const std::size_t rows = c.size.rows, classes = c.size.classes, n = rows * classes;
  const shape<2> size{rows, classes};
  const auto z = stored_values<float>(n, 4, c.spread), before = stored_values<float>(n, 5);
  std::vector<float> q = stored_values<float>(n, 6);
  for (float& each : q) each = std::abs(each) / static_cast<float>(classes);
  philox random(7);
  std::vector<std::uint32_t> labels(rows);
  for (std::size_t r = 0; r < rows; ++r) {
    const auto drawn = static_cast<std::uint32_t>(random.next_below(classes));
    labels[r] = r % 7 == 3 ? cross_entropy::ignored : drawn;
  }
  struct operands {
    device_buffer<float, Device> z, soft, loss, kept, dz;
    device_buffer<std::uint32_t, Device> labels;
  };
  const std::shared_ptr<operands> on(new operands{{device, "cross_entropy: z", z},
                                                  {device, "cross_entropy: soft targets", q},
                                                  {device, "cross_entropy: loss", rows},
                                                  {device, "cross_entropy: kept", 2 * rows},
                                                  {device, "cross_entropy: dz", before},
                                                  {device, "cross_entropy: labels", labels}});
  cross_entropy::gpu::device_targets goals;
  cross_entropy::targets<float> given;
  if (c.soft) {
    goals.soft = {std::as_const(on->soft).data(), size};
    given.soft = {q.data(), size};
  } else {
    goals.labels = {std::as_const(on->labels).data(), {rows}};
    given.labels = labels;
    goals.smoothing = given.smoothing = c.smoothing;
  }
  constexpr float scale = 0.5f;
  const auto forward = [=] {
    cross_entropy::gpu::forward(device, {std::as_const(on->z).data(), size}, goals, {on->loss.data(), {rows}},
                                {on->kept.data(), {rows, 2}});
  };
  const auto backward = [=] {
    cross_entropy::gpu::backward(device, {std::as_const(on->z).data(), size}, goals,
                                 {std::as_const(on->kept).data(), {rows, 2}}, scale, add, {on->dz.data(), size});
  };
  const bool first = which == pass::forward;
  forward();
  if (!first) backward();

  const view<const float, 2> logits(z.data(), size);
  std::vector<double> loss(rows), dz(n);
  cross_entropy::reference::forward<float>(logits, given, {loss.data(), {rows}});
  cross_entropy::reference::backward<float>(logits, given, scale, {dz.data(), size});
  const std::vector<float> our_loss = on->loss.download(), our_dz = on->dz.download();
  const double units = cross_entropy::gpu::promise(c.size);
  ready made;
  for (std::size_t r = 0; r < rows; ++r) {
    double largest = 0, total = c.soft ? 0 : 1;
    for (std::size_t k = 0; k < classes; ++k) {
      largest = std::max(largest, std::abs(static_cast<double>(logits(r, k))));
      if (c.soft) total += static_cast<double>(q[r * classes + k]);
    }
    const double magnitude = (1 + largest) * total;
    if (first)
      made.check.add(std::abs(static_cast<double>(our_loss[r]) - loss[r]), rounding<float>(units * magnitude));
    else
      for (std::size_t i = r * classes; i < (r + 1) * classes; ++i) {
        const double was = add ? static_cast<double>(before[i]) : 0;
        made.check.add(std::abs(static_cast<double>(our_dz[i]) - was - dz[i]),
                       rounding<float>(units * magnitude * static_cast<double>(scale) + std::abs(was)));
      }
  }
  made.run = first ? std::function<void()>(forward) : backward;
  made.timed_run = timed_on(device, made.run);
  made.written = [=] { return first ? bytes_of(on->loss, on->kept) : bytes_of(on->dz); };
  return made;
}

template <CudaDevice Device>
ready prepare_cross_entropy_arm(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  const bool forward = kernel.variant == "forward";
  expects(forward || kernel.variant == "backward", errc::bad_option, "cross_entropy has no arm ", kernel.variant);
  const cross_entropy_case c{{size_of(sizes, "rows"), size_of(sizes, "classes")},
                             static_cast<float>(size_of(sizes, "smoothing")) / 100,
                             size_of(sizes, "soft") == 1,
                             1000};
  return prepare_cross_entropy(device, c, forward ? pass::forward : pass::backward);
}

}  // namespace hocket::bench
