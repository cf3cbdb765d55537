// The way back from a short-time transform: overlap-add of the windowed inverse transforms, divided by the sum of
// squared windows, which is the least-squares signal of a modified transform (Griffin and Lim, "Signal estimation from
// modified short-time Fourier transform", 1984, eq. 6). librosa.istft's conventions.
#pragma once

#include <algorithm>
#include <complex>
#include <cstddef>
#include <limits>
#include <optional>
#include <vector>

#include <hocket/audio/mfcc.hpp>
#include <hocket/kernels/fft/cpu.hpp>

namespace hocket::audio {

/// Frames of one set of conventions back to samples. Building may throw and allocates; run() does neither.
template <Real T>
class istft_plan {
 public:
  explicit istft_plan(const mfcc_options& options, double sample_rate = 22050)
      : options_(resolve(options, sample_rate)),
        tables_(make_tables<T>(options_, sample_rate, feature::stft)),
        transform_(tables_.n_fft),
        level_(best_isa()) {
    expects(options_.framing == framing_rule::fft, errc::bad_option,
            "only framing=fft can be inverted: Kaldi's frames have lost their mean and their pre-emphasis");
    factor_ = T{1} / (tables_.stft_scale * static_cast<T>(tables_.n_fft));
  }

  std::size_t rows() const { return tables_.n_bins(); }
  /// Samples that `frames` frames give when no length is asked for: whole hops, without the padding of a centred clip.
  std::size_t samples(std::size_t frames) const {
    if (frames == 0) return 0;
    return tables_.n_fft + tables_.hop * (frames - 1) - 2 * trimmed();
  }

  /// Memory of one run.
  buffer<T> make_workspace() const { return buffer<T>(2 * lanes() * (2 * tables_.n_fft + transform_.work())); }

  /// bins (K,F) -> out (n): the first n samples; what no frame covers is zero. Unchecked.
  void run(const view<const std::complex<T>, 2>& bins, const view<T, 1>& out, buffer<T>& space) const noexcept {
    const std::size_t n_fft = tables_.n_fft, width = lanes(), frames = bins.extent(1);
    T* const spectrum = space.data();
    T* const wave = spectrum + 2 * width * n_fft;
    T* const work = wave + 2 * width * n_fft;
    std::fill_n(out.data(), out.extent(0), T{0});
    for (std::size_t f = 0; f < frames; f += width) {
      const std::size_t count = std::min(width, frames - f);
      load(bins, f, count, spectrum);
      transform(spectrum, wave, work);
      for (std::size_t lane = 0; lane < count; ++lane) overlap_add(wave, lane, f + lane, out);
    }
    normalize(frames, out);
  }

  /// Checked; `length` samples, or as many as the frames give.
  std::vector<T> operator()(const view<const std::complex<T>, 2>& bins,
                            std::optional<std::size_t> length = std::nullopt) const {
    expects(bins.extent(0) == rows(), errc::unsupported_shape, "n_fft = ", tables_.n_fft, " has ", rows(),
            " bins, the transform has ", bins.extent(0), " rows");
    std::vector<T> out(length.value_or(samples(bins.extent(1))));
    buffer<T> space = make_workspace();
    run(bins, make_view(out), space);
    return out;
  }

 private:
  std::size_t lanes() const { return kernels::fft::register_bytes(level_) / sizeof(T); }
  /// Samples of padding before the clip.
  std::size_t trimmed() const { return options_.center ? tables_.n_fft / 2 : 0; }

  /// Frames f .. f + count as conjugated whole spectra, one per lane: the transform of the conjugate of a signal's
  /// spectrum is n_fft times the signal.
  void load(const view<const std::complex<T>, 2>& bins, std::size_t f, std::size_t count, T* spectrum) const noexcept {
    const std::size_t n_fft = tables_.n_fft, width = lanes();
    std::fill_n(spectrum, 2 * width * n_fft, T{0});
    for (std::size_t k = 0; k < rows(); ++k)
      for (std::size_t lane = 0; lane < count; ++lane) {
        const std::complex<T> x = bins(k, f + lane);
        const std::size_t mirror = (n_fft - k) % n_fft;
        spectrum[2 * width * mirror + lane] = spectrum[2 * width * k + lane] = x.real();
        if (mirror == k) continue;  // DC and Nyquist of a real signal have no imaginary part
        spectrum[2 * width * k + width + lane] = -x.imag();
        spectrum[2 * width * mirror + width + lane] = x.imag();
      }
  }

  void transform(const T* in, T* out, T* work) const noexcept {
#if defined(__x86_64__)
    if (level_ == isa::avx512) return kernels::fft::avx512::transform(transform_, in, out, work);
    if (level_ == isa::avx2) return kernels::fft::avx2::transform(transform_, in, out, work);
#endif
    kernels::fft::baseline::transform(transform_, in, out, work);
  }

  void overlap_add(const T* wave, std::size_t lane, std::size_t f, const view<T, 1>& out) const noexcept {
    const std::size_t width = lanes(), offset = tables_.fft_offset;
    const std::ptrdiff_t first =
        static_cast<std::ptrdiff_t>(f * tables_.hop + offset) - static_cast<std::ptrdiff_t>(trimmed());
    for (std::size_t i = 0; i < tables_.frame_length; ++i) {
      const std::ptrdiff_t at = first + static_cast<std::ptrdiff_t>(i);
      if (at < 0 || at >= static_cast<std::ptrdiff_t>(out.extent(0))) continue;
      out[static_cast<std::size_t>(at)] += wave[2 * width * (i + offset) + lane] * tables_.window[i] * factor_;
    }
  }

  /// Divides by the sum of squared windows where it is more than the least normal number.
  void normalize(std::size_t frames, const view<T, 1>& out) const noexcept {
    for (std::size_t n = 0; n < out.extent(0); ++n) {
      const std::size_t at = n + trimmed(), offset = tables_.fft_offset, length = tables_.frame_length;
      if (at < offset) continue;
      // frames f with f hop <= at - offset < f hop + length
      const std::size_t place = at - offset;
      const std::size_t first = place < length ? 0 : (place - length) / tables_.hop + 1;
      const std::size_t last = std::min(place / tables_.hop + 1, frames);
      double sum = 0;
      for (std::size_t f = first; f < last; ++f) {
        const double w = static_cast<double>(tables_.window[place - f * tables_.hop]);
        sum += w * w;
      }
      if (sum > static_cast<double>(std::numeric_limits<T>::min()))
        out[n] = static_cast<T>(static_cast<double>(out[n]) / sum);
    }
  }

  mfcc_options options_;
  kernels::mfcc::tables<T> tables_;
  kernels::fft::plan<T> transform_;
  isa level_;
  T factor_ = 1;
};

/// Samples of a complex transform (K,F) made with these options.
template <Real T>
std::vector<T> istft(const view<const std::complex<T>, 2>& bins, const mfcc_options& options = {},
                     std::optional<std::size_t> length = std::nullopt, double sample_rate = 22050) {
  return istft_plan<T>(options, sample_rate)(bins, length);
}

}  // namespace hocket::audio

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in audio/instances.cpp
namespace hocket::audio {
HOCKET_AUDIO_INSTANCE class istft_plan<float>;
HOCKET_AUDIO_INSTANCE class istft_plan<double>;
}  // namespace hocket::audio
#endif
