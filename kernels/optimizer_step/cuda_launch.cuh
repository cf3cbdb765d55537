// Launchers of the optimiser's kernels: validate, choose the grid, start. They do not wait.
#pragma once

#include <algorithm>
#include <cstddef>

#include <hocket/core/cuda/checks.hpp>
#include <hocket/kernels/optimizer_step/cuda.cuh>

namespace hocket::kernels::optimizer_step::gpu {

/// Numbers of workspace of `squares`.
inline std::size_t workspace(std::size_t n) {
  return std::min<std::size_t>((n + elements_per_block - 1) / elements_per_block, most_blocks);
}

namespace detail {

inline launch_shape by_element(std::size_t n) {
  return {{static_cast<unsigned>((n + threads - 1) / threads), 1, 1}, {threads, 1, 1}, 0};
}

}  // namespace detail

/// p, m, v (n) updated from g (n); g becomes 0 where `clear`.
template <CudaDevice Device>
void adam(const Device& device, const adam_settings& s, view<float, 1> p, view<float, 1> g, view<float, 1> m,
          view<float, 1> v, bool clear) {
  const std::size_t n = p.extent(0);
  require_on_device(device, "adam: p", p, {n});
  require_on_device(device, "adam: g", g, {n});
  require_on_device(device, "adam: m", m, {n});
  require_on_device(device, "adam: v", v, {n});
  expects(s.step >= 1, errc::bad_option, "adam: step ", s.step, "; steps are counted from 1");
  if (n == 0) return;
  launch(device, "hocket_optimizerstep_adam_f32", detail::by_element(n), &hocket_optimizerstep_adam_f32,
         constants_of<float>(s), p.data(), g.data(), m.data(), v.data(), clear, static_cast<unsigned>(n));
}

/// p and buffer (n; empty without momentum) updated from g (n); g becomes 0 where `clear`.
template <CudaDevice Device>
void sgd(const Device& device, const sgd_settings& s, view<float, 1> p, view<float, 1> g, view<float, 1> buffer,
         bool clear) {
  const std::size_t n = p.extent(0);
  require_on_device(device, "sgd: p", p, {n});
  require_on_device(device, "sgd: g", g, {n});
  if (s.momentum != 0) require_on_device(device, "sgd: buffer", buffer, {n});
  if (n == 0) return;
  launch(device, "hocket_optimizerstep_sgd_f32", detail::by_element(n), &hocket_optimizerstep_sgd_f32,
         constants_of<float>(s), p.data(), g.data(), s.momentum != 0 ? buffer.data() : nullptr, clear,
         static_cast<unsigned>(n));
}

/// total (1) = the sum of squares of g (n); `parts` (workspace(n)) is workspace.
template <CudaDevice Device>
void squares(const Device& device, view<const float, 1> g, view<double, 1> total, view<double, 1> parts) {
  const std::size_t n = g.extent(0);
  const auto blocks = static_cast<unsigned>(workspace(n));
  require_on_device(device, "squares: g", g, {n});
  require_on_device(device, "squares: total", total, {1});
  require_on_device(device, "squares: workspace", parts, {blocks});
  if (n > 0)
    launch(device, "hocket_optimizerstep_squares_f32", {{blocks, 1, 1}, {threads, 1, 1}, 0},
           &hocket_optimizerstep_squares_f32, g.data(), parts.data(), static_cast<unsigned>(n));
  launch(device, "hocket_optimizerstep_total_f64", {{1, 1, 1}, {threads, 1, 1}, 0}, &hocket_optimizerstep_total_f64,
         static_cast<const double*>(parts.data()), total.data(), blocks);
}

}  // namespace hocket::kernels::optimizer_step::gpu
