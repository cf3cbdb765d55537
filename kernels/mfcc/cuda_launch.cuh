// Launchers of the chain from samples to cepstra: validate, choose the entry point, start. They do not wait.
#pragma once

#include <complex>
#include <cstdint>
#include <type_traits>

#include <hocket/core/cuda/checks.hpp>
#include <hocket/kernels/mfcc/cuda.cuh>
#include <hocket/kernels/mfcc/cuda_plan.hpp>

namespace hocket::kernels::mfcc::gpu {

/// Copies on the device: of plan::values() and words(), and of a batch's clips, tiles and finish_tiles.
struct tables_on_device {
  view<const float, 1> values;
  view<const std::uint32_t, 1> words;
};
struct batch_on_device {
  view<const clip_entry, 1> clips;
  view<const std::uint32_t, 1> tiles, finish_tiles;
};

namespace detail {

/// What every launch of this room is given.
template <class Device>
struct call {
  const Device& device;
  chain c;
  batch_tables b;
  launch_shape fused, finish, peaks;

  call(const Device& on, const plan& how, const tables_on_device& tables, const batch& clips,
       const batch_on_device& layout)
      : device(on) {
    require_on_device(on, "mfcc: values", tables.values, {how.values().size()});
    require_on_device(on, "mfcc: words", tables.words, {how.words().size()});
    require_on_device(on, "mfcc: clips", layout.clips, {clips.clips.size()});
    require_on_device(on, "mfcc: tiles", layout.tiles, {clips.tiles.size()});
    require_on_device(on, "mfcc: finish_tiles", layout.finish_tiles, {clips.finish_tiles.size()});
    const auto u = [](std::size_t x) { return static_cast<unsigned>(x); };
    c = how.bind(tables.values.data(), tables.words.data());
    b = {layout.clips.data(), layout.tiles.data(),   layout.finish_tiles.data(),  u(clips.clips.size()),
         u(clips.channels),   u(clips.tiles.size()), u(clips.finish_tiles.size())};
    fused = {{b.tile_count, b.channels, 1}, {block_threads, 1, 1}, how.shared_bytes()};
    finish = {{b.finish_count, b.channels, 1}, {block_threads, 1, 1}, 0};
    peaks = {{b.clip_count, b.channels, 1}, {block_threads, 1, 1}, 0};
  }

  template <class Entry, class... Arguments>
  void start(const Entry& entry, const launch_shape& shape, Arguments... arguments) const {
    launch(device, entry.name, shape, entry.kernel, arguments...);
  }
};

#define HOCKET_MFCC_ENTRY(variant)                                                \
  [] {                                                                            \
    if constexpr (std::is_same_v<Sample, float>)                                  \
      return entry{"hocket_mfcc_" #variant "_f32", &hocket_mfcc_##variant##_f32}; \
    else                                                                          \
      return entry{"hocket_mfcc_" #variant "_i16", &hocket_mfcc_##variant##_i16}; \
  }()

template <class Device, class Sample>
void require_samples(const Device& device, const batch& clips, view<const Sample, 1> samples) {
  static_assert(std::is_same_v<Sample, float> || std::is_same_v<Sample, std::int16_t>,
                "samples are float, or int16 with full scale 1");
  require_on_device(device, "mfcc: samples", samples, samples.extents());
  expects(samples.extent(0) >= clips.samples, errc::unsupported_shape, "mfcc: the clips end at sample ", clips.samples,
          ", there are ", samples.extent(0));
}

}  // namespace detail

/// Power, mel, log-mel or cepstra of a batch, as the plan says: out (output_size) holds (channels, rows, frames) of
/// each clip. workspace (workspace_size) may be empty where no peak is needed.
template <CudaDevice Device, class Sample>
void extract(const Device& device, const plan& how, const tables_on_device& tables, const batch& clips,
             const batch_on_device& layout, view<const Sample, 1> samples, view<float, 1> out,
             view<float, 1> workspace) {
  expects(how.stop() != stage::stft, errc::bad_option, "mfcc: a complex spectrum needs a complex output");
  detail::require_samples(device, clips, samples);
  require_on_device(device, "mfcc: out", out, {how.output_size(clips)});
  require_on_device(device, "mfcc: workspace", workspace, {how.workspace_size(clips)});
  const detail::call<Device> on(device, how, tables, clips, layout);
  if (out.empty()) return;
  if (!how.needs_peak()) {
    switch (how.stop()) {
      case stage::power: return on.start(HOCKET_MFCC_ENTRY(power), on.fused, on.c, on.b, samples.data(), out.data());
      case stage::mel: return on.start(HOCKET_MFCC_ENTRY(mel), on.fused, on.c, on.b, samples.data(), out.data());
      case stage::log_mel: return on.start(HOCKET_MFCC_ENTRY(logmel), on.fused, on.c, on.b, samples.data(), out.data());
      default: return on.start(HOCKET_MFCC_ENTRY(cepstra), on.fused, on.c, on.b, samples.data(), out.data());
    }
  }
  float* const tile_peaks = workspace.data();
  float* const peaks = tile_peaks + clips.channels * clips.tiles.size();
  float* const held = how.stop() == stage::mfcc ? peaks + clips.channels * clips.clips.size() : out.data();
  on.start(HOCKET_MFCC_ENTRY(held), on.fused, on.c, on.b, samples.data(), held, tile_peaks);
  on.start(entry{"hocket_mfcc_peaks_f32", &hocket_mfcc_peaks_f32}, on.peaks, on.b,
           static_cast<const float*>(tile_peaks), peaks, how.facts().peak == peak_scope::clip);
  const float* const found = peaks;
  if (how.stop() == stage::log_mel) {
    on.start(entry{"hocket_mfcc_finishlogmel_f32", &hocket_mfcc_finishlogmel_f32}, on.finish, on.c, on.b, found,
             out.data());
  } else {
    launch_shape shape = on.finish;
    shape.dynamic_shared_bytes = how.finish_shared_bytes();
    on.start(entry{"hocket_mfcc_finishcepstra_f32", &hocket_mfcc_finishcepstra_f32}, shape, on.c, on.b,
             static_cast<const float*>(held), found, out.data());
  }
}

/// The complex spectrum of a batch (stage::stft): out (output_size) holds (channels, K, frames) of each clip.
template <CudaDevice Device, class Sample>
void stft(const Device& device, const plan& how, const tables_on_device& tables, const batch& clips,
          const batch_on_device& layout, view<const Sample, 1> samples, view<std::complex<float>, 1> out) {
  expects(how.stop() == stage::stft, errc::bad_option, "mfcc: a complex output needs a plan for stage::stft");
  detail::require_samples(device, clips, samples);
  require_on_device(device, "mfcc: out", out, {how.output_size(clips)});
  const detail::call<Device> on(device, how, tables, clips, layout);
  if (out.empty()) return;
  on.start(HOCKET_MFCC_ENTRY(stft), on.fused, on.c, on.b, samples.data(),
           reinterpret_cast<fft::gpu::complex*>(out.data()));
}

/// For another library's transform: windowed frames (channels x frames of the batch, n_fft), clip after clip and
/// channel after channel, to be transformed row by row without scaling.
template <CudaDevice Device, class Sample>
void cut_frames(const Device& device, const plan& how, const tables_on_device& tables, const batch& clips,
                const batch_on_device& layout, view<const Sample, 1> samples, view<float, 2> out) {
  detail::require_samples(device, clips, samples);
  require_on_device(device, "mfcc: frames", out, {clips.channels * clips.frames, how.facts().n_fft});
  const detail::call<Device> on(device, how, tables, clips, layout);
  if (out.empty()) return;
  on.start(HOCKET_MFCC_ENTRY(frames), on.fused, on.c, on.b, samples.data(), out.data());
}
/// Its result, (channels x frames of the batch, K), as stft() lays it out.
template <CudaDevice Device>
void turn_spectrum(const Device& device, const plan& how, const tables_on_device& tables, const batch& clips,
                   const batch_on_device& layout, view<const std::complex<float>, 2> spectrum,
                   view<std::complex<float>, 1> out) {
  expects(how.stop() == stage::stft, errc::bad_option, "mfcc: a complex output needs a plan for stage::stft");
  require_on_device(device, "mfcc: spectrum", spectrum, {clips.channels * clips.frames, how.rows()});
  require_on_device(device, "mfcc: out", out, {how.output_size(clips)});
  const detail::call<Device> on(device, how, tables, clips, layout);
  if (out.empty()) return;
  on.start(entry{"hocket_mfcc_turnspectrum_f32", &hocket_mfcc_turnspectrum_f32}, on.finish, on.c, on.b,
           reinterpret_cast<const fft::gpu::complex*>(spectrum.data()),
           reinterpret_cast<fft::gpu::complex*>(out.data()));
}
#undef HOCKET_MFCC_ENTRY

}  // namespace hocket::kernels::mfcc::gpu
