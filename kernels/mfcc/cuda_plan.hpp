// What the CUDA chain derives from the tables once, on the host and without CUDA: every table as two flat arrays to
// upload, the shape of a block, and the layout of a batch of ragged clips.
//
//   const gpu::plan how(tables, stage::mfcc);                       // float tables, from include/hocket/audio
//   upload how.values() and how.words() once;
//   const gpu::batch clips = how.lay_out(ranges, channels);          // ranges: offset and length of every clip
//   upload clips.clips, clips.tiles and clips.finish_tiles; then see cuda_launch.cuh
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <hocket/core/error.hpp>
#include <hocket/kernels/fft/cuda_plan.hpp>
#include <hocket/kernels/mfcc/check.hpp>
#include <hocket/kernels/mfcc/cuda_chain.hpp>
#include <hocket/kernels/mfcc/tables.hpp>

namespace hocket::kernels::mfcc::gpu {

/// |X - reference| <= promise x epsilon x sum over i of |window[i]| x the largest sample of the frame, as the CPU's
/// arms promise: the depth of the passes, three times as deep with Bluestein's chirp. What follows are sums of positive
/// terms and functions within two units in the last place.
inline double promise(std::size_t n_fft) {
  const double depth = std::log2(static_cast<double>(n_fft) + 1) + 3;
  return fft::small_radices(n_fft).empty() && n_fft > 1 ? 3 * (depth + 2) : depth;
}

/// What happens to a clip before its first frame, as audio::clip_stage does it on the CPU; here on the way from memory.
struct clip_steps {
  std::size_t least_samples = 0;  ///< zeros are appended up to this length
  float preemphasis = 0;          ///< x[i] -= c x[i - 1] over the whole clip
  bool extrapolate = false;       ///< the first sample is 3 x[0] - x[1], librosa's; else x[0], torchaudio's
};

struct plan_options {
  /// Dynamic shared memory that a block may take. The default is what every card since sm_75 gives; sm_80 gives 163 KiB
  /// and sm_90 227 KiB to a caller that knows its card.
  std::size_t shared_bytes = std::size_t{63} << 10;
  /// Frames that a block takes, 1, 2, 4 or 8; 0 leaves the choice to the plan: as many as 47 KiB hold, so that several
  /// blocks share a multiprocessor. No value changes a bit of the output.
  std::size_t frames_per_block = 0;
  clip_steps clip = {};
};

/// A clip's place in the samples of a batch: channels x samples numbers from `offset` on, channel after channel.
struct clip_range {
  std::size_t offset = 0, samples = 0;
};

/// The layout of a batch. The output is dense: (channels, rows, frames) of the first clip, of the second, and so on.
struct batch {
  std::vector<clip_entry> clips;
  std::vector<std::uint32_t> tiles, finish_tiles;  ///< the clip of every tile
  std::size_t channels = 1;
  std::size_t frames = 0;   ///< of one channel of all clips
  std::size_t samples = 0;  ///< where the last sample ends
};

/// Immutable after construction.
class plan {
 public:
  /// Throws unsupported_shape for tables that do not fit together and for a frame that does not fit shared memory.
  plan(const tables<float>& facts, stage stop, const plan_options& options = {})
      : facts_(facts), stop_(stop), clip_(options.clip), transform_(points(checked(facts_, stop))) {
    expects(stop != stage::mfcc || facts_.n_mels >= 1, errc::unsupported_shape,
            "mfcc: 0 bands; cepstra need at least 1");
    lay_out_tables();
    shape_block(options);
  }

  const tables<float>& facts() const { return facts_; }
  stage stop() const { return stop_; }
  const std::vector<float>& values() const { return values_; }
  const std::vector<std::uint32_t>& words() const { return words_; }

  /// Rows of the output: K bins, M bands or C coefficients.
  std::size_t rows() const {
    return stop_ <= stage::power ? facts_.n_bins() : stop_ == stage::mfcc ? facts_.n_mfcc : facts_.n_mels;
  }
  /// Whether the clip's peak enters the output: three kernels instead of one.
  bool needs_peak() const {
    return (stop_ == stage::log_mel || stop_ == stage::mfcc) && facts_.peak != peak_scope::none;
  }
  std::size_t frames_per_block() const { return std::size_t{1} << chain_.frames_log2; }
  /// Dynamic shared memory of a block of the fused kernel, and of the one that finishes cepstra.
  std::size_t shared_bytes() const { return 2 * std::size_t{chain_.area}; }
  std::size_t finish_shared_bytes() const { return sizeof(float) * (finish_frames + 1) * facts_.n_mels; }

  /// Throws unsupported_shape for more than 2^31 frames, or a clip of 2^31 samples.
  batch lay_out(std::span<const clip_range> ranges, std::size_t channels = 1) const {
    constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max() / 2;
    expects(channels >= 1 && channels <= 65535, errc::unsupported_shape, "mfcc: ", channels,
            " channels; expected 1 to 65535");
    expects(ranges.size() <= most, errc::unsupported_shape, "mfcc: ", ranges.size(), " clips in a batch; at most ",
            most);
    batch b;
    b.channels = channels;
    for (const clip_range& range : ranges) {
      const std::size_t length = std::max(range.samples, clip_.least_samples);
      expects(length <= most, errc::unsupported_shape, "mfcc: a clip of ", length, " samples; at most ", most,
              " are supported, cut it");
      const std::size_t count = facts_.frames(length);
      expects(count <= most && b.frames + count <= most, errc::unsupported_shape, "mfcc: a batch of ", b.frames + count,
              " frames; at most ", most, " are supported, cut it");
      const auto at = static_cast<std::uint32_t>(b.clips.size());
      b.clips.push_back({range.offset, word(range.samples), word(length), word(count), word(b.frames),
                         word(b.tiles.size()), word(b.finish_tiles.size())});
      b.tiles.insert(b.tiles.end(), (count + frames_per_block() - 1) / frames_per_block(), at);
      b.finish_tiles.insert(b.finish_tiles.end(), (count + finish_frames - 1) / finish_frames, at);
      b.frames += count;
      b.samples = std::max(b.samples, range.offset + channels * range.samples);
    }
    return b;
  }

  /// Numbers of the output of a batch (complex ones for stage::stft).
  std::size_t output_size(const batch& b) const { return b.channels * rows() * b.frames; }
  /// Floats of workspace that a batch needs: peaks of tiles and clips, and before cepstra the log-mel values.
  std::size_t workspace_size(const batch& b) const {
    return needs_peak() ? b.channels * (b.tiles.size() + b.clips.size() + held_rows() * b.frames) : 0;
  }
  /// Rows that wait in the workspace for the peak; log-mel values wait in the output.
  std::size_t held_rows() const {
    return stop_ == stage::mfcc ? facts_.n_mels + (facts_.energy != energy_source::none ? 1 : 0) : 0;
  }

  /// The kernel argument, given copies of values() and words() on the device.
  chain bind(const float* values, const std::uint32_t* words) const {
    chain c = chain_;
    static_assert(sizeof(fft::gpu::pass) == 5 * sizeof(std::uint32_t));
    c.transform = transform_.bind(reinterpret_cast<const fft::gpu::pass*>(words + passes_), values + numbers_);
    c.split = reinterpret_cast<const fft::gpu::complex*>(values + split_);
    c.window = values + window_;
    c.mel_weights = values + mel_weights_;
    c.dct = values + dct_;
    c.dct_row_sums = values + dct_row_sums_;
    c.mel_first = words + mel_;
    c.mel_length = words + mel_ + facts_.n_mels;
    c.mel_begin = words + mel_ + 2 * facts_.n_mels;
    return c;
  }

 private:
  static std::uint32_t word(std::size_t x) { return static_cast<std::uint32_t>(x); }
  static std::size_t points(const tables<float>& t) { return t.n_fft % 2 == 0 ? t.n_fft / 2 : t.n_fft; }

  /// Appends 16-byte aligned numbers and returns where they begin.
  template <class T, class Range>
  static std::size_t append(std::vector<T>& to, const Range& from) {
    to.resize((to.size() + 3) / 4 * 4);
    const std::size_t at = to.size();
    to.insert(to.end(), from.begin(), from.end());
    return at;
  }

  void lay_out_tables() {
    const tables<float>& t = facts_;
    const bool even = t.n_fft % 2 == 0, bands = stop_ >= stage::mel;
    chain& c = chain_;
    c.energy = stop_ == stage::mfcc ? t.energy : energy_source::none;
    c.prepared = t.dither != 0 || t.remove_dc || t.preemphasis != 0 || c.energy != energy_source::none;

    numbers_ = append(values_, transform_.numbers);
    std::vector<float> turns;
    for (std::size_t k = 0; even && k <= t.n_fft / 4; ++k) {
      const auto [re, im] = fft::root_of_unity<float>(k, t.n_fft);
      turns.insert(turns.end(), {re, im});
    }
    split_ = append(values_, turns);
    // One multiplication per sample does all that is the same for every bin; the half belongs to the step from half a
    // complex to a real transform.
    const float half = even ? 0.5f : 1.0f, factor = (c.prepared ? 1.0f : t.sample_scale) * t.stft_scale * half;
    std::vector<float> window(t.window);
    for (float& w : window) w *= factor;
    window_ = append(values_, window);
    c.frame_unit = 1 / half;
    c.windowed_unit = 1 / (t.stft_scale * half * t.stft_scale * half);

    if (bands) mel_weights_ = append(values_, t.mel_weights);
    if (stop_ == stage::mfcc) {
      std::vector<float> cosines(t.dct.size()), sums(t.n_mfcc);
      for (std::size_t k = 0; k < t.n_mfcc; ++k) {
        double sum = 0;
        for (std::size_t m = 0; m < t.n_mels; ++m) {
          cosines[m * t.n_mfcc + k] = t.dct[k * t.n_mels + m];
          sum += static_cast<double>(t.dct[k * t.n_mels + m]);
        }
        sums[k] = static_cast<float>(sum);
      }
      dct_ = append(values_, cosines);
      dct_row_sums_ = append(values_, sums);
    }
    std::vector<std::uint32_t> words;
    for (const fft::gpu::pass& p : transform_.passes)
      words.insert(words.end(), {p.radix, p.m, p.s, p.reciprocal, p.twiddles});
    passes_ = append(words_, words);
    words.clear();
    if (bands)
      for (const auto* of : {&t.mel_first, &t.mel_length, &t.mel_begin})
        words.insert(words.end(), of->begin(), of->end());
    mel_ = append(words_, words);

    c.hop = static_cast<std::int64_t>(t.hop);
    c.lead = t.lead;
    const std::size_t middle = t.n_fft / 2;
    c.turn = t.split_reflection && even && middle >= 2 && t.hop >= middle ? static_cast<std::int64_t>(middle) : 0;
    c.dither_seed = t.dither_seed;
    c.n_fft = word(t.n_fft);
    c.n_bins = word(t.n_bins());
    c.frame_length = word(t.frame_length);
    c.fft_offset = word(t.fft_offset);
    c.n_mels = word(t.n_mels);
    c.n_mfcc = word(t.n_mfcc);
    c.pad = t.pad;
    c.remove_dc = t.remove_dc;
    c.take_log = t.take_log;
    c.clip_preemphasis = clip_.preemphasis;
    c.extrapolate = clip_.extrapolate;
    c.sample_scale = t.sample_scale;
    c.dither = t.dither;
    c.preemphasis = t.preemphasis;
    c.power = t.power;
    c.energy_floor = t.energy_floor > 0 ? t.energy_floor : std::numeric_limits<float>::min();
    c.energy_scale = t.energy_scale;
    c.log_scale = t.log_scale;
    c.log_floor = t.log_floor;
    c.log_offset = t.log_offset;
    c.log_shift = t.log_shift;
    c.range = t.range;
    c.out_shift = t.out_shift;
    c.out_scale = t.out_scale;
  }

  /// Complex numbers between two frames' arrays: 16 / frames modulo 16, so that threads that read the same element of
  /// neighbouring frames meet different banks.
  std::size_t pitch_of(std::size_t frames) const {
    const std::size_t least = std::max(fft::gpu::padded(transform_.length), (facts_.frame_length + 1) / 2);
    const std::size_t wanted = 16 / frames % 16;
    return least + (wanted + 16 - least % 16) % 16;
  }
  /// Bytes of one of the two areas: the arrays of all frames, or the log-mel values of all frames.
  std::size_t area_of(std::size_t frames) const {
    const std::size_t bands = stop_ == stage::mfcc ? facts_.n_mels : 0;
    const std::size_t bytes =
        std::max(frames * pitch_of(frames) * sizeof(fft::gpu::complex), (frames + 1) * bands * sizeof(float));
    return (bytes + 15) / 16 * 16;
  }
  void shape_block(const plan_options& options) {
    constexpr std::size_t several_fit = std::size_t{47} << 10;
    std::size_t frames = options.frames_per_block;
    if (frames == 0)
      for (frames = max_frames; frames > 1 && 2 * area_of(frames) > std::min(several_fit, options.shared_bytes);)
        frames /= 2;
    expects(frames == 1 || frames == 2 || frames == 4 || frames == 8, errc::bad_option, "mfcc: ", frames,
            " frames per block; expected 1, 2, 4, 8, or 0 for the plan's choice");
    const std::size_t needed =
        std::max(2 * area_of(frames), needs_peak() && stop_ == stage::mfcc ? finish_shared_bytes() : 0);
    expects(needed <= options.shared_bytes, errc::unsupported_shape, "mfcc: n_fft = ", facts_.n_fft, " and ",
            facts_.n_mels, " bands need ", needed, " bytes of shared memory, a block has ", options.shared_bytes,
            transform_.chirped ? "; a length with prime factors up to 7 takes a quarter" : "",
            "; raise plan_options::shared_bytes if the card has more, or use the CPU");
    while ((std::size_t{1} << chain_.frames_log2) < frames) ++chain_.frames_log2;
    chain_.pitch = word(pitch_of(frames));
    chain_.area = word(area_of(frames));
  }

  tables<float> facts_;
  stage stop_;
  clip_steps clip_;
  fft::gpu::flat_plan transform_;
  std::vector<float> values_;
  std::vector<std::uint32_t> words_;
  std::size_t numbers_ = 0, split_ = 0, window_ = 0, mel_weights_ = 0, dct_ = 0, dct_row_sums_ = 0;  ///< in values_
  std::size_t passes_ = 0, mel_ = 0;                                                                 ///< in words_
  chain chain_{};
};

}  // namespace hocket::kernels::mfcc::gpu
