// The batches of clips that the CUDA arms of the chain from samples to cepstra run, without CUDA: `preset` (its place
// in audio::presets::table), `n_fft` (0: the preset's), `clips` from `least` to `samples` samples long, `channels`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/audio/presets.hpp>
#include <hocket/audio/resolve.hpp>
#include <hocket/kernels/mfcc/cuda_plan.hpp>

#include "bench/support/cuda_kernels.hpp"

namespace hocket::bench {

struct mfcc_batch {
  double rate;
  kernels::mfcc::gpu::plan how;
  std::vector<kernels::mfcc::gpu::clip_range> ranges;
  kernels::mfcc::gpu::batch layout;

  double seconds() const {
    std::size_t samples = 0;
    for (const auto& range : ranges) samples += range.samples;
    return static_cast<double>(samples) / rate;
  }
};

/// The arm of a variant: stft, power, mel; logmel and cepstra without a peak; held with one, up to cepstra, or to
/// log-mel values for a preset without cepstra; frames and cufft, the spectrum through another library.
inline mfcc_batch mfcc_batch_of(std::string_view variant, const dimensions& sizes) {
  using audio::feature;
  const auto& [name, make] = audio::presets::table.at(size_of(sizes, "preset"));
  audio::mfcc_options options = make();
  if (const std::size_t n_fft = size_of(sizes, "n_fft"); n_fft > 0) {
    options.n_fft = n_fft;
    options.win_length = n_fft - n_fft / 8;
    options.hop_length = n_fft / 3 + 1;
  }
  if (variant == "cepstra" && options.n_mfcc == 0) options.n_mfcc = 13;
  const bool peak = variant == "held";
  const feature what = variant == "stft" || variant == "frames" || variant == "cufft" ? feature::stft
                       : variant == "power"                                           ? feature::power
                       : variant == "mel"                                             ? feature::mel
                       : variant == "logmel" || (peak && options.n_mfcc == 0)         ? feature::logmel
                                                                                      : feature::mfcc;
  expects(peak || what != feature::mfcc || variant == "cepstra", errc::bad_option, "mfcc has no arm ", variant);
  const double rate = name.starts_with("librosa") ? 22050 : 16000;
  auto tables = audio::make_tables<float>(audio::resolve(options, rate), rate, what);
  if (!peak) {
    tables.peak = kernels::mfcc::peak_scope::none;
  } else if (tables.peak == kernels::mfcc::peak_scope::none) {
    tables.peak = kernels::mfcc::peak_scope::channel;
    tables.range = 8;  // of the preset's logarithm: about what a fifth of noise lies below
  }
  const std::size_t clips = size_of(sizes, "clips"), least = size_of(sizes, "least"),
                    samples = size_of(sizes, "samples"), channels = size_of(sizes, "channels");
  mfcc_batch made{rate, {tables, audio::stage_of(what)}, {}, {}};
  std::size_t at = 0;
  for (std::size_t i = 0; i < clips; ++i) {
    const std::size_t length = i + 1 == clips ? samples : least + (samples - least) * i / (clips - 1);
    made.ranges.push_back({at, length});
    at += channels * length;
  }
  made.layout = made.how.lay_out(made.ranges, channels);
  return made;
}

/// What launch comments name and follows from the sizes.
inline dimensions mfcc_arguments(std::string_view variant, const dimensions& sizes) {
  const mfcc_batch b = mfcc_batch_of(variant, sizes);
  return {{"clip_count", b.layout.clips.size()},
          {"tile_count", b.layout.tiles.size()},
          {"finish_count", b.layout.finish_tiles.size()},
          {"area", b.how.shared_bytes() / 2},
          {"n_mels", b.how.facts().n_mels}};
}

}  // namespace hocket::bench
