// Rows brought to length 1 for CUDA, forward for f32 / f16 / bf16 storage, backward for f32.
//
// Ladder
//   1  one warp a row, a row of an embedding an item, so little that sums are kept in f64: no square overflows, and the
//      promise is the CPU's.
#pragma once

#include <cmath>
#include <cstddef>

#include <hocket/core/cuda/seam.cuh>

namespace hocket::kernels::unit_rows::gpu {

inline constexpr unsigned warps_per_block = 4;

/// y (rows, columns) = x / max(|x|, least), and the lengths (rows).
template <class T>
HOCKET_DEVICE void forward(const T* x, float least, T* y, float* lengths, unsigned rows, unsigned columns) {
  const unsigned row = cu::block_x() * warps_per_block + cu::warp();
  if (!cu::inside(row < rows)) return;  // the whole warp leaves
  const std::size_t first = static_cast<std::size_t>(row) * columns;
  double sum = 0;
  for (unsigned c = cu::lane(); cu::inside(c < columns); c += 32) {
    const double value = static_cast<double>(to_f32(x[first + c]));
    sum += value * value;
  }
  const float length = static_cast<float>(sqrt(cu::warp_sum(sum))), by = length < least ? least : length;
  for (unsigned c = cu::lane(); cu::inside(c < columns); c += 32) y[first + c] = from_f32<T>(to_f32(x[first + c]) / by);
  if (cu::lane() == 0) lengths[row] = length;
}

/// dx = or += (dy - y (y . dy)) / |x|, or dy / least for a shorter row.
HOCKET_DEVICE void backward(const float* y, const float* lengths, float least, const float* dy, bool add, float* dx,
                            unsigned rows, unsigned columns) {
  const unsigned row = cu::block_x() * warps_per_block + cu::warp();
  if (!cu::inside(row < rows)) return;
  const std::size_t first = static_cast<std::size_t>(row) * columns;
  const bool moves = !(lengths[row] < least);
  double sum = 0;
  for (unsigned c = cu::lane(); cu::inside(c < columns); c += 32)
    sum += static_cast<double>(y[first + c]) * static_cast<double>(dy[first + c]);
  const float along = moves ? static_cast<float>(cu::warp_sum(sum)) : 0.0f, by = moves ? lengths[row] : least;
  for (unsigned c = cu::lane(); cu::inside(c < columns); c += 32) {
    const float slope = (dy[first + c] - y[first + c] * along) / by;
    dx[first + c] = add ? dx[first + c] + slope : slope;
  }
}

}  // namespace hocket::kernels::unit_rows::gpu

// launch: grid ceil(rows / 4); block 128; shared 0
HOCKET_KERNEL(hocket_unitrows_forward_f32)
(const float* x, float least, float* y, float* lengths, unsigned rows, unsigned columns) {
  hocket::kernels::unit_rows::gpu::forward(x, least, y, lengths, rows, columns);
}
HOCKET_KERNEL(hocket_unitrows_forward_f16)
(const hocket::f16* x, float least, hocket::f16* y, float* lengths, unsigned rows, unsigned columns) {
  hocket::kernels::unit_rows::gpu::forward(x, least, y, lengths, rows, columns);
}
HOCKET_KERNEL(hocket_unitrows_forward_bf16)
(const hocket::bf16* x, float least, hocket::bf16* y, float* lengths, unsigned rows, unsigned columns) {
  hocket::kernels::unit_rows::gpu::forward(x, least, y, lengths, rows, columns);
}
HOCKET_KERNEL(hocket_unitrows_backward_f32)
(const float* y, const float* lengths, float least, const float* dy, bool add, float* dx, unsigned rows,
 unsigned columns) {
  hocket::kernels::unit_rows::gpu::backward(y, lengths, least, dy, add, dx, rows, columns);
}
