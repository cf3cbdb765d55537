#pragma once

#include "bench/cuda/mfcc.cuh"
#include "cuda_gpu/room.hpp"

namespace hocket::gpu_tests {

template <CudaDevice Device>
room<Device> mfcc_room() {
  // preset: librosa-0.11, librosa-1.0, torchaudio, kaldi, whisper; 97 and 211 are primes, transformed through the chirp
  const auto size = [](std::size_t preset, std::size_t n_fft, std::size_t clips, std::size_t least, std::size_t samples,
                       std::size_t channels) {
    return dimensions{{"preset", preset}, {"n_fft", n_fft},     {"clips", clips},
                      {"least", least},   {"samples", samples}, {"channels", channels}};
  };
  const auto launches = [](const cuda_kernel& kernel, const dimensions& sizes) -> std::vector<std::string> {
    if (kernel.variant == "frames") return {kernel.name, "hocket_mfcc_turnspectrum_f32"};
    if (kernel.variant == "held") {
      const bool cepstra = bench::mfcc_batch_of(kernel.variant, sizes).how.stop() == kernels::mfcc::stage::mfcc;
      return {kernel.name, "hocket_mfcc_peaks_f32",
              cepstra ? "hocket_mfcc_finishcepstra_f32" : "hocket_mfcc_finishlogmel_f32"};
    }
    if (kernel.variant == "peaks" || kernel.variant.starts_with("finish") || kernel.variant == "turnspectrum")
      return {};
    return {kernel.name};
  };
  room<Device> made{"mfcc",
                    {size(3, 0, 3, 0, 1000, 2), size(0, 97, 2, 150, 260, 1), size(4, 60, 4, 1, 333, 1)},
                    {size(0, 0, 40, 5000, 60001, 2), size(3, 0, 300, 0, 32000, 1), size(4, 0, 5, 100000, 480000, 1),
                     size(2, 211, 17, 0, 20011, 3)},
                    &bench::prepare_mfcc<Device>,
                    launches};
  made.arguments = [](const cuda_kernel& kernel, const dimensions& sizes) {
    return bench::mfcc_arguments(kernel.variant, sizes);
  };
  return made;
}

}  // namespace hocket::gpu_tests
