// Every arm of the fused chain, at the stages where it can stop, on clips of one and ten seconds by preset.
#include <algorithm>
#include <cmath>
#include <complex>
#include <memory>
#include <vector>

#include <hocket/audio/presets.hpp>
#include <hocket/audio/resolve.hpp>
#include <hocket/kernels/mfcc/arms.hpp>
#include <hocket/kernels/mfcc/reference.hpp>

#include "bench/support/bench.hpp"

namespace {

namespace mfcc = hocket::kernels::mfcc;
using hocket::bench::ready;
using samples_view = hocket::view<const float, 2>;

struct chain {
  const char* preset;
  double rate;
  hocket::audio::feature what;
};

/// Samples of order 0.1: noise that is not white, so that bands differ.
std::vector<float> clip_of(std::size_t samples) {
  std::vector<float> x = hocket::bench::normal_values<float>(samples, 4);
  float before = 0;
  for (float& value : x) before = value = 0.05F * value + 0.9F * before;
  return x;
}

/// The definition's values for `what` on a clip, as one run of T's.
std::vector<float> defined(const mfcc::tables<float>& t, mfcc::stage stop, const std::vector<float>& x) {
  const std::size_t frames = t.frames(x.size());
  const samples_view clip(x.data(), {1, x.size()});
  if (stop == mfcc::stage::stft) {
    std::vector<float> out(2 * t.n_bins() * frames);
    mfcc::reference::stft(t, clip,
                          hocket::view<std::complex<float>, 3>(reinterpret_cast<std::complex<float>*>(out.data()),
                                                               {1, t.n_bins(), frames}));
    return out;
  }
  const std::size_t rows = stop == mfcc::stage::mfcc ? t.n_mfcc : stop == mfcc::stage::power ? t.n_bins() : t.n_mels;
  std::vector<float> out(rows * frames);
  mfcc::reference::run(t, stop, clip, hocket::view<float, 3>(out.data(), {1, rows, frames}));
  return out;
}

/// Promised is the spectrum: epsilon x promise x sum |window| x peak. Behind it, the bound is what an error of that
/// size in the samples does to the definition itself.
double bound_of(const mfcc::chain_arm<float>& arm, const mfcc::tables<float>& t, mfcc::stage stop,
                const std::vector<float>& x, const std::vector<float>& wanted) {
  const double peak = hocket::max_abs(x.data(), x.size()), promise = arm.promise(mfcc::shape_of(t, stop, x.size()));
  double window = 0;
  for (const float w : t.window) window += std::abs(static_cast<double>(w));
  if (stop == mfcc::stage::stft) return promise * hocket::rounding<float>(window * peak);
  std::vector<float> moved = x;
  const hocket::philox random(5);
  for (std::size_t i = 0; i < x.size(); ++i)
    moved[i] += static_cast<float>(hocket::rounding<float>(peak) * (2 * random.uniform_at(i) - 1));
  const std::vector<float> other = defined(t, stop, moved);
  const double magnitude = hocket::max_abs(wanted.data(), wanted.size());
  return promise * std::max(hocket::max_abs_difference(other.data(), wanted.data(), wanted.size()),
                            hocket::rounding<float>(magnitude));
}

ready prepare(const mfcc::chain_arm<float>& arm, const mfcc::tables<float>& t, mfcc::stage stop, std::size_t samples) {
  auto x = std::make_shared<std::vector<float>>(clip_of(samples));
  std::shared_ptr<mfcc::plan<float>> plan = arm.run(t, stop);
  auto memory = std::make_shared<mfcc::workspace<float>>(*plan, samples);
  const std::size_t frames = t.frames(samples), width = stop == mfcc::stage::stft ? 2 : 1;
  auto out = std::make_shared<hocket::buffer<float>>(width * plan->rows() * frames);
  ready made;
  made.run = [=] {
    const samples_view clip(x->data(), {1, x->size()});
    const hocket::shape<3> extents{1, plan->rows(), frames};
    if (stop == mfcc::stage::stft)
      mfcc::run(*plan, *memory, clip,
                hocket::view<std::complex<float>, 3>(reinterpret_cast<std::complex<float>*>(out->data()), extents));
    else
      mfcc::run(*plan, *memory, clip, hocket::view<float, 3>(out->data(), extents));
  };
  made.run();
  const std::vector<float> wanted = defined(t, stop, *x);
  made.check = hocket::compare(out->data(), wanted.data(), wanted.size(), bound_of(arm, t, stop, *x, wanted));
  return made;
}

const bool registered = hocket::bench::register_operation([] {
  using hocket::audio::feature;
  const chain chains[] = {{"librosa-0.11", 22050, feature::stft}, {"librosa-0.11", 22050, feature::power},
                          {"librosa-0.11", 22050, feature::mfcc}, {"torchaudio", 16000, feature::mfcc},
                          {"kaldi", 16000, feature::mfcc},        {"whisper", 16000, feature::logmel}};
  for (const chain& c : chains)
    for (const double seconds : {1.0, 10.0}) {
      const auto options = hocket::audio::resolve(hocket::audio::preset(c.preset), c.rate);
      const auto tables = hocket::audio::make_tables<float>(options, c.rate, c.what);
      const mfcc::stage stop = hocket::audio::stage_of(c.what);
      const auto samples = static_cast<std::size_t>(seconds * c.rate);
      const mfcc::shape s = mfcc::shape_of(tables, stop, samples);
      hocket::bench::add_arms("mfcc", hocket::text(c.preset, "/", hocket::name_of(c.what), "/seconds=", seconds),
                              mfcc::arms<float>(), s, seconds, "seconds of audio",
                              [=](const auto& arm) { return prepare(arm, tables, stop, samples); });
    }
});

}  // namespace
