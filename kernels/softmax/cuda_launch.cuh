// Launchers of the softmax kernels: validate, choose the grid, start. They do not wait.
#pragma once

#include <limits>

#include <hocket/core/cuda/launch.cuh>
#include <hocket/core/view.hpp>
#include <hocket/kernels/softmax/cuda.cuh>

namespace hocket::kernels::softmax::gpu {

namespace detail {

template <class T>
void require_rows(const char* what, view<const T, 2> a, const shape<2>& like) {
  expects(a.extents() == like, errc::unsupported_shape, what, ": ", to_text(a.extents()), " does not match ",
          to_text(like));
  expects(a.dense(), errc::misaligned, what, ": rows must follow each other without padding");
  expects(a.extent(0) <= std::numeric_limits<unsigned>::max() / 2 &&
              a.extent(1) <= std::numeric_limits<unsigned>::max() / 2,
          errc::unsupported_shape, what, ": ", to_text(a.extents()), " has more than 2^31 rows or columns");
}

inline launch_shape grid_of(std::size_t rows) {
  return {
      {static_cast<unsigned>((rows + warps_per_block - 1) / warps_per_block), 1, 1}, {32 * warps_per_block, 1, 1}, 0};
}

template <class T, class F32, class F16, class BF16>
constexpr auto by_type(F32 f32, F16 f16_kernel, BF16 bf16_kernel) {
  if constexpr (std::is_same_v<T, float>)
    return f32;
  else if constexpr (std::is_same_v<T, f16>)
    return f16_kernel;
  else
    return bf16_kernel;
}

}  // namespace detail

/// y (rows, columns) = softmax over the columns of x; y may be x. T is float, f16 or bf16; device memory.
template <CudaDevice Device, class T>
void forward(const Device& device, view<const T, 2> x, view<T, 2> y) {
  detail::require_rows<T>("softmax: y", y, x.extents());
  detail::require_rows<T>("softmax: x", x, x.extents());
  if (x.empty()) return;
  require_device_memory(device, "softmax: x", x.data(), x.size() * sizeof(T));
  require_device_memory(device, "softmax: y", y.data(), y.size() * sizeof(T));
  constexpr const char* names[] = {"hocket_softmax_forward_f32", "hocket_softmax_forward_f16",
                                   "hocket_softmax_forward_bf16"};
  launch(device, detail::by_type<T>(names[0], names[1], names[2]), detail::grid_of(x.extent(0)),
         detail::by_type<T>(&hocket_softmax_forward_f32, &hocket_softmax_forward_f16, &hocket_softmax_forward_bf16),
         x.data(), y.data(), static_cast<unsigned>(x.extent(0)), static_cast<unsigned>(x.extent(1)));
}

/// dx (rows, columns) from y = softmax(x) and dy; dx may be dy.
template <CudaDevice Device, class T>
void backward(const Device& device, view<const T, 2> y, view<const T, 2> dy, view<T, 2> dx) {
  detail::require_rows<T>("softmax: y", y, y.extents());
  detail::require_rows<T>("softmax: dy", dy, y.extents());
  detail::require_rows<T>("softmax: dx", dx, y.extents());
  if (y.empty()) return;
  require_device_memory(device, "softmax: y", y.data(), y.size() * sizeof(T));
  require_device_memory(device, "softmax: dy", dy.data(), dy.size() * sizeof(T));
  require_device_memory(device, "softmax: dx", dx.data(), dx.size() * sizeof(T));
  constexpr const char* names[] = {"hocket_softmax_backward_f32", "hocket_softmax_backward_f16",
                                   "hocket_softmax_backward_bf16"};
  launch(device, detail::by_type<T>(names[0], names[1], names[2]), detail::grid_of(y.extent(0)),
         detail::by_type<T>(&hocket_softmax_backward_f32, &hocket_softmax_backward_f16, &hocket_softmax_backward_bf16),
         y.data(), dy.data(), dx.data(), static_cast<unsigned>(y.extent(0)), static_cast<unsigned>(y.extent(1)));
}

}  // namespace hocket::kernels::softmax::gpu
