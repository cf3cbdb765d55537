// The complex spectrum of a batch of ragged clips through cuFFT, beside the fused one of cuda.cuh: windowed frames to
// memory, cuFFT over them, and the layout (channels, K, frames) of each clip. Included by choice; its program links
// cufft.
#pragma once

#include <complex>
#include <cstddef>

#include <hocket/core/cuda/runtime.hpp>
#include <hocket/kernels/fft/vendor_cufft.hpp>
#include <hocket/kernels/mfcc/cuda_launch.cuh>

namespace hocket::kernels::mfcc::gpu {

/// Made for one size of batch; run() allocates nothing.
template <CudaDevice Device>
class cufft_stft {
 public:
  cufft_stft(const Device& device, const plan& how, const batch& clips)
      : device_(device),
        rows_(clips.channels * clips.frames),
        n_(how.facts().n_fft),
        bins_(how.facts().n_bins()),
        frames_(device, "frames for cuFFT", rows_ * n_),
        spectrum_(device, "spectrum of cuFFT", rows_ * bins_),
        transform_(device, {n_, rows_, n_, bins_}) {}

  std::size_t workspace_bytes() const {
    return sizeof(float) * frames_.size() + sizeof(std::complex<float>) * spectrum_.size() +
           transform_.workspace_bytes();
  }

  /// As stft() of cuda_launch.cuh. Throws unsupported_shape for a batch of another size.
  template <class Sample>
  void run(const plan& how, const tables_on_device& tables, const batch& clips, const batch_on_device& layout,
           view<const Sample, 1> samples, view<std::complex<float>, 1> out) {
    cut_frames(device_, how, tables, clips, layout, samples, view<float, 2>(frames_.data(), {rows_, n_}));
    transform_.run(frames_.data(), spectrum_.data());
    turn_spectrum(device_, how, tables, clips, layout,
                  view<const std::complex<float>, 2>(spectrum_.data(), {rows_, bins_}), out);
  }

 private:
  Device device_;
  std::size_t rows_, n_, bins_;
  device_buffer<float, Device> frames_;
  device_buffer<std::complex<float>, Device> spectrum_;
  fft::cufft_plan<Device> transform_;
};

}  // namespace hocket::kernels::mfcc::gpu
