// The seam: what a CUDA kernel may use. A kernel file (kernels/<op>/cuda.cuh) includes this header and nothing of CUDA;
// it then compiles unchanged by nvcc for a GPU (device.cuh) and by a host compiler for the executor (host.hpp), which
// runs one fiber per CUDA thread and checks what a GPU would leave undefined.
//
//   HOCKET_KERNEL(hocket_scale_f32)(const float* x, float* y, unsigned n, float a) {
//     const unsigned i = cu::global_index();
//     if (cu::inside(i < n)) y[i] = a * x[i];
//   }
//
// Vocabulary, all in namespace hocket::cu:
//   thread_x() thread_y() block_x() block_y() block_z() block_dim_x() block_dim_y() grid_dim_x() global_index() lane()
//   warp() HOCKET_SHARED(name, cu::array<T, rows, columns>)    shared memory of fixed shape: name(i, j)
//   HOCKET_DYNAMIC_SHARED(name, T)                      shared memory sized by the launch: name(i)
//   sync() sync_warp()                                  barriers
//   shfl() shfl_xor() shfl_down() shfl_up() ballot() any() all() match_any() reduce_add() reduce_max()   whole-warp
//   collectives atomic_add(int*) atomic_max(int*)                   integers only: results never hang on the order of
//   float atomics copy_async16(shared, global) copy_commit() copy_wait<pending>()    cp.async; a plain copy below sm_80
//   load_matrix_x4(r, shared) load_matrix_x2(r, shared), each with _trans   ldmatrix
//   mma_f16(d, a, b) mma_bf16(d, a, b) mma_tf32(d, a, b)               m16n8k16, m16n8k16, m16n8k8 with f32 sums
//   inside(condition)      a bounds test: true where the index may be used
//   larger(m, x)           the running maximum of an online softmax
//   first_set(bits)        the lowest bit that is set; bits must not be 0
//   fragment(i)            the index of a register of a matrix fragment
// inside, larger, fragment, the barriers and the waits are mutation sites: tests break them one at a time to prove that
// the tests would notice (tests/cuda_host/mutation.hpp). On a GPU they cost nothing.
#pragma once

#include <cstddef>
#include <cstdint>

#include <hocket/core/config.hpp>
#include <hocket/core/half.hpp>

#if defined(__CUDACC__)
#include <hocket/core/cuda/device.cuh>
#else
#include <hocket/core/cuda/host.hpp>
#endif

namespace hocket::cu {

inline constexpr unsigned full_mask = 0xffffffffu;

/// Sum over the 32 lanes in a fixed tree: every lane gets the same bits, in every order of execution.
template <class T>
HOCKET_DEVICE T warp_sum(T x HOCKET_SITE_PARAMETER) {
  HOCKET_UNROLL
  for (unsigned step = 16; step > 0; step /= 2) x += shfl_xor(x, step HOCKET_SITE_ARGUMENT);
  return x;
}

/// Largest over the 32 lanes; a NaN in any lane is lost, as in fmaxf.
HOCKET_DEVICE float warp_max(float x HOCKET_SITE_PARAMETER) {
  HOCKET_UNROLL
  for (unsigned step = 16; step > 0; step /= 2) x = fmaxf(x, shfl_xor(x, step HOCKET_SITE_ARGUMENT));
  return x;
}

}  // namespace hocket::cu
