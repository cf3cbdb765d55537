// The same chain fed piece by piece: bit-identical to the offline plan for any chunking, without allocation after
// construction. Only for options whose frames stand alone; with top_db a frame would have to wait for the clip's peak.
//
//   mfcc_plan<float> plan(options, 16000);
//   mfcc_stream<float> stream(plan);
//   while (...) count = stream.push(chunk, out);   // out (rows, >= stream.frames_after(chunk.size())): columns 0 ..
//   count count = stream.finish(out);                    // out (rows, >= stream.frames_at_finish())
#pragma once

#include <algorithm>
#include <complex>
#include <cstddef>
#include <type_traits>

#include <hocket/audio/mfcc.hpp>

namespace hocket::audio {

/// One channel of one clip at a time. The plan must outlive the stream; streams on one plan are independent.
template <Real T>
class mfcc_stream {
 public:
  explicit mfcc_stream(const mfcc_plan<T>& plan) : plan_(&plan), space_(checked(plan).kernel()) {
    const kernels::mfcc::tables<T>& t = plan.tables();
    const std::size_t lead = static_cast<std::size_t>(std::max<std::ptrdiff_t>(t.lead, 0));
    history_ = t.frame_length + lead + 2;
    const std::size_t block = std::min(t.hop, t.frame_length) * plan.kernel().lanes() + 64;
    held_ = buffer<T>(history_ + 2 * (t.frame_length + lead) + block);
    reset();
  }

  /// Forgets everything and begins a new clip.
  void reset() {
    begin_ = end_ = plan_->tables().lead;
    if (begin_ > 0) begin_ = 0;  // room for what the first frame sees before sample 0
    raw_ = taken_ = next_ = 0;
    before_ = T{0};
    headed_ = finished_ = false;
  }

  const mfcc_plan<T>& plan() const { return *plan_; }
  /// Samples and frames so far.
  std::size_t samples() const { return raw_; }
  std::size_t frames() const { return next_; }

  /// Frames that a push of `more` samples yields.
  std::size_t frames_after(std::size_t more) const {
    const std::size_t taken = taken_after(raw_ + more);
    return taken < head_samples() && !headed_ ? 0 : ready(taken) - next_;
  }
  /// Frames that finish() will yield.
  std::size_t frames_at_finish() const { return plan_->frames(raw_) - next_; }

  /// Takes any number of samples; writes the frames that have become complete to columns 0, 1, ... of out (rows,
  /// columns) and returns how many. Throws before it changes anything.
  template <class U>
  std::size_t push(const view<const T, 1>& chunk, const view<U, 2>& out) {
    expects(!finished_, errc::unsupported_shape, "the stream is finished; call reset() for another clip");
    check(out, frames_after(chunk.extent(0)));
    return feed(chunk.data(), chunk.extent(0), out, 0);
  }

  /// Ends the clip: pads it as the options say and writes the remaining frames.
  template <class U>
  std::size_t finish(const view<U, 2>& out) {
    expects(!finished_, errc::unsupported_shape, "the stream is finished; call reset() for another clip");
    check(out, frames_at_finish());
    std::size_t column = 0;
    const T zeros[64] = {};
    while (raw_ < plan_->clip().least_samples)
      column = feed(zeros, std::min<std::size_t>(64, plan_->clip().least_samples - raw_), out, column);
    if (raw_ == 1 && taken_ == 0) append(&before_, 1);  // a lone sample has nothing to be extrapolated from
    finished_ = true;

    const kernels::mfcc::tables<T>& t = plan_->tables();
    const std::size_t total = t.frames(taken_);
    if (total == next_) return column;
    if (!headed_) fill_head();
    make_room();
    const auto n = static_cast<std::ptrdiff_t>(taken_);
    const auto last = static_cast<std::ptrdiff_t>((total - 1) * t.hop + t.frame_length);
    for (std::ptrdiff_t at = end_; at < last; ++at) {
      const std::ptrdiff_t from = kernels::mfcc::padded_index(t.pad, t.position(at - t.lead, n), n);
      slot(at) = from == kernels::mfcc::outside ? T{0} : slot(from + t.lead);
    }
    end_ = std::max(end_, last);
    return emit(total, out, column);
  }

 private:
  // Positions count from the first sample of frame 0, so frame f begins at f * hop and sample i lies at i + lead.

  static const mfcc_plan<T>& checked(const mfcc_plan<T>& plan) {
    expects(plan.frame_local(), errc::bad_option,
            "these options cannot stream: top_db = ", plan.options().top_db.value_or(0),
            " counts from the peak of the whole ", name_of(plan.options().peak), "; set top_db=none");
    return plan;
  }
  template <class U>
  void check(const view<U, 2>& out, std::size_t count) const {
    constexpr bool complex_out = !std::is_same_v<U, T>;
    expects(complex_out == (plan_->what() == feature::stft), errc::unsupported_shape, "the feature ",
            name_of(plan_->what()), " is ",
            complex_out ? "real, the output is complex" : "complex, the output is real");
    expects(count == 0 || (out.extent(0) == plan_->rows() && out.extent(1) >= count), errc::unsupported_shape, count,
            " frames of ", plan_->rows(), " rows are due, the output is ", to_text(out.extents()));
  }

  T& slot(std::ptrdiff_t at) { return held_[static_cast<std::size_t>(at - begin_)]; }
  /// Samples that must be there before what lies before sample 0 is known.
  std::size_t head_samples() const {
    const std::ptrdiff_t lead = plan_->tables().lead;
    if (lead <= 0) return 0;
    switch (plan_->tables().pad) {
      case padding::none:
      case padding::constant: return 0;
      case padding::edge: return 1;
      case padding::reflect: return static_cast<std::size_t>(lead) + 1;
      case padding::edge_mirror: return static_cast<std::size_t>(lead);
    }
    return 0;
  }
  bool emphasizes() const { return plan_->clip().preemphasis != T{0}; }
  /// Conditioned samples after `raw` given ones: pre-emphasis needs the second before it knows the first.
  std::size_t taken_after(std::size_t raw) const { return emphasizes() && raw == 1 ? 0 : raw; }
  /// Frames that are complete within `taken` samples.
  std::size_t ready(std::size_t taken) const {
    const kernels::mfcc::tables<T>& t = plan_->tables();
    const std::ptrdiff_t room =
        static_cast<std::ptrdiff_t>(taken) + t.lead - static_cast<std::ptrdiff_t>(t.frame_length);
    if (room < 0) return next_;
    return std::max(next_, std::min(static_cast<std::size_t>(room) / t.hop + 1, t.frames(taken)));
  }

  template <class U>
  std::size_t feed(const T* x, std::size_t n, const view<U, 2>& out, std::size_t column) {
    while (n > 0) {
      if (end_ - begin_ == static_cast<std::ptrdiff_t>(held_.size())) make_room();
      const std::size_t free = held_.size() - static_cast<std::size_t>(end_ - begin_);
      // one slot may be owed to a first sample that was held back
      const std::size_t count = emphasizes() && free > 1 ? std::min(n, free - 1) : std::min(n, free);
      take(x, count);
      x += count;
      n -= count;
      if (!headed_ && taken_ >= head_samples() && taken_ > 0) fill_head();
      if (headed_) column = emit(ready(taken_), out, column);
      if (n > 0) make_room();
    }
    return column;
  }

  /// Pre-emphasis across the clip, if any, and into the buffer.
  void take(const T* x, std::size_t n) {
    if (!emphasizes()) {
      raw_ += n;
      return append(x, n);
    }
    if (raw_ == 0 && n > 0) {
      before_ = *x++;
      raw_ = 1;
      --n;
    }
    if (n == 0) return;
    if (taken_ == 0) {
      const T pair[2] = {before_, x[0]};
      const T first = first_emphasized(plan_->clip().start, pair, 2);
      append(&first, 1);
    }
    preemphasize(x, n, plan_->clip().preemphasis, before_, &slot(end_));
    end_ += static_cast<std::ptrdiff_t>(n);
    taken_ += n;
    raw_ += n;
    before_ = x[n - 1];
  }
  void append(const T* x, std::size_t n) {
    std::copy_n(x, n, held_.data() + (end_ - begin_));
    end_ += static_cast<std::ptrdiff_t>(n);
    taken_ += n;
  }

  /// What the first frames see before sample 0.
  void fill_head() {
    const kernels::mfcc::tables<T>& t = plan_->tables();
    for (std::ptrdiff_t at = 0; at < t.lead; ++at) {
      const std::ptrdiff_t from = kernels::mfcc::padded_index(t.pad, at - t.lead, static_cast<std::ptrdiff_t>(taken_));
      slot(at) = from == kernels::mfcc::outside ? T{0} : slot(from + t.lead);
    }
    headed_ = true;
  }

  /// Drops what neither the next frame nor the padding at the end can need.
  void make_room() {
    if (!headed_) return;
    const std::ptrdiff_t keep = std::max(begin_, std::min(static_cast<std::ptrdiff_t>(next_ * plan_->tables().hop),
                                                          end_ - static_cast<std::ptrdiff_t>(history_)));
    std::copy(held_.data() + (keep - begin_), held_.data() + (end_ - begin_), held_.data());
    begin_ = keep;
  }

  /// Frames next_ .. until.
  template <class U>
  std::size_t emit(std::size_t until, const view<U, 2>& out, std::size_t column) {
    if (until == next_) return column;
    const std::size_t count = until - next_;
    kernels::mfcc::run_frames(plan_->kernel(), space_, &slot(static_cast<std::ptrdiff_t>(next_ * plan_->tables().hop)),
                              count, next_, out.data() + column, out.stride(0));
    next_ = until;
    return column + count;
  }

  const mfcc_plan<T>* plan_;
  kernels::mfcc::workspace<T> space_;
  buffer<T> held_;
  std::size_t history_ = 0;             ///< samples kept for the padding at the end
  std::ptrdiff_t begin_ = 0, end_ = 0;  ///< positions that the buffer holds
  std::size_t raw_ = 0, taken_ = 0;     ///< samples given, and conditioned
  std::size_t next_ = 0;                ///< the frame to come
  T before_ = 0;                        ///< the last given sample
  bool headed_ = false, finished_ = false;
};

}  // namespace hocket::audio

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in audio/instances.cpp
namespace hocket::audio {
HOCKET_AUDIO_INSTANCE class mfcc_stream<float>;
HOCKET_AUDIO_INSTANCE class mfcc_stream<double>;
}  // namespace hocket::audio
#endif
