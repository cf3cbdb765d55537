// Launchers of the epilogue's kernels: validate, choose the grid, start. They do not wait.
#pragma once

#include <hocket/core/cuda/checks.hpp>
#include <hocket/kernels/epilogue/cuda.cuh>
#include <hocket/kernels/epilogue/shape.hpp>

namespace hocket::kernels::epilogue::gpu {

inline std::size_t row_tiles(std::size_t rows) { return (rows + tile_rows - 1) / tile_rows; }
/// Floats of workspace of `backward` where dbias is wanted.
inline std::size_t workspace(const epilogue::shape& s) { return row_tiles(s.rows) * s.columns; }

/// Promised error of dbias in epsilon x the sum over its column of |du|: four rows a thread, sixteen threads, tiles.
inline double promise_bias(std::size_t rows) { return 4 + static_cast<double>(row_tiles(rows)) / 16 + 4; }

inline mask mask_of(const dropout& d) {
  return {static_cast<std::uint32_t>(d.seed),
          static_cast<std::uint32_t>(d.seed >> 32),
          static_cast<std::uint32_t>(d.stream),
          static_cast<std::uint32_t>(d.stream >> 32),
          d.threshold,
          static_cast<float>(d.scale)};
}

/// y (rows, columns) = residual + keep(act(x + bias)); bias (columns), residual and u (rows, columns) may be empty. u
/// receives x + bias for the backward pass; y and u may be x.
template <CudaDevice Device, class T>
void forward(const Device& device, view<const T, 2> x, view<const T, 1> bias, view<const T, 2> residual, view<T, 2> y,
             activation act = activation::none, const dropout& drop = {}, view<T, 2> u = {}) {
  const std::size_t rows = x.extent(0), columns = x.extent(1);
  const std::size_t groups = rows * ((columns + group_columns - 1) / group_columns);
  require_on_device(device, "epilogue: x", x, x.extents());
  require_on_device(device, "epilogue: y", y, x.extents());
  if (bias.data()) require_on_device(device, "epilogue: bias", bias, {columns});
  if (residual.data()) require_on_device(device, "epilogue: residual", residual, x.extents());
  if (u.data()) require_on_device(device, "epilogue: u", u, x.extents());
  expects(groups < (std::size_t{1} << 31), errc::unsupported_shape, "epilogue: ", to_text(x.extents()), " is ", groups,
          " groups of 64 columns; at most 2^31");
  if (x.empty()) return;
  const auto [name, kernel] = HOCKET_ENTRY(T, hocket_epilogue_forward);
  launch(device, name,
         {{static_cast<unsigned>((groups + groups_per_block - 1) / groups_per_block), 1, 1}, {256, 1, 1}, 0}, kernel,
         x.data(), bias.data(), residual.data(), u.data(), y.data(), act, mask_of(drop), static_cast<unsigned>(rows),
         static_cast<unsigned>(columns));
}

/// du (rows, columns) from dy and u (empty without an activation), and dbias (columns) = or += the sum of du's rows;
/// dbias may be empty, then so may `work`. du may be dy.
template <CudaDevice Device>
void backward(const Device& device, view<const float, 2> dy, view<const float, 2> u, view<float, 2> du,
              view<float, 1> dbias, bool add_to_dbias, view<float, 1> work, activation act = activation::none,
              const dropout& drop = {}) {
  const std::size_t rows = dy.extent(0), columns = dy.extent(1), tiles = row_tiles(rows);
  const bool sums = dbias.data() != nullptr;
  require_on_device(device, "epilogue: dy", dy, dy.extents());
  require_on_device(device, "epilogue: du", du, dy.extents());
  if (act != activation::none) require_on_device(device, "epilogue: u", u, dy.extents());
  if (sums) {
    require_on_device(device, "epilogue: dbias", dbias, {columns});
    require_on_device(device, "epilogue: workspace", work, {workspace({rows, columns})});
  }
  const auto rows_u = static_cast<unsigned>(rows), columns_u = static_cast<unsigned>(columns);
  if (!dy.empty())
    launch(device, "hocket_epilogue_backward_f32",
           {{static_cast<unsigned>(tiles), (columns_u + group_columns - 1) / group_columns, 1},
            {group_threads, tile_lines, 1},
            0},
           &hocket_epilogue_backward_f32, dy.data(), act == activation::none ? nullptr : u.data(), du.data(),
           sums ? work.data() : nullptr, act, mask_of(drop), rows_u, columns_u);
  if (sums && columns > 0)  // no rows: a gradient of zeros
    launch(device, "hocket_epilogue_bias_f32", {{(columns_u + 31) / 32, 1, 1}, {32, 8, 1}, 0},
           &hocket_epilogue_bias_f32, static_cast<const float*>(work.data()), dbias.data(), add_to_dbias,
           static_cast<unsigned>(tiles), columns_u);
}

}  // namespace hocket::kernels::epilogue::gpu
