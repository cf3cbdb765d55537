// Products by cuBLAS: f32, f16 and bf16 with f32 sums and an f32 result, batched by strides. Included by choice; its
// program links cublas. On cuda_on_host a machine that is also a cublas_twin receives the call that cuBLAS would get.
//
// f32 products are asked for in "pedantic" arithmetic: no tf32 behind the caller's back. One stream and one workspace
// of the plan's own: cuBLAS then gives the same bits run to run.
#pragma once

#include <cstddef>
#include <string_view>

#include <hocket/core/cuda/runtime.hpp>
#include <hocket/core/half.hpp>
#include <hocket/kernels/gemm/cublas_arguments.hpp>

#if defined(HOCKET_WITH_CUDA) || defined(__CUDACC__)
#include <cublas_v2.h>
#endif

namespace hocket::kernels::gemm {

/// cudaDataType_t of the storage types that products take (library_types.h).
enum class cuda_type : int { f32 = 0, f16 = 2, bf16 = 14 };
template <class T>
inline constexpr cuda_type cuda_type_of = cuda_type::f32;
template <>
inline constexpr cuda_type cuda_type_of<f16> = cuda_type::f16;
template <>
inline constexpr cuda_type cuda_type_of<bf16> = cuda_type::bf16;

/// Stands in for cuBLAS in tests: matrices are column-major, as the library takes them.
class cublas_twin {
 public:
  virtual ~cublas_twin() = default;
  virtual void gemm_strided_batched(const cublas_arguments& call, cuda_type type, float alpha, const void* first,
                                    const void* second, float beta, float* result) = 0;
};

namespace detail {

/// Views of one product or a batch of them must be memory of the device.
template <class Device>
void require_operand(const Device& device, const char* what, const void* p, std::size_t element, std::size_t rows,
                     std::size_t columns, std::size_t ld, std::size_t count, std::size_t stride) {
  expects(ld >= columns, errc::unsupported_shape, what, ": rows of ", columns, " elements cannot be ", ld, " apart");
  if (rows == 0 || columns == 0 || count == 0) return;
  require_aligned(what, p, element);
  require_device_memory(device, what, p, ((count - 1) * stride + (rows - 1) * ld + columns) * element);
}
template <class Device, class T>
void require_operands(const Device& device, const shape& s, const batch& of, const T* a, const T* b, const float* c) {
  require_operand(device, "gemm: A", a, sizeof(T), s.transpose_a ? s.k : s.m, s.transpose_a ? s.m : s.k, s.lda,
                  of.count, of.stride_a);
  require_operand(device, "gemm: B", b, sizeof(T), s.transpose_b ? s.n : s.k, s.transpose_b ? s.k : s.n, s.ldb,
                  of.count, of.stride_b);
  require_operand(device, "gemm: C", c, sizeof(float), s.m, s.n, s.ldc, of.count, of.stride_c);
}

}  // namespace detail

/// Bytes of device memory that a plan gives cuBLAS: its advice for the largest cards, so that results do not hang on
/// it.
inline constexpr std::size_t cublas_workspace_bytes = std::size_t{32} << 20;

/// A handle with its workspace; calls are queued on the device's stream and not waited for.
template <CudaDevice Device>
class cublas_plan;

template <>
class cublas_plan<cuda_on_host> {
 public:
  explicit cublas_plan(const cuda_on_host& device) : device_(device) {
    require_device(device);
    twin_ = dynamic_cast<cublas_twin*>(device.machine);
    expects(twin_ != nullptr, errc::not_built, "this cuda_on_host machine has no stand-in for cuBLAS");
  }

  /// C (m,n) f32 = alpha op(A) op(B) + beta C, for every matrix of the batch.
  template <class T>
  void multiply(const shape& s, float alpha, const T* a, const T* b, float beta, float* c, const batch& of = {}) {
    const cublas_arguments call = to_cublas(s, of);
    detail::require_operands(device_, s, of, a, b, c);
    if (s.m == 0 || s.n == 0 || of.count == 0) return;
    twin_->gemm_strided_batched(call, cuda_type_of<T>, alpha, b, a, beta, c);
  }

 private:
  cuda_on_host device_;
  cublas_twin* twin_ = nullptr;
};

#if defined(HOCKET_WITH_CUDA)

static_assert(static_cast<int>(cuda_type::f32) == CUDA_R_32F && static_cast<int>(cuda_type::f16) == CUDA_R_16F &&
              static_cast<int>(cuda_type::bf16) == CUDA_R_16BF);

template <>
class cublas_plan<cuda> {
 public:
  explicit cublas_plan(const cuda& device)
      : device_(device), workspace_(device, "workspace of cuBLAS", cublas_workspace_bytes) {
    require_cublas(cublasCreate(&handle_), "cublasCreate");
    try {
      require_cublas(cublasSetStream(handle_, static_cast<cudaStream_t>(device.stream)), "cublasSetStream");
      require_cublas(cublasSetWorkspace(handle_, workspace_.data(), workspace_.size()), "cublasSetWorkspace");
    } catch (...) {
      cublasDestroy(handle_);
      throw;
    }
  }
  cublas_plan(const cublas_plan&) = delete;
  cublas_plan& operator=(const cublas_plan&) = delete;
  ~cublas_plan() { cublasDestroy(handle_); }

  template <class T>
  void multiply(const shape& s, float alpha, const T* a, const T* b, float beta, float* c, const batch& of = {}) {
    const cublas_arguments call = to_cublas(s, of);
    detail::require_operands(device_, s, of, a, b, c);
    if (s.m == 0 || s.n == 0 || of.count == 0) return;
    const auto op = [](bool transposed) { return transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
    const auto type = static_cast<cudaDataType>(cuda_type_of<T>);
    const cublasComputeType_t sums =
        cuda_type_of<T> == cuda_type::f32 ? CUBLAS_COMPUTE_32F_PEDANTIC : CUBLAS_COMPUTE_32F;
    require_cublas(cublasGemmStridedBatchedEx(
                       handle_, op(call.transpose_first), op(call.transpose_second), call.m, call.n, call.k, &alpha, b,
                       type, call.ld_first, call.stride_first, a, type, call.ld_second, call.stride_second, &beta, c,
                       CUDA_R_32F, call.ld_result, call.stride_result, call.batch_count, sums, CUBLAS_GEMM_DEFAULT),
                   "cublasGemmStridedBatchedEx");
  }

 private:
  cuda device_;
  device_buffer<unsigned char, cuda> workspace_;
  cublasHandle_t handle_ = nullptr;
};

#endif

}  // namespace hocket::kernels::gemm
