// The norm kernels as arms: `rows`, `columns`. The backward pass is one arm: dx, then the gradients of gain and bias.
#pragma once

#include <hocket/kernels/layernorm/cuda_launch.cuh>
#include <hocket/kernels/layernorm/reference.hpp>

#include "bench/cuda/prepare.hpp"

namespace hocket::bench {

/// Everything that the two passes read and write.
template <class T, CudaDevice Device>
struct norm_operands {
  norm_operands(const Device& device, const std::vector<T>& x_values, const std::vector<T>& dy_values,
                const std::vector<float>& gain_values, const std::vector<float>& bias_values, std::size_t rows,
                std::size_t columns)
      : x(device, "norm: x", x_values),
        dy(device, "norm: dy", dy_values),
        y(device, "norm: y", rows * columns),
        dx(device, "norm: dx", rows * columns),
        gain(device, "norm: gain", gain_values),
        bias(device, "norm: bias", bias_values),
        mean(device, "norm: mean", rows),
        inverse_sd(device, "norm: inverse_sd", rows),
        dgain(device, "norm: dgain", columns),
        dbias(device, "norm: dbias", columns),
        work(device, "norm: workspace", kernels::layernorm::gpu::workspace({rows, columns})) {}
  device_buffer<T, Device> x, dy, y, dx;
  device_buffer<float, Device> gain, bias, mean, inverse_sd, dgain, dbias, work;
};

template <class T, CudaDevice Device>
ready prepare_layernorm_of(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  namespace layernorm = kernels::layernorm;
  using layernorm::norm;
  const std::size_t rows = size_of(sizes, "rows"), columns = size_of(sizes, "columns");
  const shape<2> size{rows, columns};
  const norm kind = kernel.variant.starts_with("rmsnorm_") ? norm::rms : norm::layer;
  const bool backward = kernel.variant.ends_with("backward");
  expects(backward || kernel.variant.ends_with("forward"), errc::bad_option, "layernorm has no arm ", kernel.variant);
  constexpr float eps = 1e-5f;

  const auto x = stored_values<T>(rows * columns, 1, 1, 0.5f), dy = stored_values<T>(rows * columns, 2);
  const auto gain = stored_values<float>(columns, 3, 1, 1), bias = stored_values<float>(columns, 4);
  const auto with = std::make_shared<norm_operands<T, Device>>(device, x, dy, gain, bias, rows, columns);
  const auto run_forward = [=] {
    layernorm::gpu::forward<Device, T>(device, kind, {with->x.data(), size}, {with->gain.data(), {columns}},
                                       {with->bias.data(), {columns}}, eps, {with->y.data(), size},
                                       {{with->mean.data(), {rows}}, {with->inverse_sd.data(), {rows}}});
  };
  const auto run_backward = [=] {
    layernorm::gpu::backward<Device, T>(
        device, kind, {with->x.data(), size}, {with->gain.data(), {columns}}, {with->dy.data(), size},
        {{with->mean.data(), {rows}}, {with->inverse_sd.data(), {rows}}}, {with->dx.data(), size},
        {with->dgain.data(), {columns}}, {with->dbias.data(), {columns}}, {with->work.data(), {with->work.size()}});
  };
  run_forward();
  if (backward) run_backward();

  std::vector<double> y(x.size()), dx(x.size()), dgain(columns), dbias(columns);
  const view<const float, 1> gain_view(gain.data(), {columns}), bias_view(bias.data(), {columns});
  layernorm::reference::forward<T>(kind, {x.data(), size}, gain_view, bias_view, static_cast<double>(eps),
                                   {y.data(), size});
  layernorm::reference::backward<T>(kind, {x.data(), size}, gain_view, {dy.data(), size}, static_cast<double>(eps),
                                    {dx.data(), size}, {dgain.data(), {columns}}, {dbias.data(), {columns}});
  const double g = largest_of(gain), b = kind == norm::layer ? largest_of(bias) : 0, d = largest_of(dy);
  const double forward_units = layernorm::promise_forward({rows, columns});
  const double backward_units = layernorm::promise_backward({rows, columns});
  const std::vector<T> ours = backward ? with->dx.download() : with->y.download();
  ready made;
  double widest = 1;
  for (std::size_t r = 0; r < rows; ++r) {
    const auto facts =
        layernorm::reference::facts_of<T>(kind, view<const T, 2>(x.data(), size)[r], static_cast<double>(eps));
    double peak = 0;
    for (std::size_t c = 0; c < columns; ++c) peak = std::max(peak, std::abs(to_f64(x[r * columns + c])));
    const double spread = std::max(peak * facts.inverse_sd, 1.0);
    widest = std::max(widest, spread);
    for (std::size_t i = r * columns; i < (r + 1) * columns; ++i) {
      const double wanted = backward ? dx[i] : y[i];
      const double bound =
          backward ? backward_units * spread * g * d * facts.inverse_sd : forward_units * (spread * g + b);
      made.check.add(std::abs(to_f64(ours[i]) - wanted), rounding<float>(bound) + storage_rounding<T>(wanted));
    }
  }
  if (backward) {  // column sums of `rows` terms of at most spread x max |dy|, in trees over tiles
    const double depth = forward_units + static_cast<double>(layernorm::gpu::row_tiles(rows));
    const std::vector<float> our_gain = with->dgain.download();
    const std::vector<float> our_bias = kind == norm::layer ? with->dbias.download() : std::vector<float>();
    for (std::size_t c = 0; c < columns; ++c) {
      made.check.add(std::abs(static_cast<double>(our_gain[c]) - dgain[c]),
                     rounding<float>(depth * static_cast<double>(rows) * d * widest));
      if (kind == norm::layer)
        made.check.add(std::abs(static_cast<double>(our_bias[c]) - dbias[c]),
                       rounding<float>(depth * static_cast<double>(rows) * d));
    }
  }
  if (backward)
    made.run = run_backward;
  else
    made.run = run_forward;
  made.timed_run = timed_on(device, made.run);
  return made;
}

template <CudaDevice Device>
ready prepare_layernorm(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  return with_type(kernel.dtype,
                   [&](auto type) { return prepare_layernorm_of<decltype(type)>(device, kernel, sizes); });
}

}  // namespace hocket::bench
