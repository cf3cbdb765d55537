// What the kernels of this room are handed: the tables of a convention as they lie on the device, and the layout of a
// batch of ragged clips. Filled in by cuda_plan.hpp, read by cuda.cuh.
#pragma once

#include <cstddef>
#include <cstdint>

#include <hocket/kernels/fft/cuda_tables.hpp>
#include <hocket/kernels/mfcc/tables.hpp>

namespace hocket::kernels::mfcc::gpu {

inline constexpr unsigned block_threads = 256;
inline constexpr unsigned max_frames = 8;      ///< of a block of the fused kernel
inline constexpr unsigned finish_frames = 32;  ///< of a block of the kernels that follow once the peak is known

/// A kernel argument: see tables.hpp for what the names mean. Pointers are to device memory.
struct chain {
  fft::gpu::transform transform;   ///< n_fft / 2 points when n_fft is even, else n_fft
  const fft::gpu::complex* split;  ///< exp(-2 pi i k / n_fft), k <= n_fft / 4; n_fft even
  const float* window;             ///< (frame_length), times every factor that all bins share
  const std::uint32_t *mel_first, *mel_length, *mel_begin;
  const float *mel_weights, *dct, *dct_row_sums;  ///< dct is (M,C); row sums over the bands
  std::int64_t hop, lead;
  std::int64_t turn;  ///< n_fft / 2 where a tail may turn around once more (tables::position), else 0
  std::uint64_t dither_seed;
  std::uint32_t n_fft, n_bins, frame_length, fft_offset, n_mels, n_mfcc;
  padding pad;
  energy_source energy;    ///< none unless the chain ends in cepstra
  std::uint32_t prepared;  ///< frames are changed before the window: sample_scale, dither, mean, pre-emphasis, energy
  std::uint32_t remove_dc, take_log;
  std::uint32_t extrapolate;  ///< the first sample of a pre-emphasised clip: see plan_options::clip
  float clip_preemphasis;
  float sample_scale, dither, preemphasis, power;
  float windowed_unit;  ///< takes the factors of `window` out of an energy
  float frame_unit;     ///< takes the half out of `window` for a transform that is not ours
  float energy_floor, energy_scale;
  float log_scale, log_floor, log_offset, log_shift, range, out_shift, out_scale;
  std::uint32_t frames_log2;  ///< frames of a block, 1 to max_frames
  std::uint32_t pitch;        ///< complex numbers from one frame's array in shared memory to the next
  std::uint32_t area;         ///< bytes of one of the two areas of shared memory
};

/// A clip of a batch. Its samples are (channels, samples) from `offset` on, zeros follow up to `length`; its output is
/// (channels, rows, frames) from rows x channels x first_frame on.
struct clip_entry {
  std::uint64_t offset;
  std::uint32_t samples, length, frames;
  std::uint32_t first_frame;   ///< frames of one channel of the clips before
  std::uint32_t first_tile;    ///< tiles of the fused kernel before
  std::uint32_t first_finish;  ///< tiles of finish_frames before
};

/// A kernel argument: the layout on the device. tiles and finish_tiles name the clip that a tile belongs to.
struct batch_tables {
  const clip_entry* clips;
  const std::uint32_t *tiles, *finish_tiles;
  std::uint32_t clip_count, channels, tile_count, finish_count;
};

}  // namespace hocket::kernels::mfcc::gpu
