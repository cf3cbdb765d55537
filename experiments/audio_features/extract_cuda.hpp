// Features of one channel on the first CUDA device, in f32. The verb asks for them only where require_backend passed.
#pragma once

#include <complex>
#include <type_traits>

#include <hocket/audio/mfcc.hpp>
#include <hocket/core/error.hpp>

namespace hocket::experiments::audio_features {

#if defined(HOCKET_WITH_CUDA)
/// Compiled by nvcc: extract_cuda.cu.
audio::matrix<float> cuda_feature(const audio::mfcc_options& options, double sample_rate, audio::feature what,
                                  const view<const float, 1>& clip);
audio::matrix<std::complex<float>> cuda_stft(const audio::mfcc_options& options, double sample_rate,
                                             const view<const float, 1>& clip);
#endif

/// A real feature (rows, F); not_built for f64 and in a program without CUDA.
template <Real T>
audio::matrix<T> feature_on_cuda([[maybe_unused]] const audio::mfcc_options& options,
                                 [[maybe_unused]] double sample_rate, [[maybe_unused]] audio::feature what,
                                 [[maybe_unused]] const view<const T, 1>& clip) {
#if defined(HOCKET_WITH_CUDA)
  if constexpr (std::is_same_v<T, float>) return cuda_feature(options, sample_rate, what, clip);
#endif
  fail(errc::not_built, "this program has no CUDA chain for ", name_of(dtype_of<T>));
}

/// The complex transform (K, F).
template <Real T>
audio::matrix<std::complex<T>> stft_on_cuda([[maybe_unused]] const audio::mfcc_options& options,
                                            [[maybe_unused]] double sample_rate,
                                            [[maybe_unused]] const view<const T, 1>& clip) {
#if defined(HOCKET_WITH_CUDA)
  if constexpr (std::is_same_v<T, float>) return cuda_stft(options, sample_rate, clip);
#endif
  fail(errc::not_built, "this program has no CUDA chain for ", name_of(dtype_of<T>));
}

}  // namespace hocket::experiments::audio_features
