// Front ends by preset and engine, and the plain-sum definition of the same.
#include <complex>
#include <string_view>

#include <hocket/audio/mfcc.hpp>
#include <hocket/kernels/mfcc/arms.hpp>
#include <hocket/kernels/mfcc/reference.hpp>

#include "capi.hpp"

namespace {

namespace audio = hocket::audio;
namespace mfcc = hocket::kernels::mfcc;
using hocket::capi::runnable;

audio::feature feature_of(const char* name) {
  return hocket::detail::option_from_text<audio::feature>("feature", name);
}

mfcc::tables<float> tables_of(const char* preset, audio::feature what, double rate) {
  return audio::make_tables<float>(audio::resolve(audio::preset(preset), rate), rate, what);
}

/// (clips, samples) -> (clips, rows, frames); a stft gives pairs.
class front_end final : public runnable {
 public:
  front_end(const char* preset, const char* feature, const char* engine, double rate, std::size_t samples,
            std::size_t clips, int threads)
      : plan_(audio::preset(preset), rate, feature_of(feature), hocket::cpu{threads}, engine),
        workspace_(plan_.make_workspace(samples, 1, clips)),
        input_{clips, samples} {
    rows = plan_.rows();
    columns = plan_.frames(samples);
  }

  void run(const float* input, float* output) override {
    const hocket::view<const float, 2> clips(input, input_);
    const hocket::shape<3> extents{input_[0], rows, columns};
    if (plan_.what() != audio::feature::stft) {
      plan_.run_batch(clips, hocket::view<float, 3>(output, extents), workspace_);
    } else {
      auto* const bins = reinterpret_cast<std::complex<float>*>(output);
      plan_.run(clips, hocket::view<std::complex<float>, 3>(bins, extents), workspace_);
    }
  }

 private:
  audio::mfcc_plan<float> plan_;
  audio::mfcc_workspace<float> workspace_;
  hocket::shape<2> input_;
};

/// One clip by plain sums in double.
class definition final : public runnable {
 public:
  definition(const char* preset, const char* feature, double rate, std::size_t samples)
      : samples_(samples), what_(feature_of(feature)), tables_(tables_of(preset, what_, rate)) {
    columns = tables_.frames(samples);
  }

  void run(const float* input, float* output) override {
    const hocket::view<const float, 2> clip(input, {1, samples_});
    if (what_ == audio::feature::stft) {
      const hocket::shape<3> extents{1, tables_.n_bins(), columns};
      mfcc::reference::stft(
          tables_, clip, hocket::view<std::complex<float>, 3>(reinterpret_cast<std::complex<float>*>(output), extents));
      return;
    }
    const std::size_t height = what_ == audio::feature::mfcc    ? tables_.n_mfcc
                               : what_ == audio::feature::power ? tables_.n_bins()
                                                                : tables_.n_mels;
    mfcc::reference::run(tables_, audio::stage_of(what_), clip, hocket::view<float, 3>(output, {1, height, columns}));
  }

 private:
  std::size_t samples_;
  audio::feature what_;
  mfcc::tables<float> tables_;
};

}  // namespace

HOCKET_CAPI void* hocket_audio(const char* preset, const char* feature, const char* engine, double rate,
                               std::size_t samples, std::size_t clips, int threads) {
  return hocket::capi::guarded(
      [&] { return std::make_unique<front_end>(preset, feature, engine, rate, samples, clips, threads); });
}

HOCKET_CAPI void* hocket_audio_reference(const char* preset, const char* feature, double rate, std::size_t samples) {
  return hocket::capi::guarded([&] { return std::make_unique<definition>(preset, feature, rate, samples); });
}

/// What the fused chain promises of its spectrum, in epsilon x the magnitude that kernels/mfcc/arms.hpp states.
HOCKET_CAPI double hocket_audio_promise(const char* preset, const char* engine, double rate, std::size_t samples) {
  try {
    const auto tables = tables_of(preset, audio::feature::stft, rate);
    for (const auto& arm : mfcc::arms<float>())
      if (arm.name == engine) return arm.promise(mfcc::shape_of(tables, mfcc::stage::stft, samples));
  } catch (const std::exception& failure) {
    hocket::capi::last_error() = failure.what();
  }
  return -1;
}
