// The CUDA chain of the experiment programs; the same templates run on the host executor in tests/audio/cuda_mfcc.cpp.
#include <hocket/audio/cuda_mfcc.cuh>

#include "experiments/audio_features/extract_cuda.hpp"

namespace hocket::experiments::audio_features {

audio::matrix<float> cuda_feature(const audio::mfcc_options& options, double sample_rate, audio::feature what,
                                  const view<const float, 1>& clip) {
  return audio::cuda_mfcc_plan<cuda>(options, sample_rate, what, cuda{})(clip);
}

audio::matrix<std::complex<float>> cuda_stft(const audio::mfcc_options& options, double sample_rate,
                                             const view<const float, 1>& clip) {
  return audio::cuda_mfcc_plan<cuda>(options, sample_rate, audio::feature::stft, cuda{}).stft(clip);
}

}  // namespace hocket::experiments::audio_features
