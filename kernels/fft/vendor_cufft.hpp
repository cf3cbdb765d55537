// Real transforms by cuFFT: batched rows, f32. Included by choice; its program links cufft. On cuda_on_host a machine
// that is also a cufft_twin receives the call that cuFFT would get.
//
// The plan owns the work area, so run() allocates nothing and the bytes are known before it.
#pragma once

#include <complex>
#include <cstddef>

#include <hocket/core/cuda/runtime.hpp>
#include <hocket/kernels/fft/cufft_arguments.hpp>

#if defined(HOCKET_WITH_CUDA) || defined(__CUDACC__)
#include <cufft.h>
#endif

namespace hocket::kernels::fft {

/// Stands in for cuFFT in tests.
class cufft_twin {
 public:
  virtual ~cufft_twin() = default;
  virtual void exec_r2c(const cufft_arguments& call, const float* in, std::complex<float>* out) = 0;
};

template <CudaDevice Device>
class cufft_plan;

namespace detail {

/// Whether there is anything to do; throws unless cuFFT may be given the pointers. It asks for both on a whole complex
/// number.
template <class Device>
bool ready_for_cufft(const Device& device, const real_rows& rows, const float* in, const std::complex<float>* out) {
  if (rows.batch == 0) return false;
  const std::size_t bins = rows.n / 2 + 1;
  require_device_memory(device, "cufft: input", in, ((rows.batch - 1) * rows.stride_in + rows.n) * sizeof *in);
  require_device_memory(device, "cufft: output", out, ((rows.batch - 1) * rows.stride_out + bins) * sizeof *out);
  require_aligned("cufft: input", in, sizeof(std::complex<float>));
  require_aligned("cufft: output", out, sizeof(std::complex<float>));
  return true;
}

}  // namespace detail

template <>
class cufft_plan<cuda_on_host> {
 public:
  cufft_plan(const cuda_on_host& device, const real_rows& rows) : device_(device), rows_(rows), call_(to_cufft(rows)) {
    require_device(device);
    twin_ = dynamic_cast<cufft_twin*>(device.machine);
    expects(twin_ != nullptr, errc::not_built, "this cuda_on_host machine has no stand-in for cuFFT");
  }
  std::size_t workspace_bytes() const { return 0; }

  /// Bins 0 .. n / 2 of every row; the input is kept.
  void run(const float* in, std::complex<float>* out) {
    if (detail::ready_for_cufft(device_, rows_, in, out)) twin_->exec_r2c(call_, in, out);
  }

 private:
  cuda_on_host device_;
  real_rows rows_;
  cufft_arguments call_;
  cufft_twin* twin_ = nullptr;
};

#if defined(HOCKET_WITH_CUDA)

template <>
class cufft_plan<cuda> {
 public:
  cufft_plan(const cuda& device, const real_rows& rows) : device_(device), rows_(rows) {
    require_device(device);
    cufft_arguments call = to_cufft(rows);
    if (rows.batch == 0) return;
    require_cufft(cufftCreate(&plan_), "cufftCreate");
    made_ = true;
    try {
      require_cufft(cufftSetAutoAllocation(plan_, 0), "cufftSetAutoAllocation");
      std::size_t bytes = 0;
      require_cufft(cufftMakePlanMany64(plan_, call.rank, &call.n, &call.inembed, call.istride, call.idist,
                                        &call.onembed, call.ostride, call.odist, CUFFT_R2C, call.batch, &bytes),
                    "cufftMakePlanMany64");
      workspace_ = device_buffer<unsigned char, cuda>(device, "workspace of cuFFT", bytes);
      if (bytes > 0) require_cufft(cufftSetWorkArea(plan_, workspace_.data()), "cufftSetWorkArea");
      require_cufft(cufftSetStream(plan_, static_cast<cudaStream_t>(device.stream)), "cufftSetStream");
    } catch (...) {
      cufftDestroy(plan_);
      throw;
    }
  }
  cufft_plan(const cufft_plan&) = delete;
  cufft_plan& operator=(const cufft_plan&) = delete;
  ~cufft_plan() {
    if (made_) cufftDestroy(plan_);
  }
  std::size_t workspace_bytes() const { return workspace_.size(); }

  void run(const float* in, std::complex<float>* out) {
    if (!detail::ready_for_cufft(device_, rows_, in, out)) return;
    // out of place: cuFFT does not write its input, which its interface cannot say
    require_cufft(cufftExecR2C(plan_, const_cast<float*>(in), reinterpret_cast<cufftComplex*>(out)), "cufftExecR2C");
  }

 private:
  cuda device_;
  real_rows rows_;
  cufftHandle plan_ = 0;
  bool made_ = false;
  device_buffer<unsigned char, cuda> workspace_;
};

#endif

}  // namespace hocket::kernels::fft
