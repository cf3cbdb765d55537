// Front ends by preset and engine, and the plain-sum definition of the same.
#include <complex>
#include <hocket/audio/mfcc.hpp>
#include <hocket/kernels/fft/vendor_fftw.hpp>
#include <hocket/kernels/mfcc/cpu.hpp>
#include <span>
#include <vector>

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
      : samples_(samples),
        what_(feature_of(feature)),
        plan_(tables_of(preset, what_, rate), audio::stage_of(what_), engine),
        device_{threads},
        workspace_(plan_, samples, 1, threads),
        jobs_(clips) {
    rows = plan_.rows();
    columns = plan_.facts().frames(samples);
  }

  void run(const float* input, float* output) override {
    const std::size_t width = what_ == audio::feature::stft ? 2 : 1, size = rows * columns * width;
    if (what_ == audio::feature::stft) {
      auto* const bins = reinterpret_cast<std::complex<float>*>(output);
      for (std::size_t i = 0; i < jobs_.size(); ++i)
        mfcc::run(plan_, workspace_, hocket::view<const float, 2>(input + i * samples_, {1, samples_}),
                  hocket::view<std::complex<float>, 3>(bins + i * rows * columns, {1, rows, columns}), device_);
      return;
    }
    for (std::size_t i = 0; i < jobs_.size(); ++i)
      jobs_[i] = {{input + i * samples_, {1, samples_}}, {output + i * size, {1, rows, columns}}};
    mfcc::run(plan_, workspace_, std::span<const mfcc::clip<float>>(jobs_), device_);
  }

 private:
  std::size_t samples_;
  audio::feature what_;
  mfcc::plan<float> plan_;
  hocket::cpu device_;
  mfcc::workspace<float> workspace_;
  std::vector<mfcc::clip<float>> jobs_;
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
