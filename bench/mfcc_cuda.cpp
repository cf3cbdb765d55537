// The CUDA chain from samples to cepstra on batches of clips, and its spectrum beside cuFFT's.
#include <algorithm>
#include <cmath>

#include <hocket/audio/presets.hpp>
#include <hocket/kernels/mfcc/arms.hpp>

#include "bench/cuda/mfcc_batch.hpp"
#include "bench/support/bench.hpp"
#include "bench/support/cuda.hpp"

namespace {

namespace mfcc = hocket::kernels::mfcc;
using hocket::bench::cuda_work;

const bool registered = hocket::bench::register_operation([] {
  struct chain {
    const char *preset, *variant, *what;
  };
  const chain chains[] = {{"librosa-0.11", "stft", "stft"}, {"librosa-0.11", "power", "power"},
                          {"librosa-0.11", "mel", "mel"},   {"librosa-0.11", "held", "mfcc"},
                          {"torchaudio", "held", "mfcc"},   {"kaldi", "logmel", "logmel"},
                          {"kaldi", "cepstra", "mfcc"},     {"whisper", "held", "logmel"}};
  constexpr std::size_t clips = 256, seconds = 10;
  for (const chain& c : chains) {
    const auto& table = hocket::audio::presets::table;
    const auto found = std::find_if(table.begin(), table.end(), [&](const auto& one) { return one.first == c.preset; });
    const std::size_t rate = found->first.starts_with("librosa") ? 22050 : 16000;
    hocket::bench::dimensions sizes{{"preset", static_cast<std::size_t>(found - table.begin())},
                                    {"n_fft", 0},
                                    {"clips", clips},
                                    {"least", rate * seconds / 2},
                                    {"samples", rate * seconds},
                                    {"channels", 1}};
    const hocket::bench::mfcc_batch b = hocket::bench::mfcc_batch_of(c.variant, sizes);
    for (const auto& one : hocket::bench::mfcc_arguments(c.variant, sizes)) sizes.push_back(one);
    const auto work = [&](std::size_t element) {
      cuda_work sum{0, 0, b.seconds(), "seconds of audio"};
      for (const auto& range : b.ranges) {
        const mfcc::shape s = mfcc::shape_of(b.how.facts(), b.how.stop(), range.samples);
        sum.flops += mfcc::chain_flops(s);
        sum.bytes += mfcc::chain_bytes<float>(s) - static_cast<double>((sizeof(float) - element) * s.samples);
      }
      return sum;
    };
    const std::string shape =
        hocket::text(c.preset, "/", c.what, "/clips=", clips, "/seconds=", std::lround(b.seconds()));
    hocket::bench::add_cuda_arms("mfcc", c.variant, shape, sizes, work);
    if (b.how.stop() == mfcc::stage::stft)
      hocket::bench::add_cuda_library("mfcc", "cufft", "f32", shape, sizes, work(sizeof(float)));
  }
});

}  // namespace
