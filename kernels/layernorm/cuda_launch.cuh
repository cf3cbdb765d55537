// Launchers of the norm kernels: validate, choose the grid, start. They do not wait.
#pragma once

#include <hocket/core/cuda/checks.hpp>
#include <hocket/kernels/layernorm/cuda.cuh>
#include <hocket/kernels/layernorm/shape.hpp>

namespace hocket::kernels::layernorm::gpu {

/// What the forward pass keeps for the backward pass: (rows) each; RMS norm has no mean.
struct kept {
  view<float, 1> mean, inverse_sd;
};

inline std::size_t row_tiles(std::size_t rows) { return (rows + tile_rows - 1) / tile_rows; }
/// Floats of workspace that `backward` needs: partial sums of gain and bias.
inline std::size_t workspace(const layernorm::shape& s) { return 2 * row_tiles(s.rows) * s.columns; }

/// y (rows, columns) from x; gain and bias (columns) in f32. bias is not read by RMS norm.
template <CudaDevice Device, class T>
void forward(const Device& device, norm kind, view<const T, 2> x, view<const float, 1> gain, view<const float, 1> bias,
             float eps, view<T, 2> y, const kept& keep) {
  const bool layer = kind == norm::layer;
  const std::size_t rows = x.extent(0), columns = x.extent(1);
  require_on_device(device, "norm: x", x, x.extents());
  require_on_device(device, "norm: y", y, x.extents());
  require_on_device(device, "norm: gain", gain, {columns});
  require_on_device(device, "norm: inverse_sd", keep.inverse_sd, {rows});
  if (layer) {
    require_on_device(device, "norm: bias", bias, {columns});
    require_on_device(device, "norm: mean", keep.mean, {rows});
  }
  expects(eps >= 0, errc::bad_option, "norm: eps is ", eps, "; it must not be negative");
  if (x.empty()) return;
  const auto [name, kernel] =
      layer ? HOCKET_ENTRY(T, hocket_layernorm_forward) : HOCKET_ENTRY(T, hocket_rmsnorm_forward);
  launch(device, name, warp_per_row(rows, warps_per_block), kernel, x.data(), gain.data(), bias.data(), eps, y.data(),
         keep.mean.data(), keep.inverse_sd.data(), static_cast<unsigned>(rows), static_cast<unsigned>(columns));
}

/// dx (rows, columns), dgain and dbias (columns) from what the forward pass read and kept. dbias is not written by RMS
/// norm.
template <CudaDevice Device, class T>
void backward(const Device& device, norm kind, view<const T, 2> x, view<const float, 1> gain, view<const T, 2> dy,
              const kept& keep, view<T, 2> dx, view<float, 1> dgain, view<float, 1> dbias, view<float, 1> work) {
  const bool layer = kind == norm::layer;
  const std::size_t rows = x.extent(0), columns = x.extent(1), tiles = row_tiles(rows);
  require_on_device(device, "norm: x", x, x.extents());
  require_on_device(device, "norm: dy", dy, x.extents());
  require_on_device(device, "norm: dx", dx, x.extents());
  require_on_device(device, "norm: gain", gain, {columns});
  require_on_device(device, "norm: dgain", dgain, {columns});
  require_on_device(device, "norm: inverse_sd", keep.inverse_sd, {rows});
  require_on_device(device, "norm: workspace", work, {workspace({rows, columns})});
  if (layer) {
    require_on_device(device, "norm: dbias", dbias, {columns});
    require_on_device(device, "norm: mean", keep.mean, {rows});
  }
  if (x.empty()) return;
  const auto rows_u = static_cast<unsigned>(rows), columns_u = static_cast<unsigned>(columns);
  {
    const auto [name, kernel] =
        layer ? HOCKET_ENTRY(T, hocket_layernorm_backward) : HOCKET_ENTRY(T, hocket_rmsnorm_backward);
    launch(device, name, warp_per_row(rows, warps_per_block), kernel, x.data(), gain.data(), dy.data(),
           static_cast<const float*>(keep.mean.data()), static_cast<const float*>(keep.inverse_sd.data()), dx.data(),
           rows_u, columns_u);
  }
  float* const partial_gain = work.data();
  float* const partial_bias = work.data() + tiles * columns;
  {
    const auto [name, kernel] =
        layer ? HOCKET_ENTRY(T, hocket_layernorm_parameters) : HOCKET_ENTRY(T, hocket_rmsnorm_parameters);
    const auto column_tiles = static_cast<unsigned>((columns + tile_columns - 1) / tile_columns);
    launch(device, name, {{column_tiles, static_cast<unsigned>(tiles), 1}, {tile_columns, tile_lines, 1}, 0}, kernel,
           x.data(), dy.data(), static_cast<const float*>(keep.mean.data()),
           static_cast<const float*>(keep.inverse_sd.data()), partial_gain, partial_bias, rows_u, columns_u);
  }
  const launch_shape by_column{{static_cast<unsigned>((columns + 31) / 32), 1, 1}, {32, 8, 1}, 0};
  launch(device, "hocket_layernorm_sum_tiles_f32", by_column, &hocket_layernorm_sum_tiles_f32,
         static_cast<const float*>(partial_gain), dgain.data(), static_cast<unsigned>(tiles), columns_u);
  if (layer)
    launch(device, "hocket_layernorm_sum_tiles_f32", by_column, &hocket_layernorm_sum_tiles_f32,
           static_cast<const float*>(partial_bias), dbias.data(), static_cast<unsigned>(tiles), columns_u);
}

}  // namespace hocket::kernels::layernorm::gpu
