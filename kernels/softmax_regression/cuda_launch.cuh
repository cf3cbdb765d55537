// Launchers of softmax regression: validate, choose the grid, start. They do not wait.
#pragma once

#include <cstddef>
#include <cstdint>

#include <hocket/core/cuda/checks.hpp>
#include <hocket/kernels/softmax_regression/cuda.cuh>

namespace hocket::kernels::softmax_regression::gpu {

inline std::size_t row_tiles(std::size_t rows) { return (rows + gradient_rows - 1) / gradient_rows; }

/// Workspace of one call, on the device: residuals (n, K), losses (n), parts (row_tiles(n), K (D + 1)).
struct device_workspace {
  view<double, 2> residuals;
  view<double, 1> losses;
  view<double, 2> parts;
};

/// loss (1) = sum_i c[i] (lse(z[i]) - z[i, label]) and its gradient by w (K, D + 1), for x (n, D), labels and row
/// weights c (n); the bias is w's last column. Labels are below K.
template <CudaDevice Device>
void value_and_gradient(const Device& device, view<const double, 2> x, view<const std::uint32_t, 1> labels,
                        view<const double, 1> row_weights, view<const double, 2> w, view<double, 1> loss,
                        view<double, 2> gradient, const device_workspace& work) {
  const std::size_t n = x.extent(0), features = x.extent(1), classes = w.extent(0), tiles = row_tiles(n);
  const std::size_t count = classes * (features + 1);
  require_on_device(device, "softmax_regression: x", x, x.extents());
  require_on_device(device, "softmax_regression: labels", labels, {n});
  require_on_device(device, "softmax_regression: row weights", row_weights, {n});
  require_on_device(device, "softmax_regression: w", w, {classes, features + 1});
  require_on_device(device, "softmax_regression: gradient", gradient, {classes, features + 1});
  require_on_device(device, "softmax_regression: loss", loss, {1});
  require_on_device(device, "softmax_regression: residuals", work.residuals, {n, classes});
  require_on_device(device, "softmax_regression: losses", work.losses, {n});
  require_on_device(device, "softmax_regression: parts", work.parts, {tiles, count});
  expects(classes >= 1, errc::unsupported_shape, "softmax_regression: there are no classes");
  const auto u = [](std::size_t v) { return static_cast<unsigned>(v); };
  if (n > 0) {
    launch(device, "hocket_softmaxregression_residuals_f64", warp_per_row(n, warps_per_block),
           &hocket_softmaxregression_residuals_f64, x.data(), labels.data(), row_weights.data(), w.data(),
           work.residuals.data(), work.losses.data(), u(n), u(features), u(classes));
    launch(device, "hocket_softmaxregression_gradient_f64",
           {{u(tiles), u(features / gradient_columns + 1), u((classes + gradient_classes - 1) / gradient_classes)},
            {gradient_columns, lines, 1},
            0},
           &hocket_softmaxregression_gradient_f64, x.data(), static_cast<const double*>(work.residuals.data()),
           work.parts.data(), u(n), u(features), u(classes));
  }
  launch(device, "hocket_softmaxregression_join_f64", {{u((count + 255) / 256), 1, 1}, {256, 1, 1}, 0},
         &hocket_softmaxregression_join_f64, static_cast<const double*>(work.parts.data()), gradient.data(), u(tiles),
         u(count));
  launch(device, "hocket_softmaxregression_loss_f64", {{1, 1, 1}, {256, 1, 1}, 0}, &hocket_softmaxregression_loss_f64,
         static_cast<const double*>(work.losses.data()), loss.data(), u(n));
}

}  // namespace hocket::kernels::softmax_regression::gpu
