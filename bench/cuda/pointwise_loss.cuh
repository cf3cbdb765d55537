// The pointwise losses as arms: `rows`, `columns`, `kind` (the loss's number). The forward pass is one arm: sums of
// blocks, then theirs.
#pragma once

#include <hocket/core/arm.hpp>
#include <hocket/kernels/pointwise_loss/cuda_launch.cuh>
#include <hocket/kernels/pointwise_loss/reference.hpp>

#include "bench/cuda/prepare.hpp"

namespace hocket::bench {

struct pointwise_case {
  shape<2> size;
  kernels::pointwise_loss::loss kind;
  float spread = 30;
  bool of_target = false, add = false;  ///< of the backward pass
};

template <CudaDevice Device>
ready prepare_pointwise(const Device& device, const pointwise_case& c, pass which) {
  namespace pointwise = kernels::pointwise_loss;
  const std::size_t n = c.size[0] * c.size[1], work = pointwise::gpu::workspace(n);
  const auto x = stored_values<float>(n, 3, c.spread), before = stored_values<float>(n, 5);
  std::vector<float> t = stored_values<float>(n, 4);
  for (float& each : t) each = each > 0 ? 0.75f : 0.25f;
  struct operands {
    device_buffer<float, Device> x, t, dx;
    device_buffer<double, Device> total, parts;
  };
  const std::shared_ptr<operands> on(new operands{{device, "pointwise_loss: x", x},
                                                  {device, "pointwise_loss: target", t},
                                                  {device, "pointwise_loss: dx", before},
                                                  {device, "pointwise_loss: total", 1},
                                                  {device, "pointwise_loss: workspace", work}});
  constexpr float scale = 0.25f;
  const bool first = which == pass::forward;
  ready made;
  made.run = [=] {
    const view<const float, 2> in(on->x.data(), c.size), target(on->t.data(), c.size);
    if (first)
      pointwise::gpu::forward(device, c.kind, in, target, {on->total.data(), {1}}, {on->parts.data(), {work}});
    else
      pointwise::gpu::backward(device, c.kind, in, target, scale, c.of_target, c.add, {on->dx.data(), c.size});
  };
  made.run();

  constexpr double units = 4;  // of (1 + |x| + |t|)^2, or of a slope: each of a handful of f32 operations rounds once
  double magnitude = 0;
  const std::vector<float> dx = on->dx.download();
  for (std::size_t i = 0; i < n; ++i) {
    const double size = 1 + std::abs(static_cast<double>(x[i])) + static_cast<double>(t[i]);
    magnitude += size * size;
    if (first) continue;
    const double by_x = pointwise::reference::slope_of<float>(c.kind, x[i], t[i]);
    const double slope = !c.of_target ? by_x : c.kind == pointwise::loss::squared ? -by_x : -static_cast<double>(x[i]);
    const double was = c.add ? static_cast<double>(before[i]) : 0;
    made.check.add(std::abs(static_cast<double>(dx[i]) - was - static_cast<double>(scale) * slope),
                   rounding<float>(units * static_cast<double>(scale) * size + std::abs(was)));
  }
  if (first)
    made.check.add(std::abs(on->total.download()[0] -
                            pointwise::reference::forward<float>(c.kind, {x.data(), c.size}, {t.data(), c.size})),
                   rounding<float>(units * magnitude));
  made.timed_run = timed_on(device, made.run);
  made.written = [=] { return first ? bytes_of(on->total) : bytes_of(on->dx); };
  return made;
}

template <CudaDevice Device>
ready prepare_pointwise_arm(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  const bool forward = kernel.variant == "forward";
  expects(forward || kernel.variant == "backward", errc::bad_option, "pointwise_loss has no arm ", kernel.variant);
  const pointwise_case c{{size_of(sizes, "rows"), size_of(sizes, "columns")},
                         static_cast<kernels::pointwise_loss::loss>(size_of(sizes, "kind"))};
  return prepare_pointwise(device, c, forward ? pass::forward : pass::backward);
}

}  // namespace hocket::bench
