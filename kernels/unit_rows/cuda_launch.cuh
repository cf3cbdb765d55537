// Launchers of the kernels that bring rows to length 1: validate, choose the grid, start. They do not wait.
#pragma once

#include <hocket/core/cuda/checks.hpp>
#include <hocket/kernels/unit_rows/cuda.cuh>

namespace hocket::kernels::unit_rows::gpu {

/// y (rows, columns) = x / max(|x|, least) and the lengths of x's rows (rows); y may be x.
template <CudaDevice Device, class T>
void forward(const Device& device, view<const T, 2> x, float least, view<T, 2> y, view<float, 1> lengths) {
  require_on_device(device, "unit_rows: x", x, x.extents());
  require_on_device(device, "unit_rows: y", y, x.extents());
  require_on_device(device, "unit_rows: lengths", lengths, {x.extent(0)});
  expects(least > 0, errc::bad_option, "unit_rows: the least length is ", least, "; it must be positive");
  if (x.extent(0) == 0) return;
  const auto [name, kernel] = HOCKET_ENTRY(T, hocket_unitrows_forward);
  launch(device, name, warp_per_row(x.extent(0), warps_per_block), kernel, x.data(), least, y.data(), lengths.data(),
         static_cast<unsigned>(x.extent(0)), static_cast<unsigned>(x.extent(1)));
}

/// dx from y and the lengths that the forward pass wrote; replaces or adds. dx may be dy where it replaces.
template <CudaDevice Device>
void backward(const Device& device, view<const float, 2> y, view<const float, 1> lengths, float least,
              view<const float, 2> dy, bool add, view<float, 2> dx) {
  require_on_device(device, "unit_rows: y", y, y.extents());
  require_on_device(device, "unit_rows: dy", dy, y.extents());
  require_on_device(device, "unit_rows: dx", dx, y.extents());
  require_on_device(device, "unit_rows: lengths", lengths, {y.extent(0)});
  if (y.empty()) return;
  launch(device, "hocket_unitrows_backward_f32", warp_per_row(y.extent(0), warps_per_block),
         &hocket_unitrows_backward_f32, y.data(), lengths.data(), least, dy.data(), add, dx.data(),
         static_cast<unsigned>(y.extent(0)), static_cast<unsigned>(y.extent(1)));
}

}  // namespace hocket::kernels::unit_rows::gpu
