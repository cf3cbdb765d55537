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
#include <string_view>
#include <utility>

#include <hocket/audio/clip.hpp>
#include <hocket/audio/options.hpp>
#include <hocket/audio/presets.hpp>
#include <hocket/audio/resolve.hpp>
#include <hocket/core/buffer.hpp>
#include <hocket/core/device.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/mfcc/cpu.hpp>

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
  kernels::mfcc::workspace<T> kernel;
  buffer<T> clips;                           ///< clips after the clip-wide steps; empty when there are none
  std::vector<kernels::mfcc::clip<T>> jobs;  ///< of a batch
  std::size_t bytes() const { return kernel.bytes() + clips.size() * sizeof(T); }
};

/// Options, sample rate and feature made ready. Building may throw and allocates; running does neither. Any number of
/// threads may run one plan, each on a workspace of its own.
template <Real T>
class mfcc_plan {
 public:
  /// `fft_engine` is "own", or "fftw" after <hocket/kernels/fft/vendor_fftw.hpp>.
  mfcc_plan(const mfcc_options& options, double sample_rate, feature what = feature::mfcc, const cpu& device = {},
            std::string_view fft_engine = "own")
      : options_(resolve(options, sample_rate)),
        sample_rate_(sample_rate),
        what_(what),
        device_(device),
        kernel_(make_tables<T>(options_, sample_rate, what), stage_of(what), fft_engine) {
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
  const kernels::mfcc::plan<T>& kernel() const { return kernel_; }
  const kernels::mfcc::tables<T>& tables() const { return kernel_.facts(); }
  const clip_stage<T>& clip() const { return clip_; }

  /// Rows of the result: K, M or C.
  std::size_t rows() const { return kernel_.rows(); }
  /// Columns of the result for a clip of `samples`: 0 when it is shorter than an uncentred frame.
  std::size_t frames(std::size_t samples) const { return tables().frames(clip_.samples_after(samples)); }
  /// Whether a frame depends on nothing but its own samples: no peak of the clip is needed, so the chain can stream.
  bool frame_local() const { return kernel_.frame_local(); }
  /// Mel bands that no bin falls into; they hold the logarithm's floor.
  std::size_t empty_bands() const {
    const auto& lengths = tables().mel_length;
    return static_cast<std::size_t>(std::count(lengths.begin(), lengths.end(), std::uint32_t{0}));
  }

  /// Memory for clips of at most `channels` x `samples`, or for a batch of `clips` of them.
  mfcc_workspace<T> make_workspace(std::size_t samples, std::size_t channels = 1, std::size_t clips = 1) const {
    const std::size_t after = clip_.samples_after(samples);
    const bool copies = clip_.preemphasis != T{0} || clip_.least_samples > 0;
    return {kernels::mfcc::workspace<T>(kernel_, after, channels, device_.threads),
            buffer<T>(copies ? clips * channels * after : 0), std::vector<kernels::mfcc::clip<T>>(clips)};
  }

  /// Channels of one clip (channels, n) -> (channels, rows, F); top_db's peak is taken as the options say. Unchecked.
  void run(const view<const T, 2>& channels, const view<T, 3>& out, mfcc_workspace<T>& space) const noexcept {
    kernels::mfcc::run(kernel_, space.kernel, conditioned(channels, space), out, device_);
  }
  /// The complex transform of every channel: (channels, n) -> (channels, K, F). Unchecked.
  void run(const view<const T, 2>& channels, const view<std::complex<T>, 3>& out,
           mfcc_workspace<T>& space) const noexcept {
    kernels::mfcc::run(kernel_, space.kernel, conditioned(channels, space), out, device_);
  }
  /// One channel: (n) -> (rows, F). Unchecked.
  template <class U>
  void run(const view<const T, 1>& clip, const view<U, 2>& out, mfcc_workspace<T>& space) const noexcept {
    run(as_channels(clip), as_channels(out), space);
  }
  /// A batch of independent clips of one length: (B, n) -> (B, rows, F); each clip has its own peak. Unchecked; the
  /// workspace is made for as many clips.
  void run_batch(const view<const T, 2>& clips, const view<T, 3>& out, mfcc_workspace<T>& space) const noexcept {
    const view<const T, 2> ready = conditioned(clips, space);
    for (std::size_t b = 0; b < clips.extent(0); ++b) space.jobs[b] = {as_channels(ready[b]), as_channels(out[b])};
    kernels::mfcc::run(kernel_, space.kernel,
                       std::span<const kernels::mfcc::clip<T>>(space.jobs.data(), clips.extent(0)), device_);
  }

  /// Throws unsupported_shape unless `channels` x `samples` fit the output (channels, rows, F) and the workspace, or
  /// when the feature is of the other kind.
  template <class U>
  void check(std::size_t channels, std::size_t samples, const view<U, 3>& out, const mfcc_workspace<T>& space) const {
    constexpr bool complex_out = !std::is_same_v<U, T>;
    expects(complex_out == (what_ == feature::stft), errc::unsupported_shape, "the feature ", name_of(what_), " is ",
            what_ == feature::stft ? "complex, the output is real" : "real, the output is complex");
    expects(out.extent(0) == channels && out.extent(1) == rows() && out.extent(2) == frames(samples),
            errc::unsupported_shape, "clips of ", samples, " samples give ", channels, " x ", rows(), " x ",
            frames(samples), " values (", name_of(what_), "), the output is ", to_text(out.extents()));
    const std::size_t after = clip_.samples_after(samples);
    expects(space.kernel.threads() >= device_.threads && space.kernel.fits(kernel_, channels, after) &&
                (!clip_.changes(samples) || channels * after <= space.clips.size()),
            errc::unsupported_shape, "the workspace was made for less than ", channels, " x ", samples,
            " samples; call make_workspace for the largest clip");
  }

  /// Checked extraction of all channels of a clip.
  template <class U>
  void extract(const view<const T, 2>& channels, const view<U, 3>& out, mfcc_workspace<T>& space) const {
    check(channels.extent(0), channels.extent(1), out, space);
    run(channels, out, space);
  }
  /// Checked extraction of one channel.
  template <class U>
  void extract(const view<const T, 1>& clip, const view<U, 2>& out, mfcc_workspace<T>& space) const {
    extract(as_channels(clip), as_channels(out), space);
  }
  /// Checked extraction of a batch of independent clips of one length.
  void extract_batch(const view<const T, 2>& clips, const view<T, 3>& out, mfcc_workspace<T>& space) const {
    expects(clips.extent(0) <= space.jobs.size(), errc::unsupported_shape, "the workspace was made for ",
            space.jobs.size(), " clips, the batch has ", clips.extent(0));
    if (clips.extent(0) == 0) return;
    check(1, clips.extent(1), as_channels(out[0]), space);
    expects(out.extent(0) == clips.extent(0), errc::unsupported_shape, "the batch has ", clips.extent(0),
            " clips, the output ", out.extent(0));
    run_batch(clips, out, space);
  }
  /// Checked extraction into a new matrix (rows, F); the feature must be real.
  matrix<T> operator()(const view<const T, 1>& clip) const { return extract_new<T>(clip); }
  /// Checked complex transform into a new matrix (K, F); the feature must be stft.
  matrix<std::complex<T>> stft(const view<const T, 1>& clip) const { return extract_new<std::complex<T>>(clip); }

 private:
  template <class U>
  static view<U, 2> as_channels(const view<U, 1>& clip) {
    return {clip.data(), {1, clip.extent(0)}};
  }
  template <class U>
  static view<U, 3> as_channels(const view<U, 2>& rows) {
    return {rows.data(), {1, rows.extent(0), rows.extent(1)}, {rows.extent(0) * rows.stride(0), rows.stride(0), 1}};
  }
  template <class U>
  matrix<U> extract_new(const view<const T, 1>& clip) const {
    matrix<U> out(rows(), frames(clip.extent(0)));
    mfcc_workspace<T> space = make_workspace(clip.extent(0));
    extract(clip, out.as_view(), space);
    return out;
  }
  view<const T, 2> conditioned(const view<const T, 2>& channels, mfcc_workspace<T>& space) const noexcept {
    const std::size_t n = channels.extent(1), after = clip_.samples_after(n);
    if (!clip_.changes(n)) return channels;
    const view<T, 2> all(space.clips.data(), {channels.extent(0), after});
    for (std::size_t c = 0; c < channels.extent(0); ++c) clip_.run(channels[c], all[c]);
    return all;
  }

  mfcc_options options_;
  double sample_rate_;
  feature what_;
  cpu device_;
  kernels::mfcc::plan<T> kernel_;
  clip_stage<T> clip_;
};

/// A feature of one clip by name of the preset, in one call: (rows, F).
template <Real T>
matrix<T> extract(std::string_view preset_name, const view<const T, 1>& clip, double sample_rate,
                  feature what = feature::mfcc, const cpu& device = {}) {
  return mfcc_plan<T>(preset(preset_name), sample_rate, what, device)(clip);
}

}  // namespace hocket::audio

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in audio/instances.cpp
namespace hocket::audio {
HOCKET_AUDIO_INSTANCE class mfcc_plan<float>;
HOCKET_AUDIO_INSTANCE class mfcc_plan<double>;
}  // namespace hocket::audio
#endif
