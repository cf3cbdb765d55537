// Symmetric eigenproblems by cuSOLVER (syevd, f64). Included by choice; its program links cusolver. On cuda_on_host a
// machine that is also a cusolver_twin receives the call that cuSOLVER would get.
//
// cuSOLVER is column-major and gives eigenvalues in rising order with eigenvectors as columns, over the matrix. A
// symmetric matrix reads the same both ways, and column i column-major is row i row-major: so row i of the answer
// belongs to value i, rising. falling() says where the i-th largest is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <hocket/core/cuda/runtime.hpp>

#if defined(HOCKET_WITH_CUDA) || defined(__CUDACC__)
#include <cusolverDn.h>
#endif

namespace hocket::kernels::dense {

/// Arguments of cusolverDnXsyevd: all eigenvalues and vectors of the lower triangle.
struct syevd_arguments {
  std::int64_t n = 0, lda = 1;
};

inline syevd_arguments to_syevd(std::size_t n) {
  expects(n < (std::size_t{1} << 31), errc::unsupported_shape, "syevd: a matrix of ", n, " rows");
  return {static_cast<std::int64_t>(n), static_cast<std::int64_t>(n < 1 ? 1 : n)};
}
/// Row of the answer, and place of the value, of the i-th largest of n eigenvalues.
constexpr std::size_t falling(std::size_t i, std::size_t n) { return n - 1 - i; }

/// Stands in for cuSOLVER in tests: column-major, lower triangle, rising values, vectors over the matrix. Returns what
/// the library writes to `info`.
class cusolver_twin {
 public:
  virtual ~cusolver_twin() = default;
  virtual int syevd(const syevd_arguments& call, double* a, double* values) = 0;
};

template <CudaDevice Device>
class cusolver_plan;

namespace detail {

template <class Device>
void require_symmetric(const Device& device, std::size_t n, const double* a, const double* values) {
  require_device_memory(device, "syevd: matrix", a, n * n * sizeof(double));
  require_device_memory(device, "syevd: values", values, n * sizeof(double));
}
inline void require_converged(std::size_t n, int info) {
  expects(info == 0, errc::bad_value, "the eigenproblem of a ", n, " x ", n, " matrix did not converge (info ", info,
          "); scale the data");
}

}  // namespace detail

template <>
class cusolver_plan<cuda_on_host> {
 public:
  explicit cusolver_plan(const cuda_on_host& device) : device_(device) {
    require_device(device);
    twin_ = dynamic_cast<cusolver_twin*>(device.machine);
    expects(twin_ != nullptr, errc::not_built, "this cuda_on_host machine has no stand-in for cuSOLVER");
  }

  /// Eigenvectors over the symmetric a (n,n) as rows, eigenvalues to values (n), both rising: falling(). Waits.
  void eigen(std::size_t n, double* a, double* values) {
    const syevd_arguments call = to_syevd(n);
    if (n == 0) return;
    detail::require_symmetric(device_, n, a, values);
    detail::require_converged(n, twin_->syevd(call, a, values));
  }

 private:
  cuda_on_host device_;
  cusolver_twin* twin_ = nullptr;
};

#if defined(HOCKET_WITH_CUDA)

template <>
class cusolver_plan<cuda> {
 public:
  explicit cusolver_plan(const cuda& device) : device_(device), info_(device, "info of cuSOLVER", 1) {
    require_cusolver(cusolverDnCreate(&handle_), "cusolverDnCreate");
    try {
      require_cusolver(cusolverDnCreateParams(&parameters_), "cusolverDnCreateParams");
      require_cusolver(cusolverDnSetStream(handle_, static_cast<cudaStream_t>(device.stream)), "cusolverDnSetStream");
    } catch (...) {
      release();
      throw;
    }
  }
  cusolver_plan(const cusolver_plan&) = delete;
  cusolver_plan& operator=(const cusolver_plan&) = delete;
  ~cusolver_plan() { release(); }

  void eigen(std::size_t n, double* a, double* values) {
    const syevd_arguments call = to_syevd(n);
    if (n == 0) return;
    detail::require_symmetric(device_, n, a, values);
    std::size_t on_device = 0, on_host = 0;
    require_cusolver(
        cusolverDnXsyevd_bufferSize(handle_, parameters_, CUSOLVER_EIG_MODE_VECTOR, CUBLAS_FILL_MODE_LOWER, call.n,
                                    CUDA_R_64F, a, call.lda, CUDA_R_64F, values, CUDA_R_64F, &on_device, &on_host),
        "cusolverDnXsyevd_bufferSize");
    if (workspace_.size() < on_device)
      workspace_ = device_buffer<unsigned char, cuda>(device_, "workspace of cuSOLVER", on_device);
    host_workspace_.resize(on_host);
    require_cusolver(cusolverDnXsyevd(handle_, parameters_, CUSOLVER_EIG_MODE_VECTOR, CUBLAS_FILL_MODE_LOWER, call.n,
                                      CUDA_R_64F, a, call.lda, CUDA_R_64F, values, CUDA_R_64F, workspace_.data(),
                                      on_device, host_workspace_.data(), on_host, info_.data()),
                     "cusolverDnXsyevd");
    detail::require_converged(n, info_.download()[0]);
  }

 private:
  void release() noexcept {
    if (parameters_) cusolverDnDestroyParams(parameters_);
    cusolverDnDestroy(handle_);
  }

  cuda device_;
  device_buffer<int, cuda> info_;
  device_buffer<unsigned char, cuda> workspace_;
  std::vector<unsigned char> host_workspace_;
  cusolverDnHandle_t handle_ = nullptr;
  cusolverDnParams_t parameters_ = nullptr;
};

#endif

}  // namespace hocket::kernels::dense
