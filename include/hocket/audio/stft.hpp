// Short-time Fourier transforms in one call. The conventions are those of mfcc_options; only the samples, frames and
// spectrum switches matter here.
#pragma once

#include <complex>
#include <cstddef>

#include <hocket/audio/mfcc.hpp>

namespace hocket::audio {

/// Complex spectrum (K,F) of a clip (n). The sample rate matters only to frame lengths given in milliseconds.
template <Real T>
matrix<std::complex<T>> stft(const view<const T, 1>& clip, const mfcc_options& options = {}, double sample_rate = 22050,
                             const cpu& device = {}) {
  return mfcc_plan<T>(options, sample_rate, feature::stft, device).stft(clip);
}

/// |X|^power (K,F) of a clip (n); the exponent is options.power: 2 power, 1 magnitude, any other positive number.
template <Real T>
matrix<T> spectrogram(const view<const T, 1>& clip, const mfcc_options& options = {}, double sample_rate = 22050,
                      const cpu& device = {}) {
  return mfcc_plan<T>(options, sample_rate, feature::power, device)(clip);
}

}  // namespace hocket::audio
