// One frame of a clip on the device: which sample stands where, what happens to samples before the window, the noise of
// dither. Device functions of cuda.cuh.
#pragma once

#include <cmath>
#include <cstdint>

#include <hocket/core/cuda/philox.cuh>
#include <hocket/core/cuda/seam.cuh>
#include <hocket/kernels/fft/cuda.cuh>
#include <hocket/kernels/mfcc/cuda_chain.hpp>

namespace hocket::kernels::mfcc::gpu {

HOCKET_DEVICE float value_of(float sample) { return sample; }
/// Full scale is 1, as in io: division by 2^15 is exact.
HOCKET_DEVICE float value_of(std::int16_t sample) { return static_cast<float>(sample) * 0x1p-15f; }

/// max(x, least) that keeps a NaN of x.
HOCKET_DEVICE float at_least(float x, float least HOCKET_SITE_PARAMETER) {
  return x != x ? x : cu::larger(least, x HOCKET_SITE_ARGUMENT);
}

/// The samples of one channel of a clip, as one frame sees them.
template <class Sample>
struct frame_reader {
  const Sample* data;
  std::int64_t begin;   ///< of the frame
  std::int64_t size;    ///< samples of the clip that are there
  std::int64_t length;  ///< with the zeros behind them
  bool inner;           ///< the frame lies inside the samples
};

template <class Sample>
HOCKET_DEVICE frame_reader<Sample> reader_of(const chain& c, const Sample* samples, const clip_entry& clip,
                                             unsigned channel, unsigned frame) {
  const std::int64_t size = clip.samples, begin = static_cast<std::int64_t>(frame) * c.hop - c.lead;
  return {samples + clip.offset + static_cast<std::size_t>(channel) * clip.samples, begin, size, clip.length,
          begin >= 0 && begin + static_cast<std::int64_t>(c.frame_length) <= size};
}

/// Sample `at` of the clip, 0 <= at < length.
template <class Sample>
HOCKET_DEVICE float stored(const frame_reader<Sample>& from, std::int64_t at) {
  return cu::inside(at < from.size) ? value_of(from.data[at]) : 0.0f;
}

/// Sample `at` of the clip after pre-emphasis over the whole clip; see clip_steps for the first.
template <class Sample>
HOCKET_DEVICE float clip_emphasised(const chain& c, const frame_reader<Sample>& from, std::int64_t at) {
  const float now = stored(from, at);
  if (at > 0) return now - c.clip_preemphasis * stored(from, at - 1);
  if (!c.extrapolate || from.length < 2) return now;
  return now + (2.0f * now - stored(from, 1));
}

/// Sample r of the frame.
template <class Sample>
HOCKET_DEVICE float sample(const chain& c, const frame_reader<Sample>& from, unsigned r) {
  std::int64_t at = from.begin + static_cast<std::int64_t>(r);
  if (!from.inner) {
    const std::int64_t n = from.length, half = c.turn;
    if (half > 0 && at == n + half - 1 && n >= 2 * c.hop && n % c.hop == 0) at = n - half + 1;  // tables::position
    at = padded_index(c.pad, at, n);
    if (!cu::inside(at >= 0)) return 0.0f;
  } else if (c.clip_preemphasis == 0.0f) {
    return value_of(from.data[at]);
  }
  return c.clip_preemphasis == 0.0f ? stored(from, at) : clip_emphasised(c, from, at);
}

/// philox(seed).normal_at(i) of core/rng.hpp to single precision: the same integers, without 64-bit floating point.
HOCKET_DEVICE float normal_at(std::uint64_t seed, std::uint64_t i) {
  std::uint32_t words[4] = {static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(i >> 32), 0, 0};
  cu::philox4x32(words, static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32));
  // Draws 2 i and 2 i + 1 are the halves of block i; each is 53 bits of a fraction.
  const std::uint64_t first = (static_cast<std::uint64_t>(words[0]) << 32 | words[1]) >> 11;
  const std::uint64_t second = (static_cast<std::uint64_t>(words[2]) << 32 | words[3]) >> 11;
  const std::uint64_t one = std::uint64_t{1} << 53, eighth = std::uint64_t{1} << 50;
  const float ln = first < one / 2 ? log1pf(-(static_cast<float>(first) * 0x1p-53f))
                                   : logf(static_cast<float>(one - first) * 0x1p-53f);
  const std::uint64_t octant = second >> 50, rest = second & (eighth - 1);
  const float a = static_cast<float>(octant % 2 == 1 ? eighth - rest : rest) * (0x1p-50f * 0.78539816339744830962f);
  const float z = a * a;  // Taylor's series on [0, pi / 4]: what is left out is below 2^-25
  const float cosine = 1.0f - z * (0.5f - z * (1.0f / 24 - z * (1.0f / 720 - z * (1.0f / 40320))));
  const float sine = a * (1.0f - z * (1.0f / 6 - z * (1.0f / 120 - z * (1.0f / 5040 - z * (1.0f / 362880)))));
  const float turned = (octant + 1) / 2 % 2 == 1 ? sine : cosine;
  return sqrtf(-2.0f * ln) * (octant >= 2 && octant < 6 ? -turned : turned);
}

/// Sample r of a prepared frame after pre-emphasis and window.
HOCKET_DEVICE float emphasised(const chain& c, const cu::dynamic_array<float>& raw, unsigned r) {
  const float now = raw(r), before = raw(r > 0 ? r - 1 : 0);
  return (now - c.preemphasis * before) * c.window[r];
}

/// What happens to a frame before pre-emphasis, by one warp: samples -> raw (frame_length). Returns the energy that
/// coefficient 0 asks for. The warp has met afterwards.
template <class Sample>
HOCKET_DEVICE float prepare(const chain& c, const frame_reader<Sample>& from, unsigned frame,
                            const cu::dynamic_array<float>& raw) {
  const std::uint64_t noise = static_cast<std::uint64_t>(frame) * c.frame_length;
  float sum = 0;
  for (unsigned r = cu::lane(); cu::inside(r < c.frame_length); r += 32) {
    float x = sample(c, from, r) * c.sample_scale;
    if (c.dither != 0.0f) x += c.dither * normal_at(c.dither_seed, noise + r);
    raw(r) = x;
    sum += x;
  }
  const float mean = c.remove_dc ? cu::warp_sum(sum) / static_cast<float>(c.frame_length) : 0.0f;
  float energy = 0;
  for (unsigned r = cu::lane(); cu::inside(r < c.frame_length); r += 32) {
    const float x = raw(r) - mean;
    raw(r) = x;
    energy += x * x;
  }
  cu::sync_warp();
  if (c.energy == energy_source::windowed) {
    energy = 0;
    for (unsigned r = cu::lane(); cu::inside(r < c.frame_length); r += 32) {
      const float x = emphasised(c, raw, r);
      energy += x * x;
    }
    energy *= c.windowed_unit;
  }
  return c.energy == energy_source::none ? 0.0f : logf(at_least(cu::warp_sum(energy), c.energy_floor));
}

/// Input r of the transform, of all n_fft: zero outside the window.
template <class Sample>
HOCKET_DEVICE float windowed(const chain& c, const frame_reader<Sample>& from, const cu::dynamic_array<float>& raw,
                             unsigned i) {
  if (i < c.fft_offset) return 0.0f;
  const unsigned r = i - c.fft_offset;
  if (!cu::inside(r < c.frame_length)) return 0.0f;
  return c.prepared ? emphasised(c, raw, r) : sample(c, from, r) * c.window[r];
}

}  // namespace hocket::kernels::mfcc::gpu
