// Whether tables fit together, asked once by every plan of this room.
#pragma once

#include <cstddef>

#include <hocket/core/error.hpp>
#include <hocket/kernels/mfcc/tables.hpp>

namespace hocket::kernels::mfcc {

namespace detail {

template <Real T>
void check_mel(const tables<T>& t) {
  expects(t.mel_first.size() == t.n_mels && t.mel_length.size() == t.n_mels && t.mel_begin.size() == t.n_mels,
          errc::unsupported_shape, "mfcc: ", t.n_mels, " bands, but tables of ", t.mel_first.size(), ", ",
          t.mel_length.size(), " and ", t.mel_begin.size());
  for (std::size_t m = 0; m < t.n_mels; ++m)
    expects(std::size_t{t.mel_first[m]} + t.mel_length[m] <= t.n_bins() &&
                std::size_t{t.mel_begin[m]} + t.mel_length[m] <= t.mel_weights.size(),
            errc::unsupported_shape, "mfcc: band ", m, " covers bins ", t.mel_first[m], " + ", t.mel_length[m], " of ",
            t.n_bins());
}

}  // namespace detail

/// Returns t; throws unsupported_shape for tables that do not carry the chain as far as `stop`.
template <Real T>
const tables<T>& checked(const tables<T>& t, stage stop) {
  expects(t.n_fft >= 1, errc::unsupported_shape, "mfcc: n_fft is 0; a transform has at least 1 point");
  expects(t.hop >= 1, errc::unsupported_shape, "mfcc: hop is 0; frames must advance by at least 1 sample");
  expects(t.frame_length >= 1 && t.frame_length + t.fft_offset <= t.n_fft, errc::unsupported_shape, "mfcc: a frame of ",
          t.frame_length, " samples at offset ", t.fft_offset, " does not fit a transform of ", t.n_fft);
  expects(t.window.size() == t.frame_length, errc::unsupported_shape, "mfcc: the window has ", t.window.size(),
          " values, a frame has ", t.frame_length);
  if (stop != stage::stft && stop != stage::power) detail::check_mel(t);
  if (stop == stage::mfcc)
    expects(t.dct.size() == t.n_mfcc * t.n_mels, errc::unsupported_shape, "mfcc: the cosine table has ", t.dct.size(),
            " values, ", t.n_mfcc, " x ", t.n_mels, " are needed");
  return t;
}

}  // namespace hocket::kernels::mfcc
