// The tests' device with stand-ins for the vendors' libraries: each receives the call as the library would
// (column-major matrices, rising eigenvalues), answers it with other code (Eigen, our FFT, our eigensolver), and is
// counted under the library's name beside the kernels in launch_counts.
#pragma once

#include <Eigen/Core>
#include <complex>
#include <cstddef>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/kernels/dense/cpu.hpp>
#include <hocket/kernels/dense/vendor_cusolver.hpp>
#include <hocket/kernels/fft/cpu.hpp>
#include <hocket/kernels/fft/vendor_cufft.hpp>
#include <hocket/kernels/gemm/vendor_cublaslt.hpp>

#include "cuda_host/machine.hpp"

namespace hocket::cuda_host {

class machine_with_vendors : public machine,
                             public kernels::gemm::cublas_twin,
                             public kernels::gemm::cublaslt_twin,
                             public kernels::fft::cufft_twin,
                             public kernels::dense::cusolver_twin {
 public:
  using machine::machine;

  void gemm_strided_batched(const kernels::gemm::cublas_arguments& call, kernels::gemm::cuda_type type, float alpha,
                            const void* first, const void* second, float beta, float* result) override {
    ++launch_counts["cublasGemmStridedBatchedEx"];
    const auto rows = [](bool transposed, int plain, int other) { return transposed ? other : plain; };
    for (int b = 0; b < call.batch_count; ++b)
      product(
          type, alpha, beta, call.transpose_first, call.transpose_second,
          {static_cast<std::uint64_t>(rows(call.transpose_first, call.m, call.k)),
           static_cast<std::uint64_t>(rows(call.transpose_first, call.k, call.m)), call.ld_first, 1, call.stride_first},
          {static_cast<std::uint64_t>(rows(call.transpose_second, call.k, call.n)),
           static_cast<std::uint64_t>(rows(call.transpose_second, call.n, call.k)), call.ld_second, 1,
           call.stride_second},
          {static_cast<std::uint64_t>(call.m), static_cast<std::uint64_t>(call.n), call.ld_result, 1,
           call.stride_result},
          first, second, result, b);
  }

  void matmul(const kernels::gemm::cublaslt_arguments& call, kernels::gemm::cuda_type type, float alpha,
              const void* first, const void* second, float beta, float* result) override {
    ++launch_counts["cublasLtMatmul"];
    for (int b = 0; b < call.result.batch_count; ++b)
      product(type, alpha, beta, call.transpose_first, call.transpose_second, call.first, call.second, call.result,
              first, second, result, b);
  }

  void exec_r2c(const kernels::fft::cufft_arguments& call, const float* in, std::complex<float>* out) override {
    ++launch_counts["cufftExecR2C"];
    // without nembed the library ignores strides and distances
    expects(call.rank == 1 && call.inembed >= call.n && call.onembed >= call.n / 2 + 1 && call.istride == 1 &&
                call.ostride == 1,
            errc::unsupported_shape, "the stand-in for cuFFT takes rows of neighbouring elements");
    const kernels::fft::real_plan<float> plan(static_cast<std::size_t>(call.n));
    buffer<float> work(kernels::fft::work_size(plan, isa::baseline)), row(plan.size()), bins(2 * plan.bins());
    for (long long b = 0; b < call.batch; ++b) {
      std::copy_n(in + b * call.idist, call.n, row.data());
      kernels::fft::run_real<float>(plan, isa::baseline, {row.data(), row.size()}, {bins.data(), bins.size()}, 1,
                                    work.data());
      std::memcpy(static_cast<void*>(out + b * call.odist), bins.data(), bins.size() * sizeof(float));
    }
  }

  int syevd(const kernels::dense::syevd_arguments& call, double* a, double* values) override {
    ++launch_counts["cusolverDnXsyevd"];
    const auto n = static_cast<std::size_t>(call.n), lda = static_cast<std::size_t>(call.lda);
    std::vector<double> lower(n * n), falling(n), rows(n * n), work(kernels::dense::own_eigen_workspace(n, n));
    for (std::size_t column = 0; column < n; ++column)
      for (std::size_t row = column; row < n; ++row)
        lower[row * n + column] = lower[column * n + row] = a[column * lda + row];
    if (!kernels::dense::own_eigen<double>(n, n, lower.data(), falling.data(), rows.data(), work.data())) return 1;
    for (std::size_t i = 0; i < n; ++i) {
      values[i] = falling[n - 1 - i];
      std::copy_n(rows.data() + (n - 1 - i) * n, n, a + i * lda);  // column i
    }
    return 0;
  }

 private:
  /// Product number `index` of a batch; layouts as cuBLASLt describes them.
  static void product(kernels::gemm::cuda_type type, float alpha, float beta, bool transpose_first,
                      bool transpose_second, const kernels::gemm::cublaslt_layout& first_layout,
                      const kernels::gemm::cublaslt_layout& second_layout,
                      const kernels::gemm::cublaslt_layout& result_layout, const void* first, const void* second,
                      float* result, std::int64_t index) {
    const Eigen::MatrixXf left = load(type, first, first_layout, index, transpose_first),
                          right = load(type, second, second_layout, index, transpose_second);
    expects(left.cols() == right.rows() && left.rows() == static_cast<Eigen::Index>(result_layout.rows) &&
                right.cols() == static_cast<Eigen::Index>(result_layout.columns),
            errc::unsupported_shape, "the stand-in for cuBLAS got matrices that do not fit");
    const Eigen::MatrixXf sum = left * right;
    for (Eigen::Index j = 0; j < sum.cols(); ++j)
      for (Eigen::Index i = 0; i < sum.rows(); ++i) {
        float& out = result[index * result_layout.stride + i + j * result_layout.ld];
        out = beta == 0 ? alpha * sum(i, j) : alpha * sum(i, j) + beta * out;
      }
  }
  static Eigen::MatrixXf load(kernels::gemm::cuda_type type, const void* p,
                              const kernels::gemm::cublaslt_layout& layout, std::int64_t index, bool transposed) {
    Eigen::MatrixXf out(static_cast<Eigen::Index>(layout.rows), static_cast<Eigen::Index>(layout.columns));
    for (Eigen::Index j = 0; j < out.cols(); ++j)
      for (Eigen::Index i = 0; i < out.rows(); ++i) {
        const std::int64_t at = index * layout.stride + i + j * layout.ld;
        switch (type) {
          case kernels::gemm::cuda_type::f32: out(i, j) = static_cast<const float*>(p)[at]; break;
          case kernels::gemm::cuda_type::f16: out(i, j) = to_f32(static_cast<const f16*>(p)[at]); break;
          case kernels::gemm::cuda_type::bf16: out(i, j) = to_f32(static_cast<const bf16*>(p)[at]); break;
        }
      }
    return transposed ? Eigen::MatrixXf(out.transpose()) : out;
  }
};

}  // namespace hocket::cuda_host
