// Products by cuBLASLt: one shape is planned (layouts, algorithm, workspace), then run any number of times. Included by
// choice; its program links cublasLt. On cuda_on_host a machine that is also a cublaslt_twin receives the call.
//
// The plan promises the library matrices that start on 16 bytes, which its fastest algorithms need; run() refuses
// others as misaligned.
#pragma once

#include <cstddef>

#include <hocket/kernels/gemm/vendor_cublas.hpp>

#if defined(HOCKET_WITH_CUDA) || defined(__CUDACC__)
#include <cublasLt.h>
#endif

namespace hocket::kernels::gemm {

/// Stands in for cuBLASLt in tests: matrices are column-major, as the library takes them.
class cublaslt_twin {
 public:
  virtual ~cublaslt_twin() = default;
  virtual void matmul(const cublaslt_arguments& call, cuda_type type, float alpha, const void* first,
                      const void* second, float beta, float* result) = 0;
};

inline constexpr std::size_t cublaslt_alignment = 16;

/// T is float, f16 or bf16; sums and result are f32.
template <CudaDevice Device, class T>
class cublaslt_plan;

namespace detail {

/// Whether there is anything to do; throws unless cuBLASLt may be given the pointers.
template <class Device, class T>
bool ready_for_cublaslt(const Device& device, const shape& s, const batch& of, const T* a, const T* b, const float* c) {
  require_operands(device, s, of, a, b, c);
  if (s.m == 0 || s.n == 0 || of.count == 0) return false;
  require_aligned("cublaslt: A", a, cublaslt_alignment);
  require_aligned("cublaslt: B", b, cublaslt_alignment);
  require_aligned("cublaslt: C", c, cublaslt_alignment);
  return true;
}

}  // namespace detail

template <class T>
class cublaslt_plan<cuda_on_host, T> {
 public:
  explicit cublaslt_plan(const cuda_on_host& device, const shape& s, const batch& of = {})
      : device_(device), shape_(s), batch_(of), call_(to_cublaslt(s, of)) {
    require_device(device);
    twin_ = dynamic_cast<cublaslt_twin*>(device.machine);
    expects(twin_ != nullptr, errc::not_built, "this cuda_on_host machine has no stand-in for cuBLASLt");
  }
  std::size_t workspace_bytes() const { return 0; }

  /// C (m,n) f32 = alpha op(A) op(B) + beta C, for every matrix of the batch.
  void run(float alpha, const T* a, const T* b, float beta, float* c) {
    if (detail::ready_for_cublaslt(device_, shape_, batch_, a, b, c))
      twin_->matmul(call_, cuda_type_of<T>, alpha, b, a, beta, c);
  }

 private:
  cuda_on_host device_;
  shape shape_;
  batch batch_;
  cublaslt_arguments call_;
  cublaslt_twin* twin_ = nullptr;
};

#if defined(HOCKET_WITH_CUDA)

template <class T>
class cublaslt_plan<cuda, T> {
 public:
  explicit cublaslt_plan(const cuda& device, const shape& s, const batch& of = {})
      : device_(device), shape_(s), batch_(of) {
    require_device(device);
    try {
      plan();
    } catch (...) {
      release();
      throw;
    }
  }
  cublaslt_plan(const cublaslt_plan&) = delete;
  cublaslt_plan& operator=(const cublaslt_plan&) = delete;
  ~cublaslt_plan() { release(); }

  /// What the chosen algorithm needs; the plan holds it.
  std::size_t workspace_bytes() const { return workspace_.size(); }

  void run(float alpha, const T* a, const T* b, float beta, float* c) {
    if (!detail::ready_for_cublaslt(device_, shape_, batch_, a, b, c)) return;
    require_cublas(
        cublasLtMatmul(handle_, product_, &alpha, b, first_, a, second_, &beta, c, result_, c, result_, &algorithm_,
                       workspace_.data(), workspace_.size(), static_cast<cudaStream_t>(device_.stream)),
        "cublasLtMatmul");
  }

 private:
  void plan() {
    const cublaslt_arguments call = to_cublaslt(shape_, batch_);
    require_cublas(cublasLtCreate(&handle_), "cublasLtCreate");
    const bool single = cuda_type_of<T> == cuda_type::f32;
    require_cublas(
        cublasLtMatmulDescCreate(&product_, single ? CUBLAS_COMPUTE_32F_PEDANTIC : CUBLAS_COMPUTE_32F, CUDA_R_32F),
        "cublasLtMatmulDescCreate");
    const cublasOperation_t op_first = call.transpose_first ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t op_second = call.transpose_second ? CUBLAS_OP_T : CUBLAS_OP_N;
    require_cublas(cublasLtMatmulDescSetAttribute(product_, CUBLASLT_MATMUL_DESC_TRANSA, &op_first, sizeof op_first),
                   "cublasLt: op of the first matrix");
    require_cublas(cublasLtMatmulDescSetAttribute(product_, CUBLASLT_MATMUL_DESC_TRANSB, &op_second, sizeof op_second),
                   "cublasLt: op of the second matrix");
    const auto type = static_cast<cudaDataType>(cuda_type_of<T>);
    describe(first_, type, call.first);
    describe(second_, type, call.second);
    describe(result_, CUDA_R_32F, call.result);
    if (shape_.m == 0 || shape_.n == 0 || batch_.count == 0) return;  // nothing to choose an algorithm for
    require_cublas(cublasLtMatmulPreferenceCreate(&preference_), "cublasLtMatmulPreferenceCreate");
    const std::size_t most = cublas_workspace_bytes;
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most);
    const auto alignment = static_cast<std::uint32_t>(cublaslt_alignment);
    for (const auto which : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                             CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      prefer(which, &alignment, sizeof alignment);
    cublasLtMatmulHeuristicResult_t found{};
    int count = 0;
    require_cublas(cublasLtMatmulAlgoGetHeuristic(handle_, product_, first_, second_, result_, result_, preference_, 1,
                                                  &found, &count),
                   "cublasLtMatmulAlgoGetHeuristic");
    expects(count > 0, errc::unsupported_shape, "cublaslt: no algorithm for ", shape_.m, " x ", shape_.n, " x ",
            shape_.k, "; use the cublas or the own arm");
    algorithm_ = found.algo;
    workspace_ = device_buffer<unsigned char, cuda>(device_, "workspace of cuBLASLt", found.workspaceSize);
  }
  static void describe(cublasLtMatrixLayout_t& made, cudaDataType type, const cublaslt_layout& x) {
    require_cublas(cublasLtMatrixLayoutCreate(&made, type, x.rows, x.columns, x.ld), "cublasLtMatrixLayoutCreate");
    require_cublas(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &x.batch_count,
                                                    sizeof x.batch_count),
                   "cublasLt: batch count");
    require_cublas(
        cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &x.stride, sizeof x.stride),
        "cublasLt: batch stride");
  }
  void prefer(cublasLtMatmulPreferenceAttributes_t which, const void* value, std::size_t bytes) {
    require_cublas(cublasLtMatmulPreferenceSetAttribute(preference_, which, value, bytes), "cublasLt: preference");
  }
  void release() noexcept {
    if (preference_) cublasLtMatmulPreferenceDestroy(preference_);
    for (const cublasLtMatrixLayout_t layout : {first_, second_, result_})
      if (layout) cublasLtMatrixLayoutDestroy(layout);
    if (product_) cublasLtMatmulDescDestroy(product_);
    if (handle_) cublasLtDestroy(handle_);
  }

  cuda device_;
  shape shape_;
  batch batch_;
  cublasLtHandle_t handle_ = nullptr;
  cublasLtMatmulDesc_t product_ = nullptr;
  cublasLtMatrixLayout_t first_ = nullptr, second_ = nullptr, result_ = nullptr;
  cublasLtMatmulPreference_t preference_ = nullptr;
  cublasLtMatmulAlgo_t algorithm_{};
  device_buffer<unsigned char, cuda> workspace_;
};

#endif

}  // namespace hocket::kernels::gemm
