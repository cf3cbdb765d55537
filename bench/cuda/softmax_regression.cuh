// Softmax regression as one arm of four kernels, `residuals`: `n` rows, `features`, `classes`.
#pragma once

#include <hocket/kernels/softmax_regression/cuda_launch.cuh>
#include <hocket/kernels/softmax_regression/reference.hpp>

#include "bench/cuda/prepare.hpp"

namespace hocket::bench {

struct regression_case {
  std::size_t n, features, classes;
  double spread = 1;  ///< of the weights: large ones overflow an exponential without the maximum
};

template <CudaDevice Device>
ready prepare_softmax_regression(const Device& device, const regression_case& c) {
  namespace regression = kernels::softmax_regression;
  const std::size_t n = c.n, d = c.features, k = c.classes, tiles = regression::gpu::row_tiles(n);
  const auto x = normal_values<double>(n * d, 1), weights = normal_values<double>(n, 4);
  std::vector<double> w = normal_values<double>(k * (d + 1), 2), row_weights(n);
  for (double& each : w) each *= c.spread;
  std::vector<std::uint32_t> labels(n);
  for (std::size_t i = 0; i < n; ++i) {
    labels[i] = static_cast<std::uint32_t>(i * 7 % k);
    row_weights[i] = std::min(1.0, std::abs(weights[i]));
  }
  struct operands {
    device_buffer<double, Device> x, row_weights, w, loss, gradient, residuals, losses, parts;
    device_buffer<std::uint32_t, Device> labels;
  };
  const std::shared_ptr<operands> on(new operands{{device, "softmax_regression: x", x},
                                                  {device, "softmax_regression: row weights", row_weights},
                                                  {device, "softmax_regression: w", w},
                                                  {device, "softmax_regression: loss", 1},
                                                  {device, "softmax_regression: gradient", w.size()},
                                                  {device, "softmax_regression: residuals", n * k},
                                                  {device, "softmax_regression: losses", n},
                                                  {device, "softmax_regression: parts", tiles * w.size()},
                                                  {device, "softmax_regression: labels", labels}});
  ready made;
  made.run = [=] {
    regression::gpu::value_and_gradient(
        device, {std::as_const(on->x).data(), {n, d}}, {std::as_const(on->labels).data(), {n}},
        {std::as_const(on->row_weights).data(), {n}}, {std::as_const(on->w).data(), {k, d + 1}}, {on->loss.data(), {1}},
        {on->gradient.data(), {k, d + 1}},
        {{on->residuals.data(), {n, k}}, {on->losses.data(), {n}}, {on->parts.data(), {tiles, k * (d + 1)}}});
  };
  made.run();

  std::vector<double> wanted(w.size());
  const double loss = regression::reference({x.data(), {n, d}}, labels.data(), row_weights.data(),
                                            {w.data(), {k, d + 1}}, {wanted.data(), {k, d + 1}});
  const double largest = max_abs(x.data(), x.size());
  const double magnitude =
      std::max(1.0, largest) * (1 + max_abs(w.data(), w.size()) * largest * static_cast<double>(d + 1));
  const double bound = rounding<double>(static_cast<double>(n + d) * magnitude);  // the room's promise
  const std::vector<double> gradient = on->gradient.download();
  for (std::size_t i = 0; i < w.size(); ++i) made.check.add(std::abs(gradient[i] - wanted[i]), bound);
  made.check.add(std::abs(on->loss.download()[0] - loss), bound);
  made.timed_run = timed_on(device, made.run);
  made.written = [on] { return bytes_of(on->loss, on->gradient); };
  return made;
}

template <CudaDevice Device>
ready prepare_softmax_regression_arm(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  expects(kernel.variant == "residuals", errc::bad_option, "softmax_regression has no arm ", kernel.variant);
  return prepare_softmax_regression(device,
                                    {size_of(sizes, "n"), size_of(sizes, "features"), size_of(sizes, "classes"), 300});
}

}  // namespace hocket::bench
