// The chain from samples to cepstra for CUDA, fused, for a batch of ragged clips: a block takes 1 to 8 neighbouring
// frames of one channel of one clip from their samples (f32, or int16 with full scale 1) to their output rows. Between
// them only shared memory is used: two arrays of half a frame's length for each frame. Where a clip's peak enters the
// output (top_db, Whisper's range), log-mel values go to memory, one kernel takes the peaks and one finishes.
//
// Ladder
//   1  samples are read once for each frame that covers them (neighbouring frames meet in the caches), windowed on the
//      way, transformed (kernels/fft/cuda.cuh) by one warp for short frames and by the whole block for long ones.
//      Behind the transform threads run over (bin or band, frame) with the frame innermost: output rows are written in
//      pieces of as many frames as the block holds, a weight or cosine is fetched once for all of them, and the pitch
//      between frames (16 / frames numbers modulo 16) lets them read each bank once. Sums run along a band or a row of
//      cosines in the order of the table.
//   -  one block a clip, so that the peak stays in shared memory: 30 s of log-mel values do not fit, and short batches
//      would leave most of a card idle; left out.
// On an H100, 256 clips of 7.5 s: 1.6 to 3.0 million seconds of audio a second; the STFT 2.3 times as fast as by cuFFT.
#pragma once

#include <cmath>
#include <cstdint>

#include <hocket/core/cuda/seam.cuh>
#include <hocket/kernels/fft/cuda.cuh>
#include <hocket/kernels/mfcc/cuda_chain.hpp>
#include <hocket/kernels/mfcc/cuda_frame.cuh>

namespace hocket::kernels::mfcc::gpu {

/// Where the fused kernel stops; `held` is log-mel before the clamp, for chains that need a peak.
enum class stop_at { stft, power, mel, held, log_mel, mfcc };

inline constexpr unsigned block_warps = block_threads / 32, finish_frames_log2 = 5;
static_assert(1u << finish_frames_log2 == finish_frames);

/// A block's piece of the batch.
struct tile {
  clip_entry clip;
  unsigned channel, channels;
  unsigned first;  ///< frame
  /// Row r, frame f of the piece in an array of (channels, rows, frames) for every clip.
  HOCKET_DEVICE std::size_t at(unsigned rows, unsigned r, unsigned f) const {
    const std::size_t before = static_cast<std::size_t>(clip.first_frame) * channels;
    const std::size_t row = static_cast<std::size_t>(channel) * rows + r;
    return before * rows + row * clip.frames + first + f;
  }
  /// Whether frame f of the piece exists.
  HOCKET_DEVICE bool has(unsigned f) const { return first + f < clip.frames; }
};

HOCKET_DEVICE tile fused_tile(const chain& c, const batch_tables& b) {
  const clip_entry clip = b.clips[b.tiles[cu::block_x()]];
  return {clip, cu::block_y(), b.channels, (cu::block_x() - clip.first_tile) << c.frames_log2};
}
HOCKET_DEVICE tile finish_tile(const batch_tables& b) {
  const clip_entry clip = b.clips[b.finish_tiles[cu::block_x()]];
  return {clip, cu::block_y(), b.channels, (cu::block_x() - clip.first_finish) * finish_frames};
}

/// The largest x of the block, for thread 0; -infinity where every x is NaN.
HOCKET_DEVICE float block_peak(float x) {
  HOCKET_SHARED(warps, cu::array<float, block_warps>);
  const float mine = cu::warp_max(x);
  if (cu::lane() == 0) warps(cu::warp()) = mine;
  cu::sync();
  float peak = -INFINITY;
  if (cu::thread_x() == 0)
    for (unsigned w = 0; w < block_warps; ++w) peak = cu::larger(peak, warps(w));
  return peak;
}

/// |X|^power of a bin.
HOCKET_DEVICE float power_of(const chain& c, fft::gpu::complex x) {
  const float square = x.re * x.re + x.im * x.im;
  return c.power == 2.0f ? square : c.power == 1.0f ? sqrtf(square) : powf(square, c.power * 0.5f);
}

HOCKET_DEVICE float log_of(const chain& c, float x) {
  return c.take_log ? logf(at_least(x, c.log_floor) + c.log_offset) * c.log_scale + c.log_shift : x;
}

/// Bins k and n_fft / 2 - k of a real transform of even length from the complex one of half of it, whose input was
/// halved: see kernels/fft/rows.inl. Calls emit(bin, value), for k = n_fft / 4 twice with the same value.
template <class Emit>
HOCKET_DEVICE void split_bins(const chain& c, const fft::gpu::shared_numbers& z, unsigned k, const Emit& emit) {
  using fft::gpu::complex, fft::gpu::place;
  const complex a = z(place(k));
  if (c.n_fft % 2 == 1) {
    emit(k, a);
    return;
  }
  const unsigned n = c.n_fft / 2;
  if (k == 0) {
    emit(0u, complex{2.0f * (a.re + a.im), 0.0f});
    emit(n, complex{2.0f * (a.re - a.im), 0.0f});
    return;
  }
  const complex b = z(place(n - k)), w = c.split[k];
  const complex sum{a.re + b.re, a.im - b.im}, difference{a.re - b.re, a.im + b.im};
  const float re = difference.im * w.re + difference.re * w.im, im = difference.im * w.im - difference.re * w.re;
  emit(k, complex{sum.re + re, sum.im + im});
  emit(n - k, complex{sum.re - re, im - sum.im});
}

/// Coefficients of 1 << frames_log2 frames from their log-mel values, value (m, f) at logs(m * pitch + f). A frame's
/// own level is taken out first and put back times the row's sum, as in cpu_body.inl: all rows but the first cancel it.
/// Calls emit(coefficient, frame, value). The block has met before.
template <class Emit>
HOCKET_DEVICE void take_cosines(const chain& c, const cu::dynamic_array<float>& logs, unsigned pitch,
                                unsigned frames_log2, cu::array<float, finish_frames>& energies, const Emit& emit) {
  HOCKET_SHARED(levels, cu::array<float, finish_frames>);
  const unsigned frames = 1u << frames_log2;
  for (unsigned f = cu::warp(); f < frames; f += block_warps) {
    float sum = 0;
    for (unsigned m = cu::lane(); cu::inside(m < c.n_mels); m += 32) sum += logs(m * pitch + f);
    sum = cu::warp_sum(sum);
    if (cu::lane() == 0) levels(f) = sum / static_cast<float>(c.n_mels);
  }
  cu::sync();
  for (unsigned t = cu::thread_x(); cu::inside(t < c.n_mfcc << frames_log2); t += block_threads) {
    const unsigned f = t & (frames - 1), k = t >> frames_log2;
    const float level = levels(f);
    float sum = 0;
    for (unsigned begin = 0; begin < c.n_mels; begin += 16) {  // sums of sixteen: rounding grows with 16 + M / 16 terms
      const unsigned end = begin + 16 < c.n_mels ? begin + 16 : c.n_mels;
      float part = 0;
      for (unsigned m = begin; cu::inside(m < end); ++m)
        part += (logs(m * pitch + f) - level) * c.dct[m * c.n_mfcc + k];
      sum += part;
    }
    const bool energy = k == 0 && c.energy != energy_source::none;
    emit(k, f, energy ? energies(f) * c.energy_scale : sum + level * c.dct_row_sums[k]);
  }
}

/// The fused chain: see the head of this file. `out` is what Stop says (for held: the log-mel values and, below them,
/// the energies), tile_peaks (channels, tiles) is written for held only.
template <stop_at Stop, class Sample, class Out>
HOCKET_DEVICE void extract(const chain& c, const batch_tables& b, const Sample* samples, Out* out, float* tile_peaks) {
  using fft::gpu::complex;
  HOCKET_DYNAMIC_SHARED(memory, complex);
  HOCKET_SHARED(energies, cu::array<float, finish_frames>);
  const tile where = fused_tile(c, b);
  const unsigned frames = 1u << c.frames_log2, frame_bytes = c.pitch * static_cast<unsigned>(sizeof(complex));
  const fft::gpu::team team{cu::thread_x() & ((block_threads >> c.frames_log2) - 1), block_threads >> c.frames_log2};
  const unsigned mine = cu::thread_x() / team.threads;  // the frame that this thread's team transforms

  const fft::gpu::shared_numbers first = memory.part<complex>(mine * frame_bytes);
  const fft::gpu::shared_numbers second = memory.part<complex>(c.area + mine * frame_bytes);
  if (c.prepared) {
    const unsigned f = cu::warp();
    if (f < frames) {  // whole warps
      const auto raw = memory.part<float>(c.area + f * frame_bytes);
      const float energy =
          prepare(c, reader_of(c, samples, where.clip, where.channel, where.first + f), where.first + f, raw);
      if (cu::lane() == 0) energies(f) = energy;
    }
    cu::sync();
  }
  {
    const auto raw = memory.part<float>(c.area + mine * frame_bytes);
    const auto from = reader_of(c, samples, where.clip, where.channel, where.first + mine);
    const bool even = c.n_fft % 2 == 0;
    for (unsigned j = team.me; cu::inside(j < c.transform.size); j += team.threads) {
      const complex x = even ? complex{windowed(c, from, raw, 2 * j), windowed(c, from, raw, 2 * j + 1)}
                             : complex{windowed(c, from, raw, j), 0.0f};
      first(fft::gpu::place(j)) = fft::gpu::entering(c.transform, j, x);
    }
    for (unsigned j = c.transform.size + team.me; cu::inside(j < c.transform.length); j += team.threads)
      first(fft::gpu::place(j)) = complex{0.0f, 0.0f};
  }
  fft::gpu::meet(team);
  fft::gpu::shared_numbers spectrum = first, spare = second;
  fft::gpu::run(c.transform, spectrum, spare, team);
  if (team.threads == 32) cu::sync();  // larger teams have met as a block

  // Each pass changed areas; Bluestein's two rounds of them end where they began.
  const unsigned result = c.transform.chirp || c.transform.count % 2 == 0 ? 0 : c.area, other = c.area - result;
  const unsigned pairs = c.n_fft % 2 == 0 ? c.n_fft / 4 + 1 : c.n_bins;
  for (unsigned t = cu::thread_x(); cu::inside(t < pairs << c.frames_log2); t += block_threads) {
    const unsigned f = t & (frames - 1);
    const auto powers = memory.part<float>(other + f * frame_bytes);
    split_bins(c, memory.part<complex>(result + f * frame_bytes), t >> c.frames_log2, [&](unsigned k, complex x) {
      if constexpr (Stop == stop_at::stft) {
        if (cu::inside(where.has(f))) out[where.at(c.n_bins, k, f)] = x;
      } else if constexpr (Stop == stop_at::power) {
        if (cu::inside(where.has(f))) out[where.at(c.n_bins, k, f)] = power_of(c, x);
      } else {
        powers(k) = power_of(c, x);
      }
    });
  }
  if constexpr (Stop != stop_at::stft && Stop != stop_at::power) {
    cu::sync();
    const auto logs = memory.part<float>(result);
    const unsigned pitch = frames + 1, held_rows = c.n_mels + (c.energy != energy_source::none ? 1 : 0);
    float peak = -INFINITY;
    for (unsigned t = cu::thread_x(); cu::inside(t < c.n_mels << c.frames_log2); t += block_threads) {
      const unsigned f = t & (frames - 1), m = t >> c.frames_log2, length = c.mel_length[m];
      const auto powers = memory.part<float>(other + f * frame_bytes);
      const float* const weights = c.mel_weights + c.mel_begin[m];
      const unsigned lowest = c.mel_first[m];
      float sum = 0;
      for (unsigned j = 0; cu::inside(j < length); ++j) sum += weights[j] * powers(lowest + j);
      const bool exists = cu::inside(where.has(f));
      if constexpr (Stop == stop_at::mel) {
        if (exists) out[where.at(c.n_mels, m, f)] = sum;
      } else if constexpr (Stop == stop_at::held) {
        const float value = log_of(c, sum);
        if (exists) {
          out[where.at(held_rows, m, f)] = value;
          peak = cu::larger(peak, value);
        }
      } else {
        const float value = (log_of(c, sum) + c.out_shift) * c.out_scale;
        if constexpr (Stop == stop_at::log_mel) {
          if (exists) out[where.at(c.n_mels, m, f)] = value;
        } else {
          logs(m * pitch + f) = value;
        }
      }
    }
    if constexpr (Stop == stop_at::held) {
      if (c.energy != energy_source::none && cu::thread_x() < frames && cu::inside(where.has(cu::thread_x())))
        out[where.at(held_rows, c.n_mels, cu::thread_x())] = energies(cu::thread_x());
      peak = block_peak(peak);
      if (cu::thread_x() == 0)
        tile_peaks[static_cast<std::size_t>(cu::block_y()) * b.tile_count + cu::block_x()] = peak;
    } else if constexpr (Stop == stop_at::mfcc) {
      cu::sync();
      take_cosines(c, logs, pitch, c.frames_log2, energies, [&](unsigned k, unsigned f, float value) {
        if (cu::inside(where.has(f))) out[where.at(c.n_mfcc, k, f)] = value;
      });
    }
  }
}

/// peaks (clips, channels) from tile_peaks (channels, tiles). Block (clip, channel); scope: all channels, or this one.
HOCKET_DEVICE void find_peaks(const batch_tables& b, const float* tile_peaks, float* peaks, bool all_channels) {
  const unsigned channel = cu::block_y(), at = cu::block_x();
  const unsigned first = b.clips[at].first_tile;
  const unsigned end = at + 1 < b.clip_count ? b.clips[at + 1].first_tile : b.tile_count;
  float peak = -INFINITY;
  for (unsigned d = all_channels ? 0 : channel; cu::inside(d < (all_channels ? b.channels : channel + 1)); ++d)
    for (unsigned t = first + cu::thread_x(); cu::inside(t < end); t += block_threads)
      peak = cu::larger(peak, tile_peaks[static_cast<std::size_t>(d) * b.tile_count + t]);
  peak = block_peak(peak);
  if (cu::thread_x() == 0) peaks[static_cast<std::size_t>(at) * b.channels + channel] = peak;
}

/// A log-mel value once the peak is known.
HOCKET_DEVICE float shown(const chain& c, float value, float least) {
  return (at_least(value, least) + c.out_shift) * c.out_scale;
}

/// log-mel values, clamped where they are. Block: finish_frames of one channel.
HOCKET_DEVICE void finish_log_mel(const chain& c, const batch_tables& b, const float* peaks, float* out) {
  const tile where = finish_tile(b);
  const float least =
      peaks[static_cast<std::size_t>(b.finish_tiles[cu::block_x()]) * b.channels + where.channel] - c.range;
  const unsigned f = cu::thread_x() % finish_frames;
  if (!cu::inside(where.has(f))) return;
  for (unsigned m = cu::thread_x() / finish_frames; cu::inside(m < c.n_mels); m += block_threads / finish_frames) {
    float* const at = out + where.at(c.n_mels, m, f);
    *at = shown(c, *at, least);
  }
}

/// Cepstra from the held log-mel values and energies. Block: finish_frames of one channel.
HOCKET_DEVICE void finish_cepstra(const chain& c, const batch_tables& b, const float* held, const float* peaks,
                                  float* out) {
  HOCKET_DYNAMIC_SHARED(logs, float);
  HOCKET_SHARED(energies, cu::array<float, finish_frames>);
  constexpr unsigned pitch = finish_frames + 1;
  const tile where = finish_tile(b);
  const bool energy = c.energy != energy_source::none;
  const unsigned rows = c.n_mels + (energy ? 1 : 0), f = cu::thread_x() % finish_frames;
  const float least =
      peaks[static_cast<std::size_t>(b.finish_tiles[cu::block_x()]) * b.channels + where.channel] - c.range;
  for (unsigned m = cu::thread_x() / finish_frames; cu::inside(m < c.n_mels); m += block_threads / finish_frames)
    logs(m * pitch + f) = cu::inside(where.has(f)) ? shown(c, held[where.at(rows, m, f)], least) : 0.0f;
  if (energy && cu::thread_x() < finish_frames)
    energies(f) = cu::inside(where.has(f)) ? held[where.at(rows, c.n_mels, f)] : 0.0f;
  cu::sync();
  take_cosines(c, logs, pitch, finish_frames_log2, energies, [&](unsigned k, unsigned at, float value) {
    if (cu::inside(where.has(at))) out[where.at(c.n_mfcc, k, at)] = value;
  });
}

/// Windowed frames for a transform that is not ours: out (frames of the batch, n_fft), a clip's channels one after the
/// other. A warp takes a frame.
template <class Sample>
HOCKET_DEVICE void cut_frames(const chain& c, const batch_tables& b, const Sample* samples, float* out) {
  HOCKET_DYNAMIC_SHARED(memory, fft::gpu::complex);
  const tile where = fused_tile(c, b);
  const unsigned f = cu::warp();
  if (f >= 1u << c.frames_log2 || !cu::inside(where.has(f))) return;  // whole warps
  const auto raw = memory.part<float>(f * c.pitch * static_cast<unsigned>(sizeof(fft::gpu::complex)));
  const auto from = reader_of(c, samples, where.clip, where.channel, where.first + f);
  if (c.prepared) prepare(c, from, where.first + f, raw);
  float* const row = out + where.at(1, 0, f) * c.n_fft;
  for (unsigned i = cu::lane(); cu::inside(i < c.n_fft); i += 32) row[i] = windowed(c, from, raw, i) * c.frame_unit;
}

/// Their spectrum (frames of the batch, K) -> out (channels, K, frames) of each clip. Block: finish_frames of one
/// channel.
HOCKET_DEVICE void turn_spectrum(const chain& c, const batch_tables& b, const fft::gpu::complex* spectrum,
                                 fft::gpu::complex* out) {
  constexpr unsigned side = finish_frames;
  HOCKET_SHARED(square, cu::array<fft::gpu::complex, side, side + 1>);
  const tile where = finish_tile(b);
  const unsigned inner = cu::thread_x() % side, outer = cu::thread_x() / side;
  for (unsigned begin = 0; begin < c.n_bins; begin += side) {
    const unsigned k = begin + inner;
    for (unsigned f = outer; f < side; f += block_threads / side)
      if (cu::inside(where.has(f)) && cu::inside(k < c.n_bins))
        square(f, inner) = spectrum[where.at(1, 0, f) * c.n_bins + k];
    cu::sync();
    for (unsigned j = outer; j < side; j += block_threads / side)
      if (cu::inside(where.has(inner)) && cu::inside(begin + j < c.n_bins))
        out[where.at(c.n_bins, begin + j, inner)] = square(inner, j);
    cu::sync();
  }
}

}  // namespace hocket::kernels::mfcc::gpu

// One set of entry points per sample type.
#define HOCKET_MFCC_KERNELS(T, type)                                                                                  \
  /* launch: grid tile_count x channels; block 256; shared 2 * area */                                                \
  /* out: (channels, K, frames) of each clip */                                                                       \
  HOCKET_KERNEL_BOUNDS(hocket_mfcc_stft_##type, 256, 4)                                                               \
  (hocket::kernels::mfcc::gpu::chain c, hocket::kernels::mfcc::gpu::batch_tables b, const T* samples,                 \
   hocket::kernels::fft::gpu::complex* out) {                                                                         \
    using namespace hocket::kernels::mfcc::gpu;                                                                       \
    extract<stop_at::stft>(c, b, samples, out, nullptr);                                                              \
  }                                                                                                                   \
  HOCKET_KERNEL_BOUNDS(hocket_mfcc_power_##type, 256, 4)                                                              \
  (hocket::kernels::mfcc::gpu::chain c, hocket::kernels::mfcc::gpu::batch_tables b, const T* samples, float* out) {   \
    using namespace hocket::kernels::mfcc::gpu;                                                                       \
    extract<stop_at::power>(c, b, samples, out, nullptr);                                                             \
  }                                                                                                                   \
  /* out: (channels, M, frames) */                                                                                    \
  HOCKET_KERNEL_BOUNDS(hocket_mfcc_mel_##type, 256, 4)                                                                \
  (hocket::kernels::mfcc::gpu::chain c, hocket::kernels::mfcc::gpu::batch_tables b, const T* samples, float* out) {   \
    using namespace hocket::kernels::mfcc::gpu;                                                                       \
    extract<stop_at::mel>(c, b, samples, out, nullptr);                                                               \
  }                                                                                                                   \
  HOCKET_KERNEL_BOUNDS(hocket_mfcc_logmel_##type, 256, 4)                                                             \
  (hocket::kernels::mfcc::gpu::chain c, hocket::kernels::mfcc::gpu::batch_tables b, const T* samples, float* out) {   \
    using namespace hocket::kernels::mfcc::gpu;                                                                       \
    extract<stop_at::log_mel>(c, b, samples, out, nullptr);                                                           \
  }                                                                                                                   \
  /* out: (channels, M or M + 1, frames) log-mel values before the clamp, then energies; tile_peaks (channels, tiles) \
   */                                                                                                                 \
  HOCKET_KERNEL_BOUNDS(hocket_mfcc_held_##type, 256, 4)                                                               \
  (hocket::kernels::mfcc::gpu::chain c, hocket::kernels::mfcc::gpu::batch_tables b, const T* samples, float* out,     \
   float* tile_peaks) {                                                                                               \
    using namespace hocket::kernels::mfcc::gpu;                                                                       \
    extract<stop_at::held>(c, b, samples, out, tile_peaks);                                                           \
  }                                                                                                                   \
  /* out: (channels, C, frames) */                                                                                    \
  HOCKET_KERNEL_BOUNDS(hocket_mfcc_cepstra_##type, 256, 4)                                                            \
  (hocket::kernels::mfcc::gpu::chain c, hocket::kernels::mfcc::gpu::batch_tables b, const T* samples, float* out) {   \
    using namespace hocket::kernels::mfcc::gpu;                                                                       \
    extract<stop_at::mfcc>(c, b, samples, out, nullptr);                                                              \
  }                                                                                                                   \
  /* out: (frames of the batch, n_fft) */                                                                             \
  HOCKET_KERNEL_BOUNDS(hocket_mfcc_frames_##type, 256, 4)                                                             \
  (hocket::kernels::mfcc::gpu::chain c, hocket::kernels::mfcc::gpu::batch_tables b, const T* samples, float* out) {   \
    hocket::kernels::mfcc::gpu::cut_frames(c, b, samples, out);                                                       \
  }
HOCKET_MFCC_KERNELS(float, f32)
HOCKET_MFCC_KERNELS(std::int16_t, i16)
#undef HOCKET_MFCC_KERNELS

// launch: grid clip_count x channels; block 256; shared 0
HOCKET_KERNEL(hocket_mfcc_peaks_f32)
(hocket::kernels::mfcc::gpu::batch_tables b, const float* tile_peaks, float* peaks, bool all_channels) {
  hocket::kernels::mfcc::gpu::find_peaks(b, tile_peaks, peaks, all_channels);
}
// launch: grid finish_count x channels; block 256; shared 0
HOCKET_KERNEL(hocket_mfcc_finishlogmel_f32)
(hocket::kernels::mfcc::gpu::chain c, hocket::kernels::mfcc::gpu::batch_tables b, const float* peaks, float* out) {
  hocket::kernels::mfcc::gpu::finish_log_mel(c, b, peaks, out);
}
HOCKET_KERNEL(hocket_mfcc_turnspectrum_f32)
(hocket::kernels::mfcc::gpu::chain c, hocket::kernels::mfcc::gpu::batch_tables b,
 const hocket::kernels::fft::gpu::complex* spectrum, hocket::kernels::fft::gpu::complex* out) {
  hocket::kernels::mfcc::gpu::turn_spectrum(c, b, spectrum, out);
}
// launch: grid finish_count x channels; block 256; shared 4 * 33 * n_mels
HOCKET_KERNEL(hocket_mfcc_finishcepstra_f32)
(hocket::kernels::mfcc::gpu::chain c, hocket::kernels::mfcc::gpu::batch_tables b, const float* held, const float* peaks,
 float* out) {
  hocket::kernels::mfcc::gpu::finish_cepstra(c, b, held, peaks, out);
}
