// Every arm of the fused chain, at the stages where it can stop, on clips of one and ten seconds by preset.
#include <complex>
#include <memory>
#include <vector>

#include <hocket/audio/presets.hpp>
#include <hocket/audio/resolve.hpp>
#include <hocket/kernels/mfcc/arms.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/mfcc_check.hpp"

namespace {

namespace mfcc = hocket::kernels::mfcc;
using hocket::bench::ready;
using samples_view = hocket::view<const float, 2>;

struct chain {
  const char* preset;
  double rate;
  hocket::audio::feature what;
};

ready prepare(const mfcc::chain_arm<float>& arm, const mfcc::tables<float>& t, mfcc::stage stop, std::size_t samples) {
  auto x = std::make_shared<std::vector<float>>(hocket::bench::clip_of(samples));
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
  const std::vector<float> wanted = hocket::bench::defined(t, stop, *x);
  const double promise = arm.promise(mfcc::shape_of(t, stop, samples));
  made.check =
      hocket::compare(out->data(), wanted.data(), wanted.size(), hocket::bench::bound_of(promise, t, stop, *x, wanted));
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
