// What cpu.hpp derives from the tables once: the order of the constants in memory, the transform, the sizes of a
// worker's memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include <hocket/core/buffer.hpp>
#include <hocket/core/simd.hpp>
#include <hocket/kernels/fft/engine.hpp>
#include <hocket/kernels/fft/plan.hpp>
#include <hocket/kernels/mfcc/check.hpp>
#include <hocket/kernels/mfcc/tables.hpp>

namespace hocket::kernels::mfcc {

/// Immutable after construction; any number of threads may run it, each on its own workspace. All members are read by
/// the kernel and by nobody else but through the functions.
template <Real T>
class plan {
 public:
  /// `fft_engine`: "own", or the name of a registered engine ("fftw" after <hocket/kernels/fft/vendor_fftw.hpp>).
  /// Throws unsupported_shape for tables that do not fit together.
  plan(tables<T> facts, stage stop, std::string_view fft_engine = "own")
      : facts_(std::move(facts)), stop_(stop), level_(best_isa()), transform_(checked(facts_, stop).n_fft) {
    const tables<T>& t = facts_;
    engine_ = fft::make_engine<T>(fft_engine, transform_.complex().size());
    prepared_ = t.dither != T{0} || t.remove_dc || t.preemphasis != T{0} ||
                (stop == stage::mfcc && t.energy != energy_source::none);
    // Every factor that is the same for all bins goes into the window: one multiplication per sample does it all. The
    // half belongs to the step from half a complex to a real transform.
    const T factor = (prepared_ ? T{1} : t.sample_scale) * t.stft_scale * (transform_.halved() ? T(0.5) : T{1});
    window_ = buffer<T>(row_pitch());
    for (std::size_t i = 0; i < t.frame_length; ++i) window_[t.fft_offset + i] = t.window[i] * factor;
    dct_ = buffer<T>(t.n_mels * t.n_mfcc);
    row_sums_ = buffer<T>(t.n_mfcc);
    for (std::size_t c = 0; c < t.n_mfcc; ++c) {
      double sum = 0;
      for (std::size_t m = 0; m < t.n_mels; ++m) {
        dct_[m * t.n_mfcc + c] = t.dct[c * t.n_mels + m];
        sum += static_cast<double>(t.dct[c * t.n_mels + m]);
      }
      row_sums_[c] = static_cast<T>(sum);
    }
  }

  const tables<T>& facts() const { return facts_; }
  stage stop() const { return stop_; }
  isa level() const { return level_; }
  /// Frames that one run of the kernel body takes side by side.
  std::size_t lanes() const { return fft::register_bytes(level_) / sizeof(T); }
  /// Frames that one call of the kernel body takes: a block, or several where the output has a row for every bin, so
  /// that a row's page is visited once for all of them.
  std::size_t tile() const { return lanes() * tile_blocks(); }
  std::size_t tile_blocks() const { return stop_ == stage::stft || stop_ == stage::power ? 4 : 1; }
  /// Rows of the output: K bins, M bands or C coefficients.
  std::size_t rows() const {
    switch (stop_) {
      case stage::stft:
      case stage::power: return facts_.n_bins();
      case stage::mel:
      case stage::log_mel: return facts_.n_mels;
      case stage::mfcc: return facts_.n_mfcc;
    }
    return 0;
  }
  /// Whether the clip's peak enters the output, so that all log-mel values must be known before the first is final.
  bool needs_peak() const {
    return (stop_ == stage::log_mel || stop_ == stage::mfcc) && facts_.peak != peak_scope::none;
  }
  /// Whether every frame stands alone: only such a plan can stream.
  bool frame_local() const { return !needs_peak(); }

  const fft::real_plan<T>& transform() const { return transform_; }
  const fft::row_engine<T>* engine() const { return engine_.get(); }
  /// Whether frames are changed before the window (dither, mean, pre-emphasis, energy) and so need rows of their own.
  bool prepared() const { return prepared_; }
  const T* window() const { return window_.data(); }  ///< (row_pitch) in transform order, zero outside the frame
  const T* dct() const { return dct_.data(); }        ///< (M,C): transposed
  const T* dct_row_sums() const { return row_sums_.data(); }  ///< (C): over the bands
  /// T's between two rows of samples: n_fft rounded up to whole registers.
  std::size_t row_pitch() const { return (facts_.n_fft + 15) / 16 * 16; }

  // A worker's memory in T's, in this order.
  std::size_t rows_size() const { return lanes() * row_pitch(); }
  std::size_t wave_size() const { return 2 * lanes() * std::max(transform_.complex().size(), facts_.n_bins()); }
  std::size_t bins_size() const { return 2 * lanes() * facts_.n_bins() * tile_blocks(); }
  std::size_t work_size() const { return 2 * lanes() * transform_.complex().work(); }
  std::size_t mel_size() const { return lanes() * (facts_.n_mels + facts_.n_mfcc + 1); }
  /// An engine's rows, one in and one out for each lane. A pitch that is no multiple of a page spreads them over the
  /// cache.
  std::size_t engine_pitch() const { return (2 * transform_.complex().size() + 63) / 64 * 64 + 48; }
  std::size_t engine_size() const { return engine_ ? (lanes() + 1) * engine_pitch() + 64 : 0; }
  std::size_t worker_size() const {
    return (rows_size() + 2 * wave_size() + bins_size() + work_size() + mel_size() + engine_size() + 63) / 64 * 64;
  }

 private:
  tables<T> facts_;
  stage stop_;
  isa level_;
  fft::real_plan<T> transform_;
  std::unique_ptr<fft::row_engine<T>> engine_;
  bool prepared_ = false;
  buffer<T> window_, dct_, row_sums_;
};

}  // namespace hocket::kernels::mfcc
