// The seam as nvcc sees it: each function is one instruction or one built-in. See seam.cuh for the vocabulary.
// Instructions exist from sm_80 on; below, copies are plain and callers use the SIMT twin of a tensor-core kernel
// (cu::has_mma is false there).
#pragma once

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#define HOCKET_DEVICE __device__ __forceinline__
// weak: several units of a program may include the same kernels
#define HOCKET_KERNEL(name) extern "C" __global__ __attribute__((weak)) void name
#define HOCKET_KERNEL_BOUNDS(name, threads, blocks) \
  extern "C" __global__ __attribute__((weak)) void __launch_bounds__(threads, blocks) name
#define HOCKET_SHARED(name, ...) __shared__ __align__(16) __VA_ARGS__ name
#define HOCKET_DYNAMIC_SHARED(name, T)                         \
  extern __shared__ __align__(16) unsigned char hocket_smem[]; \
  const ::hocket::cu::dynamic_array<T> name { reinterpret_cast<T*>(hocket_smem) }
#define HOCKET_UNROLL _Pragma("unroll")
#define HOCKET_SITE_PARAMETER
#define HOCKET_SITE_ARGUMENT
#define HOCKET_SITE

namespace hocket::cu {

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
inline constexpr bool has_mma = true;
#else
inline constexpr bool has_mma = false;
#endif

HOCKET_DEVICE unsigned thread_x() { return threadIdx.x; }
HOCKET_DEVICE unsigned thread_y() { return threadIdx.y; }
HOCKET_DEVICE unsigned block_x() { return blockIdx.x; }
HOCKET_DEVICE unsigned block_y() { return blockIdx.y; }
HOCKET_DEVICE unsigned block_z() { return blockIdx.z; }
HOCKET_DEVICE unsigned block_dim_x() { return blockDim.x; }
HOCKET_DEVICE unsigned block_dim_y() { return blockDim.y; }
HOCKET_DEVICE unsigned grid_dim_x() { return gridDim.x; }
HOCKET_DEVICE unsigned global_index() { return blockIdx.x * blockDim.x + threadIdx.x; }
HOCKET_DEVICE unsigned lane() { return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32; }
HOCKET_DEVICE unsigned warp() { return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) / 32; }

/// A place in shared memory, for copies and matrix loads.
using shared_address = const void*;

/// Row-major array in shared memory; `Columns` = 1 for a vector.
template <class T, unsigned Rows, unsigned Columns = 1>
struct array {
  T data[Rows * Columns];
  HOCKET_DEVICE T& operator()(unsigned i) { return data[i]; }
  HOCKET_DEVICE T& operator()(unsigned i, unsigned j) { return data[i * Columns + j]; }
  HOCKET_DEVICE shared_address at(unsigned i, unsigned j = 0) { return &data[i * Columns + j]; }
};

/// Shared memory whose size the launch gives.
template <class T>
struct dynamic_array {
  T* data;
  HOCKET_DEVICE T& operator()(unsigned i) const { return data[i]; }
  HOCKET_DEVICE shared_address at(unsigned i) const { return data + i; }
  /// Elements from `first` on, seen as U: several arrays in one allocation. `first` counts bytes, a multiple of 16.
  template <class U>
  HOCKET_DEVICE dynamic_array<U> part(unsigned first_byte) const {
    return {reinterpret_cast<U*>(reinterpret_cast<unsigned char*>(data) + first_byte)};
  }
};

HOCKET_DEVICE void sync() { __syncthreads(); }
HOCKET_DEVICE void sync_warp(unsigned mask = 0xffffffffu) { __syncwarp(mask); }
template <class T>
HOCKET_DEVICE T shfl(T x, unsigned source) {
  return __shfl_sync(0xffffffffu, x, static_cast<int>(source));
}
template <class T>
HOCKET_DEVICE T shfl_xor(T x, unsigned lanes) {
  return __shfl_xor_sync(0xffffffffu, x, static_cast<int>(lanes));
}
template <class T>
HOCKET_DEVICE T shfl_down(T x, unsigned lanes) {
  return __shfl_down_sync(0xffffffffu, x, lanes);
}
template <class T>
HOCKET_DEVICE T shfl_up(T x, unsigned lanes) {
  return __shfl_up_sync(0xffffffffu, x, lanes);
}
HOCKET_DEVICE unsigned ballot(bool vote) { return __ballot_sync(0xffffffffu, vote); }
HOCKET_DEVICE bool any(bool vote) { return __any_sync(0xffffffffu, vote); }
HOCKET_DEVICE bool all(bool vote) { return __all_sync(0xffffffffu, vote); }
HOCKET_DEVICE unsigned match_any(unsigned x) { return __match_any_sync(0xffffffffu, x); }
HOCKET_DEVICE unsigned reduce_add(unsigned x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  return __reduce_add_sync(0xffffffffu, x);
#else
  for (unsigned step = 16; step > 0; step /= 2) x += shfl_xor(x, step);
  return x;
#endif
}
HOCKET_DEVICE unsigned reduce_max(unsigned x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  return __reduce_max_sync(0xffffffffu, x);
#else
  for (unsigned step = 16; step > 0; step /= 2) x = max(x, shfl_xor(x, step));
  return x;
#endif
}

HOCKET_DEVICE int atomic_add(int* target, int x) { return atomicAdd(target, x); }
HOCKET_DEVICE int atomic_max(int* target, int x) { return atomicMax(target, x); }

HOCKET_DEVICE bool inside(bool condition) { return condition; }
HOCKET_DEVICE float larger(float m, float x) { return fmaxf(m, x); }
HOCKET_DEVICE double larger(double m, double x) { return fmax(m, x); }
HOCKET_DEVICE constexpr unsigned fragment(unsigned i) { return i; }

HOCKET_DEVICE float exp_of(float x) { return __expf(x); }
HOCKET_DEVICE float inverse_sqrt(float x) { return rsqrtf(x); }
HOCKET_DEVICE unsigned first_set(unsigned bits) { return static_cast<unsigned>(__ffs(static_cast<int>(bits))) - 1; }

/// Starts copying 16 bytes, both addresses multiples of 16.
HOCKET_DEVICE void copy_async16(shared_address to, const void* from) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\n" ::"r"(address), "l"(from) : "memory");
#else
  *static_cast<uint4*>(const_cast<void*>(to)) = *static_cast<const uint4*>(from);
#endif
}
/// Closes the group of copies started since the last commit.
HOCKET_DEVICE void copy_commit() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;\n" ::: "memory");
#endif
}
/// Waits until at most `Pending` groups of this thread are under way. Other threads see the data after a sync() as
/// well.
template <int Pending>
HOCKET_DEVICE void copy_wait() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;\n" ::"n"(Pending) : "memory");
#endif
}

/// Four 8x8 matrices of 16-bit elements; lane l gives the address of row l % 8 of matrix l / 8.
HOCKET_DEVICE void load_matrix_x4(unsigned (&r)[4], shared_address row) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}
HOCKET_DEVICE void load_matrix_x2(unsigned (&r)[2], shared_address row) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];\n"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(address)
               : "memory");
}
/// The same, each 8x8 matrix transposed.
HOCKET_DEVICE void load_matrix_x2_trans(unsigned (&r)[2], shared_address row) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];\n"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(address)
               : "memory");
}

HOCKET_DEVICE void load_matrix_x4_trans(unsigned (&r)[4], shared_address row) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

/// D(16,8) += A(16,16) B(16,8); fragments as in the PTX manual, "Matrix fragments for mma.m16n8k16".
HOCKET_DEVICE void mma_f16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}
HOCKET_DEVICE void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}
/// D(16,8) += A(16,8) B(8,8) with inputs rounded to tf32 (10 bits of fraction).
HOCKET_DEVICE void mma_tf32(float (&d)[4], const float (&a)[4], const float (&b)[2]) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  unsigned ra[4], rb[2];
  HOCKET_UNROLL
  for (int i = 0; i < 4; ++i) asm("cvt.rna.tf32.f32 %0, %1;\n" : "=r"(ra[i]) : "f"(a[i]));
  HOCKET_UNROLL
  for (int i = 0; i < 2; ++i) asm("cvt.rna.tf32.f32 %0, %1;\n" : "=r"(rb[i]) : "f"(b[i]));
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(ra[0]), "r"(ra[1]), "r"(ra[2]), "r"(ra[3]), "r"(rb[0]), "r"(rb[1]));
#endif
}

}  // namespace hocket::cu
