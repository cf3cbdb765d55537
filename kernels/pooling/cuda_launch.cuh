// Launchers of the pooling kernels: validate, choose the grid, start. They do not wait.
#pragma once

#include <cstdint>

#include <hocket/core/cuda/checks.hpp>
#include <hocket/kernels/pooling/cuda.cuh>
#include <hocket/kernels/pooling/reference.hpp>

namespace hocket::kernels::pooling::gpu {

/// Item b has rows starts[b] ... starts[b] + lengths[b] - 1, on the device; all of them lie in x.
struct device_ragged {
  view<const std::uint32_t, 1> starts, lengths;
};

/// Promised error in epsilon x the mean over an item's rows of |x|: an eighth of the rows in order, a tree of eight,
/// the quotient.
inline double promise_forward(std::size_t longest) { return 3 + static_cast<double>(longest) / 16; }

namespace detail {

template <CudaDevice Device>
items_at require_items(const Device& device, const device_ragged& at) {
  const std::size_t items = at.lengths.extent(0);
  require_on_device(device, "pooling: starts", at.starts, {items});
  require_on_device(device, "pooling: lengths", at.lengths, {items});
  return {at.starts.data(), at.lengths.data(), static_cast<unsigned>(items)};
}
inline launch_shape grid_of(const items_at& at, std::size_t columns) {
  return {{at.items, static_cast<unsigned>((columns + block_columns - 1) / block_columns), 1},
          {block_columns, block_lines, 1},
          0};
}

}  // namespace detail

/// y (items, columns) of x (rows, columns): the mean of an item's rows, or the first of them; zeros for an item
/// without.
template <CudaDevice Device, class T>
void forward(const Device& device, pool kind, const device_ragged& at, view<const T, 2> x, view<T, 2> y) {
  const std::size_t columns = x.extent(1);
  const items_at items = detail::require_items(device, at);
  require_on_device(device, "pooling: x", x, x.extents());
  require_on_device(device, "pooling: y", y, {at.lengths.extent(0), columns});
  if (y.empty()) return;
  const auto [name, kernel] = HOCKET_ENTRY(T, hocket_pooling_forward);
  launch(device, name, detail::grid_of(items, columns), kernel, x.data(), items, kind == pool::mean, y.data(),
         static_cast<unsigned>(columns));
}

/// dx (rows, columns) of dy (items, columns), in the rows of the items; replaces or adds.
template <CudaDevice Device>
void backward(const Device& device, pool kind, const device_ragged& at, view<const float, 2> dy, bool add,
              view<float, 2> dx) {
  const std::size_t columns = dy.extent(1);
  const items_at items = detail::require_items(device, at);
  require_on_device(device, "pooling: dy", dy, {at.lengths.extent(0), columns});
  require_on_device(device, "pooling: dx", dx, {dx.extent(0), columns});
  if (dy.empty()) return;
  launch(device, "hocket_pooling_backward_f32", detail::grid_of(items, columns), &hocket_pooling_backward_f32,
         dy.data(), items, kind == pool::mean, add, dx.data(), static_cast<unsigned>(columns));
}

}  // namespace hocket::kernels::pooling::gpu
