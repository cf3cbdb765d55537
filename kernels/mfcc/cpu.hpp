// The chain from samples to cepstra, fused: a block of frames (one per SIMD lane) goes from samples to its output rows
// without a spectrogram in memory. Only when the clip's peak is needed (top_db, Whisper's range) are the log-mel values
// of the clip kept in the workspace.
//
//   const plan<float> how(tables, stage::mfcc);               // or plan<float> how(tables, stage::mfcc, "fftw");
//   workspace<float> memory(how, max_samples, channels, threads);
//   run(how, memory, samples /* (channels, n) */, out /* (channels, how.rows(), frames) */, cpu{threads});
//
// run and run_frames are noexcept and allocate nothing; views are taken as they are (include/hocket/audio validates
// them). A frame's bits depend on its samples only: not on lane, block, thread count, or on how a stream was cut.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include <hocket/core/buffer.hpp>
#include <hocket/core/config.hpp>
#include <hocket/core/parallel.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/core/simd.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/fft/cpu.hpp>
#include <hocket/kernels/mfcc/plan.hpp>

namespace hocket::kernels::mfcc {

/// Samples that frames are cut from.
template <Real T>
struct span_of_samples {
  const T* data;
  std::ptrdiff_t size;
  std::size_t base = 0;   ///< streaming: data[0] is the first sample of this frame ...
  bool streamed = false;  ///< ... and frames never reach beyond the data
  std::ptrdiff_t begin_of(const tables<T>& t, std::size_t f) const {
    return streamed ? static_cast<std::ptrdiff_t>((f - base) * t.hop) : static_cast<std::ptrdiff_t>(f * t.hop) - t.lead;
  }
};

}  // namespace hocket::kernels::mfcc

#define HOCKET_SIMD_BODY <hocket/kernels/mfcc/cpu_body.inl>
#include <hocket/core/simd_each.hpp>

namespace hocket::kernels::mfcc {

/// All memory of a run. `max_samples` and `max_channels` bound the clips that need a peak; other clips may be of any
/// size. One workspace serves one call at a time.
template <Real T>
class workspace {
 public:
  explicit workspace(const plan<T>& how, std::size_t max_samples = 0, std::size_t max_channels = 1, int threads = 1)
      : workers_(static_cast<std::size_t>(std::max(threads, 1))), memory_(workers_ * how.worker_size()) {
    if (!how.needs_peak()) return;
    channels_ = max_channels;
    blocks_ = (how.facts().frames(max_samples) + how.lanes() - 1) / how.lanes();
    held_ = buffer<T>(workers_ * channels_ * blocks_ * held_size(how));
    peaks_ = buffer<T>(workers_ * channels_ * peak_pitch);
  }

  int threads() const { return static_cast<int>(workers_); }
  std::size_t bytes() const { return (memory_.size() + held_.size() + peaks_.size()) * sizeof(T); }
  /// Whether a clip of this shape fits.
  bool fits(const plan<T>& how, std::size_t channels, std::size_t samples) const {
    return !how.needs_peak() ||
           (channels <= channels_ && (how.facts().frames(samples) + how.lanes() - 1) / how.lanes() <= blocks_);
  }

  // For the kernel.
  static std::size_t held_size(const plan<T>& how) { return (how.facts().n_mels + 1) * how.lanes(); }
  T* worker(const plan<T>& how, std::size_t w) { return memory_.data() + w * how.worker_size(); }
  /// Log-mel values of block b of channel c, in the store of worker w.
  T* held(const plan<T>& how, std::size_t w, std::size_t c, std::size_t b) {
    return held_.data() + ((w * channels_ + c) * blocks_ + b) * held_size(how);
  }
  T& peak(std::size_t w, std::size_t c) { return peaks_[(w * channels_ + c) * peak_pitch]; }

 private:
  static constexpr std::size_t peak_pitch = 16;  // workers write to cache lines of their own
  std::size_t workers_, channels_ = 0, blocks_ = 0;
  buffer<T> memory_, held_, peaks_;
};

namespace detail {

template <Real T>
T run_block(const plan<T>& how, T* memory, const span_of_samples<T>& from, std::size_t f, std::size_t count, T* out,
            std::size_t stride, T* held) {
#if defined(__x86_64__)
  if (how.level() == isa::avx512) return avx512::run_block(how, memory, from, f, count, out, stride, held);
  if (how.level() == isa::avx2) return avx2::run_block(how, memory, from, f, count, out, stride, held);
#endif
  return baseline::run_block(how, memory, from, f, count, out, stride, held);
}

template <Real T>
void finish_block(const plan<T>& how, T* memory, T least, const T* held, std::size_t count, T* out,
                  std::size_t stride) {
#if defined(__x86_64__)
  if (how.level() == isa::avx512) return avx512::finish_block(how, memory, least, held, count, out, stride);
  if (how.level() == isa::avx2) return avx2::finish_block(how, memory, least, held, count, out, stride);
#endif
  baseline::finish_block(how, memory, least, held, count, out, stride);
}

/// Where an output row and frame lie; a frame of a complex output is two T's.
template <Real T>
struct target {
  T* data;
  std::size_t channel_stride, row_stride, frame_width;
};

/// One clip with `device.threads` workers over its blocks; the first worker's memory is `worker`.
template <Real T>
void run_clip(const plan<T>& how, workspace<T>& memory, const view<const T, 2>& samples, const target<T>& out,
              const cpu& device, std::size_t worker) {
  const tables<T>& t = how.facts();
  const std::size_t width = how.tile(), channels = samples.extent(0), frames = t.frames(samples.extent(1));
  const std::size_t blocks = (frames + width - 1) / width;
  if (blocks == 0 || channels == 0) return;
  const bool holds = how.needs_peak();
  const T none = -std::numeric_limits<T>::infinity();
  if (holds)
    for (std::size_t w = 0; w < static_cast<std::size_t>(device.threads); ++w)
      for (std::size_t c = 0; c < channels; ++c) memory.peak(worker + w, c) = none;

  for_each_tile(device, channels * blocks, [&](std::size_t tile, std::size_t w) {
    const std::size_t c = tile / blocks, b = tile % blocks, f = b * width;
    const span_of_samples<T> from{samples.data() + c * samples.stride(0),
                                  static_cast<std::ptrdiff_t>(samples.extent(1))};
    T* to = out.data + c * out.channel_stride + f * out.frame_width;
    const T largest = run_block(how, memory.worker(how, worker + w), from, f, std::min(width, frames - f), to,
                                out.row_stride, holds ? memory.held(how, worker, c, b) : nullptr);
    if (holds && largest > memory.peak(worker + w, c)) memory.peak(worker + w, c) = largest;
  });
  if (!holds) return;

  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t w = 1; w < static_cast<std::size_t>(device.threads); ++w)
      memory.peak(worker, c) = std::max(memory.peak(worker, c), memory.peak(worker + w, c));
  if (t.peak == peak_scope::clip) {
    T largest = none;
    for (std::size_t c = 0; c < channels; ++c) largest = std::max(largest, memory.peak(worker, c));
    for (std::size_t c = 0; c < channels; ++c) memory.peak(worker, c) = largest;
  }
  for_each_tile(device, channels * blocks, [&](std::size_t tile, std::size_t w) {
    const std::size_t c = tile / blocks, b = tile % blocks, f = b * width;
    T* to = out.data + c * out.channel_stride + f * out.frame_width;
    finish_block(how, memory.worker(how, worker + w), memory.peak(worker, c) - t.range, memory.held(how, worker, c, b),
                 std::min(width, frames - f), to, out.row_stride);
  });
}

}  // namespace detail

/// A clip of a batch: samples (channels, n), out (channels, rows, frames(n)).
template <Real T>
struct clip {
  view<const T, 2> samples;
  view<T, 3> out;
};

/// Power, mel, log-mel or cepstra of one clip. device.threads <= memory.threads().
template <Real T>
void run(const plan<T>& how, workspace<T>& memory, view<const T, 2> samples, view<T, 3> out,
         const cpu& device = {}) noexcept {
  detail::run_clip(how, memory, samples, {out.data(), out.stride(0), out.stride(1), 1}, device, 0);
}

/// Complex spectrum of one clip (stage::stft).
template <Real T>
void run(const plan<T>& how, workspace<T>& memory, view<const T, 2> samples, view<std::complex<T>, 3> out,
         const cpu& device = {}) noexcept {
  detail::run_clip(how, memory, samples, {reinterpret_cast<T*>(out.data()), 2 * out.stride(0), out.stride(1), 2},
                   device, 0);
}

/// Many clips: whole clips are dealt to the workers when there are at least four for each, so that a clip's log-mel
/// values stay in one core's cache; otherwise each clip is shared out.
template <Real T>
void run(const plan<T>& how, workspace<T>& memory, std::span<const clip<T>> clips, const cpu& device = {}) noexcept {
  const auto one = [&](const clip<T>& job, const cpu& workers, std::size_t first) {
    detail::run_clip(how, memory, job.samples, {job.out.data(), job.out.stride(0), job.out.stride(1), 1}, workers,
                     first);
  };
  if (device.threads > 1 && clips.size() >= 4 * static_cast<std::size_t>(device.threads)) {
    for_each_tile(
        device, clips.size(), [&](std::size_t i, std::size_t w) { one(clips[i], cpu{1}, w); }, true);
  } else {
    for (const clip<T>& job : clips) one(job, device, 0);
  }
}

/// Streaming: `count` frames cut from one run of samples, on the calling thread. Frame j covers first[j * hop + i] for
/// i in [0, frame_length): `first` is x[frame * hop - lead], and what lies beyond the ends of the stream the caller has
/// padded. Value r of frame j goes to out[r * row_stride + j]. `frame` is the stream's number of frame 0 (dither
/// depends on it). Needs how.frame_local().
template <Real T>
void run_frames(const plan<T>& how, workspace<T>& memory, const T* first, std::size_t count, std::size_t frame, T* out,
                std::size_t row_stride) noexcept {
  const std::size_t width = how.tile(), frame_width = how.stop() == stage::stft ? 2 : 1;
  if (count == 0) return;
  const span_of_samples<T> from{
      first, static_cast<std::ptrdiff_t>((count - 1) * how.facts().hop + how.facts().frame_length), frame, true};
  for (std::size_t f = 0; f < count; f += width)
    detail::run_block(how, memory.worker(how, 0), from, frame + f, std::min(width, count - f), out + f * frame_width,
                      row_stride, static_cast<T*>(nullptr));
}

/// The same for stage::stft.
template <Real T>
void run_frames(const plan<T>& how, workspace<T>& memory, const T* first, std::size_t count, std::size_t frame,
                std::complex<T>* out, std::size_t row_stride) noexcept {
  run_frames(how, memory, first, count, frame, reinterpret_cast<T*>(out), row_stride);
}

}  // namespace hocket::kernels::mfcc

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in instances.cpp
#define HOCKET_INSTANCE extern template
#include <hocket/kernels/mfcc/instances.inl>
#undef HOCKET_INSTANCE
#endif
