// Launchers of the pointwise losses: validate, choose the grid, start. They do not wait.
#pragma once

#include <algorithm>
#include <cstddef>

#include <hocket/core/cuda/checks.hpp>
#include <hocket/kernels/pointwise_loss/cuda.cuh>

namespace hocket::kernels::pointwise_loss::gpu {

/// Numbers of workspace of `forward`.
inline std::size_t workspace(std::size_t n) {
  return std::min<std::size_t>((n + elements_per_block - 1) / elements_per_block, most_blocks);
}

namespace detail {

template <CudaDevice Device>
unsigned require_elements(const Device& device, view<const float, 2> x, view<const float, 2> t) {
  require_on_device(device, "pointwise_loss: x", x, x.extents());
  require_on_device(device, "pointwise_loss: target", t, x.extents());
  expects(x.size() < std::size_t{1} << 31, errc::unsupported_shape, "pointwise_loss: ", x.size(),
          " elements; at most 2^31");
  return static_cast<unsigned>(x.size());
}

}  // namespace detail

/// total (1) = the sum over all elements of the loss of x against t, both (rows, columns); `parts`
/// (workspace(x.size())) is workspace.
template <CudaDevice Device>
void forward(const Device& device, loss kind, view<const float, 2> x, view<const float, 2> t, view<double, 1> total,
             view<double, 1> parts) {
  const unsigned n = detail::require_elements(device, x, t);
  const auto blocks = static_cast<unsigned>(workspace(n));
  require_on_device(device, "pointwise_loss: total", total, {1});
  require_on_device(device, "pointwise_loss: workspace", parts, {blocks});
  if (n > 0)
    launch(device, "hocket_pointwiseloss_forward_f32", {{blocks, 1, 1}, {threads, 1, 1}, 0},
           &hocket_pointwiseloss_forward_f32, kind, x.data(), t.data(), parts.data(), n);
  launch(device, "hocket_pointwiseloss_total_f64", {{1, 1, 1}, {threads, 1, 1}, 0}, &hocket_pointwiseloss_total_f64,
         static_cast<const double*>(parts.data()), total.data(), blocks);
}

/// dx = scale slope(x, t), replaced or added to; with `of_target`, the gradient by t instead.
template <CudaDevice Device>
void backward(const Device& device, loss kind, view<const float, 2> x, view<const float, 2> t, float scale,
              bool of_target, bool add, view<float, 2> dx) {
  const unsigned n = detail::require_elements(device, x, t);
  require_on_device(device, "pointwise_loss: dx", dx, x.extents());
  if (n == 0) return;
  launch(device, "hocket_pointwiseloss_backward_f32", {{(n + threads - 1) / threads, 1, 1}, {threads, 1, 1}, 0},
         &hocket_pointwiseloss_backward_f32, kind, x.data(), t.data(), scale, of_target, add, dx.data(), n);
}

}  // namespace hocket::kernels::pointwise_loss::gpu
