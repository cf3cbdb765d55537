// The chain from samples to cepstra as arms, on the batches of mfcc_batch.hpp. `frames` and `cufft` are the spectrum
// through cuFFT.
#pragma once

#include <complex>
#include <cstdint>
#include <optional>

#include <hocket/kernels/mfcc/cuda_memory.cuh>
#include <hocket/kernels/mfcc/vendor_cufft.cuh>

#include "bench/cuda/mfcc_batch.hpp"
#include "bench/cuda/prepare.hpp"
#include "bench/support/mfcc_check.hpp"

namespace hocket::bench {

/// Everything on the device that one batch needs.
template <class Sample, CudaDevice Device>
struct mfcc_operands {
  mfcc_operands(const Device& device, const mfcc_batch& b, const std::vector<Sample>& values, bool library)
      : how(b.how),
        tables(device, how),
        clips(device, b.layout),
        samples(device, "mfcc: samples", values),
        out(device, "mfcc: output", (how.stop() == kernels::mfcc::stage::stft ? 2 : 1) * how.output_size(b.layout)),
        workspace(device, "mfcc: workspace", how.workspace_size(b.layout)) {
    if (library) through.emplace(device, how, b.layout);
  }

  void run(const Device& device) {
    namespace mfcc = kernels::mfcc;
    const view<const Sample, 1> from(std::as_const(samples).data(), {samples.size()});
    const auto spectrum = [&] {
      return view<std::complex<float>, 1>(reinterpret_cast<std::complex<float>*>(out.data()), {out.size() / 2});
    };
    if (through)
      through->run(how, tables.on_device(), clips.host, clips.on_device(), from, spectrum());
    else if (how.stop() == mfcc::stage::stft)
      mfcc::gpu::stft(device, how, tables.on_device(), clips.host, clips.on_device(), from, spectrum());
    else
      mfcc::gpu::extract(device, how, tables.on_device(), clips.host, clips.on_device(), from,
                         view<float, 1>(out.data(), {out.size()}),
                         view<float, 1>(workspace.data(), {workspace.size()}));
  }

  kernels::mfcc::gpu::plan how;
  kernels::mfcc::gpu::uploaded_tables<Device> tables;
  kernels::mfcc::gpu::uploaded_batch<Device> clips;
  device_buffer<Sample, Device> samples;
  device_buffer<float, Device> out, workspace;
  std::optional<kernels::mfcc::gpu::cufft_stft<Device>> through;
};

/// Clips against the definition, which takes seconds for a long one: all of a small batch, else the shortest, one in
/// the middle and the longest. x holds what the samples mean.
inline comparison compare_clips(const mfcc_batch& b, const std::vector<float>& x, const std::vector<float>& got) {
  const kernels::mfcc::tables<float>& t = b.how.facts();
  const std::size_t channels = b.layout.channels, count = b.ranges.size();
  const bool all = b.layout.frames <= 256;
  const std::size_t row = (b.how.stop() == kernels::mfcc::stage::stft ? 2 : 1) * b.how.rows() * channels;
  comparison result;
  result.add(got.size() == row * b.layout.frames ? 0 : 1, 0);
  for (std::size_t i = 0; i < count && result; ++i) {
    if (!all && i != 0 && i != count / 2 && i + 1 != count) continue;
    const auto first = x.begin() + static_cast<std::ptrdiff_t>(b.ranges[i].offset);
    const std::vector<float> clip(first, first + static_cast<std::ptrdiff_t>(channels * b.ranges[i].samples));
    if (b.layout.clips[i].frames == 0) continue;
    const std::vector<float> wanted = defined(t, b.how.stop(), clip, channels);
    const double bound = bound_of(kernels::mfcc::gpu::promise(t.n_fft), t, b.how.stop(), clip, wanted, channels);
    const float* const ours = got.data() + row * b.layout.clips[i].first_frame;
    for (std::size_t e = 0; e < wanted.size(); ++e)
      result.add(std::abs(static_cast<double>(ours[e]) - static_cast<double>(wanted[e])), bound);
  }
  return result;
}

template <class Sample, CudaDevice Device>
ready prepare_mfcc_of(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  const mfcc_batch b = mfcc_batch_of(kernel.variant, sizes);
  std::vector<float> x = clip_of(b.layout.samples);
  std::vector<Sample> samples(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    if constexpr (std::is_same_v<Sample, float>) {
      samples[i] = x[i];
    } else {
      samples[i] = static_cast<Sample>(std::lround(std::clamp(32768 * x[i], -32768.0f, 32767.0f)));
      x[i] = static_cast<float>(samples[i]) / 32768;
    }
  }
  const bool library = kernel.variant == "frames" || kernel.variant == "cufft";
  const auto on = std::make_shared<mfcc_operands<Sample, Device>>(device, b, samples, library);
  ready made;
  made.run = [=] { on->run(device); };
  made.run();
  made.check = compare_clips(b, x, on->out.download());
  made.timed_run = timed_on(device, made.run);
  return made;
}

template <CudaDevice Device>
ready prepare_mfcc(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  if (kernel.dtype == "i16") return prepare_mfcc_of<std::int16_t>(device, kernel, sizes);
  expects(kernel.dtype == "f32", errc::bad_option, "mfcc: samples are f32 or i16, not ", kernel.dtype);
  return prepare_mfcc_of<float>(device, kernel, sizes);
}

}  // namespace hocket::bench
