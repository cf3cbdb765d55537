// The chain from samples to cepstra on a CUDA device, from host memory to host memory: one upload of all clips, the
// fused kernels (kernels/mfcc/cuda.cuh), one download. Templates on the device: `cuda` and, in the tests,
// `cuda_on_host`.
//
//   hocket::audio::cuda_mfcc_plan plan(hocket::audio::preset("librosa-0.11"), 22050, hocket::audio::feature::mfcc,
//                                      hocket::cuda{stream});
//   auto mfcc = plan(clip);                       // (C,F), as mfcc_plan<float> gives within the sum of the promises
//   auto all = plan.extract(clips);               // ragged clips in one batch
//
// Whoever keeps samples on the device calls kernels/mfcc/cuda_launch.cuh with this plan's tables instead.
#pragma once

#include <algorithm>
#include <complex>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <hocket/audio/mfcc.hpp>
#include <hocket/core/cuda/runtime.hpp>
#include <hocket/kernels/mfcc/cuda_launch.cuh>
#include <hocket/kernels/mfcc/cuda_memory.cuh>

namespace hocket::audio {

/// Options, sample rate and feature made ready on a device. Building and running may throw and allocate.
template <CudaDevice Device>
class cuda_mfcc_plan {
 public:
  cuda_mfcc_plan(const mfcc_options& options, double sample_rate, feature what, const Device& device)
      : device_(checked(device)),
        options_(resolve(options, sample_rate)),
        what_(what),
        kernel_(make_tables<float>(options_, sample_rate, what), stage_of(what), steps_of(options_, sample_rate)),
        tables_(device, kernel_) {}

  /// The options with every size filled in.
  const mfcc_options& options() const { return options_; }
  feature what() const { return what_; }
  const kernels::mfcc::gpu::plan& kernel() const { return kernel_; }

  /// A real feature of one channel: (n) -> (rows, F).
  matrix<float> operator()(const view<const float, 1>& clip) {
    return std::move(extract(std::span<const view<const float, 1>>(&clip, 1)).front());
  }
  /// A real feature of clips of any lengths, in one batch; each has its own peak.
  std::vector<matrix<float>> extract(std::span<const view<const float, 1>> clips) {
    expects(what_ != feature::stft, errc::unsupported_shape, "the feature stft is complex: call stft()");
    return run<float>(clips, [this](const auto& batch, const auto& samples, const auto& out) {
      device_buffer<float, Device> space(device_, "mfcc: workspace", kernel_.workspace_size(batch.host));
      kernels::mfcc::gpu::extract(device_, kernel_, tables_.on_device(), batch.host, batch.on_device(), samples, out,
                                  view<float, 1>(space.data(), {space.size()}));
    });
  }
  /// The complex transform of clips of any lengths, each (K, F).
  std::vector<matrix<std::complex<float>>> stft(std::span<const view<const float, 1>> clips) {
    expects(what_ == feature::stft, errc::unsupported_shape, "the feature ", name_of(what_), " is real");
    return run<std::complex<float>>(clips, [this](const auto& batch, const auto& samples, const auto& out) {
      kernels::mfcc::gpu::stft(device_, kernel_, tables_.on_device(), batch.host, batch.on_device(), samples, out);
    });
  }
  matrix<std::complex<float>> stft(const view<const float, 1>& clip) {
    return std::move(stft(std::span<const view<const float, 1>>(&clip, 1)).front());
  }

 private:
  static const Device& checked(const Device& device) {
    require_device(device);
    return device;
  }
  static kernels::mfcc::gpu::plan_options steps_of(const mfcc_options& options, double sample_rate) {
    kernels::mfcc::gpu::plan_options made;
    made.clip.least_samples = padded_samples(options, sample_rate);
    made.clip.extrapolate = options.preemphasis_start == emphasis_start::extrapolate;
    if (options.preemphasis_over == emphasis_scope::clip)
      made.clip.preemphasis = static_cast<float>(*options.preemphasis);
    return made;
  }
  /// Uploads the clips one after the other, lets `launch` fill the output, cuts it into the clips' matrices.
  template <class Out, class Launch>
  std::vector<matrix<Out>> run(std::span<const view<const float, 1>> clips, Launch&& launch) {
    std::vector<kernels::mfcc::gpu::clip_range> ranges;
    std::size_t total = 0;
    for (const auto& clip : clips) {
      expects(clip.data() != nullptr || clip.empty(), errc::bad_pointer, "mfcc: clip ", ranges.size(), " is null");
      ranges.push_back({total, clip.size()});
      total += clip.size();
    }
    const kernels::mfcc::gpu::uploaded_batch<Device> batch(device_, kernel_.lay_out(ranges));
    device_buffer<float, Device> samples(device_, "mfcc: samples", total);
    for (std::size_t i = 0; i < clips.size(); ++i) samples.upload(clips[i].data(), clips[i].size(), ranges[i].offset);
    device_buffer<Out, Device> out(device_, "mfcc: output", kernel_.output_size(batch.host));
    launch(batch, view<const float, 1>(samples.data(), {total}), view<Out, 1>(out.data(), {out.size()}));
    const std::vector<Out> all = out.download();
    std::vector<matrix<Out>> results;
    auto from = all.begin();
    for (const auto& entry : batch.host.clips) {
      results.emplace_back(kernel_.rows(), entry.frames);
      const auto size = static_cast<std::ptrdiff_t>(kernel_.rows() * entry.frames);
      std::copy(from, from + size, results.back().values.begin());
      from += size;
    }
    return results;
  }

  Device device_;
  mfcc_options options_;
  feature what_;
  kernels::mfcc::gpu::plan kernel_;
  kernels::mfcc::gpu::uploaded_tables<Device> tables_;
};

}  // namespace hocket::audio
