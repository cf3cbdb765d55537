// The spectrum through cuFFT's call on the tests' device, where a stand-in answers it: against the reference, beside
// the fused kernel, and by which launches.
#include <cmath>
#include <complex>
#include <map>
#include <string>
#include <vector>

#include <hocket/audio/presets.hpp>
#include <hocket/audio/resolve.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/mfcc/cuda_memory.cuh>
#include <hocket/kernels/mfcc/vendor_cufft.cuh>

#include "catch.hpp"
#include "cuda_host/vendors.hpp"
#include "kernels/mfcc/conventions.hpp"

using namespace hocket;
namespace room = hocket::kernels::mfcc;
namespace gpu = hocket::kernels::mfcc::gpu;

TEST_CASE("mfcc through cuFFT: the spectrum of ragged clips, by three launches", "[mfcc][cuda_host]") {
  for (const std::size_t n_fft : std::vector<std::size_t>{45, 64}) {
    auto options = audio::preset("torchaudio");
    options.n_fft = n_fft;
    options.win_length = n_fft - 5;
    options.hop_length = 17;
    const auto t = audio::make_tables<float>(audio::resolve(options, 16000), 16000, audio::feature::stft);
    cuda_host::machine_with_vendors machine;
    const auto device = machine.device();
    const gpu::plan how(t, room::stage::stft);
    const gpu::uploaded_tables<cuda_on_host> tables(device, how);
    const std::vector<gpu::clip_range> ranges{{0, 40}, {80, 0}, {80, 700}};
    const gpu::uploaded_batch<cuda_on_host> clips(device, how.lay_out(ranges, 2));
    philox dice(n_fft);
    const auto x = tests::mfcc::draw_clip<float>(dice, 1, clips.host.samples);
    const device_buffer<float, cuda_on_host> samples(device, "samples", x);
    const view<const float, 1> from(samples.data(), {samples.size()});
    const std::size_t size = how.output_size(clips.host);
    device_buffer<std::complex<float>, cuda_on_host> out(device, "out", size), fused(device, "fused", size);

    cuda_host::launch_counts.clear();
    gpu::cufft_stft<cuda_on_host> through_cufft(device, how, clips.host);
    const std::size_t rows = clips.host.channels * clips.host.frames;
    CHECK(through_cufft.workspace_bytes() == rows * (4 * n_fft + 8 * t.n_bins()));
    through_cufft.run(how, tables.on_device(), clips.host, clips.on_device(), from, {out.data(), {size}});
    CHECK(cuda_host::launch_counts == std::map<std::string, std::size_t>{{"hocket_mfcc_frames_f32", 1},
                                                                         {"cufftExecR2C", 1},
                                                                         {"hocket_mfcc_turnspectrum_f32", 1}});
    gpu::stft(device, how, tables.on_device(), clips.host, clips.on_device(), from,
              view<std::complex<float>, 1>(fused.data(), {size}));

    comparison result, beside;
    std::size_t at = 0;
    const auto got = out.download(), own = fused.download();
    for (const auto& range : ranges) {
      if (t.frames(range.samples) == 0) continue;
      const auto first = x.begin() + static_cast<std::ptrdiff_t>(range.offset);
      const std::vector<float> clip(first, first + static_cast<std::ptrdiff_t>(2 * range.samples));
      const auto expected = tests::mfcc::run_reference(t, room::stage::stft, clip, 2);
      const tests::mfcc::bounds<float> bound(t, gpu::promise(n_fft), clip, 2);
      for (std::size_t j = 0; j < expected.size(); ++j, ++at) {
        const auto part = [&](std::complex<float> z) { return static_cast<double>(at % 2 == 0 ? z.real() : z.imag()); };
        result.add(std::abs(part(got[at / 2]) - expected[j]), bound.spectrum);
        beside.add(std::abs(part(got[at / 2]) - part(own[at / 2])), 2 * bound.spectrum);
      }
    }
    CAPTURE(n_fft, result.message(), beside.message());
    CHECK(at == 2 * size);
    CHECK(result);
    CHECK(beside);

    const gpu::uploaded_batch<cuda_on_host> other(device, how.lay_out(std::vector<gpu::clip_range>{{0, 300}}, 2));
    CHECK_THROWS_AS(
        through_cufft.run(how, tables.on_device(), other.host, other.on_device(), from, {out.data(), {size}}), error);
  }
}
