// The optimiser's kernels as arms: `n` weights. The norm is one arm: squares of blocks, then their sum.
#pragma once

#include <hocket/kernels/optimizer_step/cuda_launch.cuh>
#include <hocket/kernels/optimizer_step/reference.hpp>

#include "bench/cuda/prepare.hpp"

namespace hocket::bench {

/// `rounds` steps with new gradients; `clear` in the last one.
struct optimizer_case {
  std::size_t n;
  kernels::optimizer_step::adam_settings adam = {};
  kernels::optimizer_step::sgd_settings sgd = {};
  std::size_t rounds = 4;
};

/// Weights, gradients and up to two moments.
template <CudaDevice Device>
struct optimizer_operands {
  optimizer_operands(const Device& device, std::size_t n)
      : p(device, "optimizer: p", stored_values<float>(n, 1)),
        g(device, "optimizer: g", n),
        m(device, "optimizer: m", n),
        v(device, "optimizer: v", n) {
    m.fill_zero();
    v.fill_zero();
  }
  device_buffer<float, Device> p, g, m, v;
};

/// Adam or SGD: `rounds` steps against the definitions in f64; what is timed is one step more.
template <CudaDevice Device>
ready prepare_optimizer(const Device& device, const optimizer_case& c, bool sgd) {
  namespace steps = kernels::optimizer_step;
  const shape<1> all{c.n};
  const auto on = std::make_shared<optimizer_operands<Device>>(device, c.n);
  const auto start = stored_values<float>(c.n, 1);
  std::vector<double> p(start.begin(), start.end()), m(c.n), v(c.n);
  const auto step = [=](std::size_t t, bool clear) {
    steps::adam_settings adam = c.adam;
    steps::sgd_settings momentum = c.sgd;
    adam.step = t;
    momentum.first = t == 1;
    if (sgd)
      steps::gpu::sgd(device, momentum, {on->p.data(), all}, {on->g.data(), all}, {on->m.data(), all}, clear);
    else
      steps::gpu::adam(device, adam, {on->p.data(), all}, {on->g.data(), all}, {on->m.data(), all}, {on->v.data(), all},
                       clear);
  };
  ready made;
  for (std::size_t t = 1; t <= c.rounds; ++t) {
    const auto g = stored_values<float>(c.n, 10 + t);
    on->g.upload(g.data(), g.size());
    step(t, t == c.rounds);
    steps::adam_settings adam = c.adam;
    steps::sgd_settings momentum = c.sgd;
    adam.step = t;
    momentum.first = t == 1;
    if (sgd)
      steps::reference::sgd<float>(momentum, c.n, g.data(), p.data(), m.data());
    else
      steps::reference::adam<float>(adam, c.n, g.data(), p.data(), m.data(), v.data());
    const std::vector<float> left = on->g.download();
    for (std::size_t i = 0; i < c.n; ++i)  // cleared when it was asked for, kept when not
      made.check.add(left[i] == (t == c.rounds ? 0.0f : g[i]) ? 0 : 1, 0);
  }
  // As the CPU's arm: each step adds its own handful of roundings of the weight and of its change.
  const double units = (sgd ? 4.0 : 10.0) * static_cast<double>(c.rounds);
  const auto compare_with = [&](const std::vector<float>& ours, const std::vector<double>& wanted) {
    for (std::size_t i = 0; i < c.n; ++i)
      made.check.add(std::abs(static_cast<double>(ours[i]) - wanted[i]),
                     rounding<float>(units * (std::abs(wanted[i]) + 1)));
  };
  compare_with(on->p.download(), p);
  if (!sgd || c.sgd.momentum != 0) compare_with(on->m.download(), m);
  if (!sgd) compare_with(on->v.download(), v);
  made.run = [=] { step(c.rounds + 1, true); };
  made.timed_run = timed_on(device, made.run);
  made.written = [on] { return bytes_of(on->p, on->m, on->v); };
  return made;
}

template <CudaDevice Device>
ready prepare_squares(const Device& device, std::size_t n) {
  namespace steps = kernels::optimizer_step;
  const auto g = stored_values<float>(n, 5, 3);
  struct operands {
    device_buffer<float, Device> g;
    device_buffer<double, Device> total, parts;
  };
  const std::size_t work = steps::gpu::workspace(n);
  const std::shared_ptr<operands> on(
      new operands{{device, "squares: g", g}, {device, "squares: total", 1}, {device, "squares: workspace", work}});
  ready made;
  made.run = [=] {
    steps::gpu::squares(device, {std::as_const(on->g).data(), {n}}, {on->total.data(), {1}},
                        {on->parts.data(), {work}});
  };
  made.run();
  long double sum = 0;
  for (const float x : g) sum += static_cast<long double>(x) * static_cast<long double>(x);
  made.check.add(std::abs(static_cast<double>(static_cast<long double>(on->total.download()[0]) - sum)),
                 rounding<double>(static_cast<double>(n) / 2 * static_cast<double>(sum)));
  made.timed_run = timed_on(device, made.run);
  made.written = [on] { return bytes_of(on->total); };
  return made;
}

template <CudaDevice Device>
ready prepare_optimizer_step(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  const std::size_t n = size_of(sizes, "n");
  if (kernel.variant == "squares") return prepare_squares(device, n);
  expects(kernel.variant == "adam" || kernel.variant == "sgd", errc::bad_option, "optimizer_step has no arm ",
          kernel.variant);
  return prepare_optimizer(device, {n, {0.01, 0.9, 0.99, 1e-6, 0.1, 0.5, true}, {0.1, 0.9, 0.1, 0.5, true}},
                           kernel.variant == "sgd");
}

}  // namespace hocket::bench
