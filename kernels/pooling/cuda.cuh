// Pooling of ragged batches for CUDA, forward for f32 / f16 / bf16 storage, backward for f32. No row outside the items
// is read or written.
//
// Ladder
//   1  a block for an item and 32 columns, eight lines that take every eighth row, a tree over the lines.
#pragma once

#include <cstddef>
#include <cstdint>

#include <hocket/core/cuda/reduce.cuh>
#include <hocket/core/cuda/seam.cuh>

namespace hocket::kernels::pooling::gpu {

inline constexpr unsigned block_columns = 32, block_lines = 8;

/// Item b has rows starts[b] ... starts[b] + lengths[b] - 1.
struct items_at {
  const std::uint32_t *starts, *lengths;
  unsigned items;
};

/// y (items, columns) = the mean of each item's rows of x (rows, columns), or its first row.
template <class T>
HOCKET_DEVICE void forward(const T* x, const items_at& at, bool mean, T* y, unsigned columns) {
  HOCKET_SHARED(part, cu::array<float, block_lines, block_columns>);
  const unsigned item = cu::block_x(), column = cu::block_y() * block_columns + cu::thread_x(), line = cu::thread_y();
  const unsigned length = at.lengths[item], count = mean || length == 0 ? length : 1;
  const T* const rows = x + static_cast<std::size_t>(at.starts[item]) * columns;
  float sum = 0;
  if (cu::inside(column < columns))
    for (unsigned t = line; cu::inside(t < count); t += block_lines)
      sum += to_f32(rows[static_cast<std::size_t>(t) * columns + column]);
  part(line, cu::thread_x()) = sum;
  cu::sum_lines<block_columns>(part);
  if (line > 0 || !cu::inside(column < columns)) return;
  const float total = part(0, cu::thread_x());
  y[static_cast<std::size_t>(item) * columns + column] =
      from_f32<T>(count > 1 ? total / static_cast<float>(count) : total);
}

/// dx (rows, columns) = or += dy (items, columns) / length, or dy at the first row and 0 at the others.
HOCKET_DEVICE void backward(const float* dy, const items_at& at, bool mean, bool add, float* dx, unsigned columns) {
  const unsigned item = cu::block_x(), column = cu::block_y() * block_columns + cu::thread_x();
  if (!cu::inside(column < columns)) return;
  const unsigned length = at.lengths[item];
  const float d = dy[static_cast<std::size_t>(item) * columns + column];
  float* const rows = dx + static_cast<std::size_t>(at.starts[item]) * columns + column;
  for (unsigned t = cu::thread_y(); cu::inside(t < length); t += block_lines) {
    const float slope = mean ? d / static_cast<float>(length) : (t == 0 ? d : 0.0f);
    float& to = rows[static_cast<std::size_t>(t) * columns];
    to = add ? to + slope : slope;
  }
}

}  // namespace hocket::kernels::pooling::gpu

// launch: grid items x ceil(columns / 32); block 32 x 8; shared 0
HOCKET_KERNEL(hocket_pooling_forward_f32)
(const float* x, hocket::kernels::pooling::gpu::items_at at, bool mean, float* y, unsigned columns) {
  hocket::kernels::pooling::gpu::forward(x, at, mean, y, columns);
}
HOCKET_KERNEL(hocket_pooling_forward_f16)
(const hocket::f16* x, hocket::kernels::pooling::gpu::items_at at, bool mean, hocket::f16* y, unsigned columns) {
  hocket::kernels::pooling::gpu::forward(x, at, mean, y, columns);
}
HOCKET_KERNEL(hocket_pooling_forward_bf16)
(const hocket::bf16* x, hocket::kernels::pooling::gpu::items_at at, bool mean, hocket::bf16* y, unsigned columns) {
  hocket::kernels::pooling::gpu::forward(x, at, mean, y, columns);
}
HOCKET_KERNEL(hocket_pooling_backward_f32)
(const float* dy, hocket::kernels::pooling::gpu::items_at at, bool mean, bool add, float* dx, unsigned columns) {
  hocket::kernels::pooling::gpu::backward(dy, at, mean, add, dx, columns);
}
