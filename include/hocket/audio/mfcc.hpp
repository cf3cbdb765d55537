// The one pipeline from samples to cepstra, and every stop on the way:
//
//   auto options = hocket::audio::preset("librosa-0.11");
//   hocket::audio::mfcc_plan<float> plan(options, 22050);
//   auto mfcc = plan(clip);                          // (C, F), checked, allocates its result
//
// or, without allocation: make a workspace once, then run() on views, which is noexcept.
#pragma once

#include <algorithm>
#include <complex>
#include <cstddef>
#include <hocket/audio/clip.hpp>
#include <hocket/audio/options.hpp>
#include <hocket/audio/presets.hpp>
#include <hocket/audio/resolve.hpp>
#include <hocket/core/buffer.hpp>
#include <hocket/core/device.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/mfcc/reference.hpp>
#include <string_view>
#include <utility>

namespace hocket::audio {

/// An owned row-major matrix: (rows, columns) = (features, frames).
template <class T>
struct matrix {
  buffer<T> values;
  std::size_t rows = 0, columns = 0;

  matrix() = default;
  matrix(std::size_t rows_, std::size_t columns_) : values(rows_ * columns_), rows(rows_), columns(columns_) {}
  view<T, 2> as_view() { return {values.data(), {rows, columns}}; }
  view<const T, 2> as_view() const { return {values.data(), {rows, columns}}; }
  T& operator()(std::size_t r, std::size_t c) { return values[r * columns + c]; }
  const T& operator()(std::size_t r, std::size_t c) const { return values[r * columns + c]; }
};

/// Memory of one running extraction; one per concurrent caller.
template <Real T>
struct mfcc_workspace {
  buffer<T> clip;  ///< (channels, samples) after the clip-wide steps; empty when there are none
};

/// Options, sample rate and feature made ready. Building may throw and allocates; running does neither.
template <Real T>
class mfcc_plan {
 public:
  mfcc_plan(const mfcc_options& options, double sample_rate, feature what = feature::mfcc, const cpu& device = {})
      : options_(resolve(options, sample_rate)),
        sample_rate_(sample_rate),
        what_(what),
        device_(device),
        tables_(make_tables<T>(options_, sample_rate, what)) {
    require_threads(device);
    clip_.least_samples = padded_samples(options_, sample_rate);
    clip_.start = options_.preemphasis_start;
    if (options_.preemphasis_over == emphasis_scope::clip) clip_.preemphasis = static_cast<T>(*options_.preemphasis);
  }

  /// The options with every size filled in.
  const mfcc_options& options() const { return options_; }
  double sample_rate() const { return sample_rate_; }
  feature what() const { return what_; }
  const cpu& device() const { return device_; }
  const kernels::mfcc::tables<T>& tables() const { return tables_; }
  const clip_stage<T>& clip() const { return clip_; }

  /// Rows of the result: K, M or C.
  std::size_t rows() const {
    switch (what_) {
      case feature::stft:
      case feature::power:
        return tables_.n_bins();
      case feature::mel:
      case feature::logmel:
        return tables_.n_mels;
      case feature::mfcc:
        return tables_.n_mfcc;
    }
    return 0;
  }
  /// Columns of the result for a clip of `samples`: 0 when it is shorter than an uncentred frame.
  std::size_t frames(std::size_t samples) const {
    return samples == 0 ? 0 : tables_.frames(clip_.samples_after(samples));
  }
  /// Whether a frame depends on nothing but its own samples: no peak of the clip is needed, so the chain can stream.
  bool frame_local() const { return tables_.peak == peak_scope::none; }
  /// Mel bands that no bin falls into.
  std::size_t empty_bands() const {
    return static_cast<std::size_t>(std::count(tables_.mel_length.begin(), tables_.mel_length.end(), std::uint32_t{0}));
  }

  /// Memory for clips of at most `channels` x `samples`.
  mfcc_workspace<T> make_workspace(std::size_t samples, std::size_t channels = 1) const {
    mfcc_workspace<T> space;
    if (clip_.changes(samples) || clip_.least_samples > 0)
      space.clip = buffer<T>(clip_.samples_after(samples) * channels);
    return space;
  }

  /// Channels of one clip (channels, n) -> (channels, rows, F); top_db's peak is taken as the options say. Unchecked.
  void run(const view<const T, 2>& channels, const view<T, 3>& out, mfcc_workspace<T>& space) const noexcept {
    kernels::mfcc::reference::run(tables_, stage_of(what_), conditioned(channels, space), out);
  }
  /// The complex transform of every channel: (channels, n) -> (channels, K, F). Unchecked.
  void run(const view<const T, 2>& channels, const view<std::complex<T>, 3>& out,
           mfcc_workspace<T>& space) const noexcept {
    kernels::mfcc::reference::stft(tables_, conditioned(channels, space), out);
  }
  /// One channel: (n) -> (rows, F). Unchecked.
  template <class U>
  void run(const view<const T, 1>& clip, const view<U, 2>& out, mfcc_workspace<T>& space) const noexcept {
    run(view<const T, 2>(clip.data(), {1, clip.extent(0)}),
        view<U, 3>(out.data(), {1, out.extent(0), out.extent(1)}, {out.extent(0) * out.stride(0), out.stride(0), 1}),
        space);
  }
  /// A batch of independent clips of one length: (B, n) -> (B, rows, F); each clip has its own peak. Unchecked.
  void run_batch(const view<const T, 2>& clips, const view<T, 3>& out, mfcc_workspace<T>& space) const noexcept {
    for (std::size_t b = 0; b < clips.extent(0); ++b) run(clips[b], out[b], space);
  }

  /// Throws unsupported_shape unless a clip of `samples` fits `out`, and when the feature is of the other kind.
  template <class U>
  void check(std::size_t samples, const view<U, 2>& out) const {
    constexpr bool complex_out = !std::is_same_v<U, T>;
    expects(complex_out == (what_ == feature::stft), errc::unsupported_shape, "the feature ", name_of(what_), " is ",
            what_ == feature::stft ? "complex" : "real", ", the output is not");
    expects(out.extent(0) == rows() && out.extent(1) == frames(samples), errc::unsupported_shape, "a clip of ", samples,
            " samples gives ", rows(), " x ", frames(samples), " (", name_of(what_), "), the output is ",
            to_text(out.extents()));
  }

  /// Checked extraction of one channel.
  template <class U>
  void extract(const view<const T, 1>& clip, const view<U, 2>& out, mfcc_workspace<T>& space) const {
    check(clip.extent(0), out);
    run(clip, out, space);
  }
  /// Checked extraction into a new matrix (rows, F); the feature must be real.
  matrix<T> operator()(const view<const T, 1>& clip) const {
    matrix<T> out(rows(), frames(clip.extent(0)));
    mfcc_workspace<T> space = make_workspace(clip.extent(0));
    extract(clip, out.as_view(), space);
    return out;
  }
  /// Checked complex transform into a new matrix (K, F); the feature must be stft.
  matrix<std::complex<T>> stft(const view<const T, 1>& clip) const {
    matrix<std::complex<T>> out(rows(), frames(clip.extent(0)));
    mfcc_workspace<T> space = make_workspace(clip.extent(0));
    extract(clip, out.as_view(), space);
    return out;
  }

 private:
  view<const T, 2> conditioned(const view<const T, 2>& channels, mfcc_workspace<T>& space) const noexcept {
    const std::size_t n = channels.extent(1), after = clip_.samples_after(n);
    if (!clip_.changes(n)) return channels;
    const view<T, 2> all(space.clip.data(), {channels.extent(0), after});
    for (std::size_t c = 0; c < channels.extent(0); ++c) clip_.run(channels[c], all[c]);
    return all;
  }

  mfcc_options options_;
  double sample_rate_;
  feature what_;
  cpu device_;
  kernels::mfcc::tables<T> tables_;
  clip_stage<T> clip_;
};

/// A feature of one clip by name of the preset, in one call: (rows, F).
template <Real T>
matrix<T> extract(std::string_view preset_name, const view<const T, 1>& clip, double sample_rate,
                  feature what = feature::mfcc, const cpu& device = {}) {
  return mfcc_plan<T>(preset(preset_name), sample_rate, what, device)(clip);
}

}  // namespace hocket::audio
