// Softmax over rows for CUDA, forward and backward, f32 / f16 / bf16 storage with f32 arithmetic.
//
// Ladder
//   1  one warp a row, maximum and sum in one pass by the online rule, then one pass that writes: x is read twice and
//   no
//      shared memory is used, so any row length works and rows never wait for each other.
//   -  one block a row with shared-memory trees: two barriers a row and idle threads for the row lengths of attention
//      (64 to 512); left out.
#pragma once

#include <cmath>

#include <hocket/core/cuda/seam.cuh>

namespace hocket::kernels::softmax::gpu {

inline constexpr unsigned warps_per_block = 4;

/// y (rows, columns) = softmax of x (rows, columns), both dense. One warp a row.
template <class T>
HOCKET_DEVICE void forward(const T* x, T* y, unsigned rows, unsigned columns) {
  const unsigned row = cu::block_x() * warps_per_block + cu::warp();
  if (!cu::inside(row < rows)) return;  // the whole warp leaves
  const T* const in = x + static_cast<std::size_t>(row) * columns;
  T* const out = y + static_cast<std::size_t>(row) * columns;

  // Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018, algorithm 3.
  float largest = -INFINITY, sum = 0;
  for (unsigned c = cu::lane(); cu::inside(c < columns); c += 32) {
    const float value = to_f32(in[c]);
    const float next = cu::larger(largest, value);
    if (next != -INFINITY) sum = sum * cu::exp_of(largest - next) + cu::exp_of(value - next);
    largest = next;
  }
  const float peak = cu::warp_max(largest);
  // A lane without finite entries adds nothing; a row without any has no distribution and becomes NaN below.
  const float total = cu::warp_sum(largest == -INFINITY ? 0.0f : sum * cu::exp_of(largest - peak));
  const float scale = 1.0f / total;
  for (unsigned c = cu::lane(); cu::inside(c < columns); c += 32)
    out[c] = from_f32<T>(cu::exp_of(to_f32(in[c]) - peak) * scale);
}

/// dx = y (dy - sum y dy), all (rows, columns) dense. One warp a row.
template <class T>
HOCKET_DEVICE void backward(const T* y, const T* dy, T* dx, unsigned rows, unsigned columns) {
  const unsigned row = cu::block_x() * warps_per_block + cu::warp();
  if (!cu::inside(row < rows)) return;
  const std::size_t first = static_cast<std::size_t>(row) * columns;
  float dot = 0;
  for (unsigned c = cu::lane(); cu::inside(c < columns); c += 32) dot += to_f32(y[first + c]) * to_f32(dy[first + c]);
  dot = cu::warp_sum(dot);
  for (unsigned c = cu::lane(); cu::inside(c < columns); c += 32)
    dx[first + c] = from_f32<T>(to_f32(y[first + c]) * (to_f32(dy[first + c]) - dot));
}

}  // namespace hocket::kernels::softmax::gpu

// launch: grid ceil(rows / 4); block 128; shared 0
HOCKET_KERNEL(hocket_softmax_forward_f32)(const float* x, float* y, unsigned rows, unsigned columns) {
  hocket::kernels::softmax::gpu::forward(x, y, rows, columns);
}
HOCKET_KERNEL(hocket_softmax_forward_f16)(const hocket::f16* x, hocket::f16* y, unsigned rows, unsigned columns) {
  hocket::kernels::softmax::gpu::forward(x, y, rows, columns);
}
HOCKET_KERNEL(hocket_softmax_forward_bf16)(const hocket::bf16* x, hocket::bf16* y, unsigned rows, unsigned columns) {
  hocket::kernels::softmax::gpu::forward(x, y, rows, columns);
}
HOCKET_KERNEL(hocket_softmax_backward_f32)
(const float* y, const float* dy, float* dx, unsigned rows, unsigned columns) {
  hocket::kernels::softmax::gpu::backward(y, dy, dx, rows, columns);
}
HOCKET_KERNEL(hocket_softmax_backward_f16)
(const hocket::f16* y, const hocket::f16* dy, hocket::f16* dx, unsigned rows, unsigned columns) {
  hocket::kernels::softmax::gpu::backward(y, dy, dx, rows, columns);
}
HOCKET_KERNEL(hocket_softmax_backward_bf16)
(const hocket::bf16* y, const hocket::bf16* dy, hocket::bf16* dx, unsigned rows, unsigned columns) {
  hocket::kernels::softmax::gpu::backward(y, dy, dx, rows, columns);
}
