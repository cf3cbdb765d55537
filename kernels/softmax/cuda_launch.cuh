// Launchers of the softmax kernels: validate, choose the grid, start. They do not wait.
#pragma once

#include <hocket/core/cuda/checks.hpp>
#include <hocket/kernels/softmax/cuda.cuh>

namespace hocket::kernels::softmax::gpu {

/// y (rows, columns) = softmax over the columns of x; y may be x. T is float, f16 or bf16; device memory.
template <CudaDevice Device, class T>
void forward(const Device& device, view<const T, 2> x, view<T, 2> y) {
  require_on_device(device, "softmax: x", x, x.extents());
  require_on_device(device, "softmax: y", y, x.extents());
  if (x.empty()) return;
  const auto [name, kernel] = HOCKET_ENTRY(T, hocket_softmax_forward);
  launch(device, name, warp_per_row(x.extent(0), warps_per_block), kernel, x.data(), y.data(),
         static_cast<unsigned>(x.extent(0)), static_cast<unsigned>(x.extent(1)));
}

/// dx (rows, columns) from y = softmax(x) and dy; dx may be dy.
template <CudaDevice Device, class T>
void backward(const Device& device, view<const T, 2> y, view<const T, 2> dy, view<T, 2> dx) {
  require_on_device(device, "softmax: y", y, y.extents());
  require_on_device(device, "softmax: dy", dy, y.extents());
  require_on_device(device, "softmax: dx", dx, y.extents());
  if (y.empty()) return;
  const auto [name, kernel] = HOCKET_ENTRY(T, hocket_softmax_backward);
  launch(device, name, warp_per_row(y.extent(0), warps_per_block), kernel, y.data(), dy.data(), dx.data(),
         static_cast<unsigned>(y.extent(0)), static_cast<unsigned>(y.extent(1)));
}

}  // namespace hocket::kernels::softmax::gpu
