// The limit that fused front ends are held against: FFTW's real-to-complex transforms alone, planned with FFTW_MEASURE,
// on frames that stay in the first-level cache: no framing, no window, no power, nothing read from or written to
// memory.
#include <hocket/core/buffer.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/parallel.hpp>

#include "capi.hpp"

#if defined(HOCKET_HAVE_FFTW)
#include <fftw3.h>

#include <cmath>
#include <vector>

namespace {

using hocket::capi::runnable;

class fftw_limit final : public runnable {
 public:
  /// `frames` transforms of n_fft samples, `together` at a time in one plan, shared out over `threads` threads.
  fftw_limit(std::size_t n_fft, std::size_t frames, std::size_t together, int threads)
      : calls_((frames + together - 1) / together), device_{threads} {
    rows = frames;
    columns = n_fft / 2 + 1;
    const std::size_t bins = 2 * columns;
    for (int worker = 0; worker < threads; ++worker) {
      inputs_.emplace_back(together * n_fft);
      outputs_.emplace_back(together * bins);
    }
    const int length = static_cast<int>(n_fft), count = static_cast<int>(together), half = static_cast<int>(columns);
    auto* const spectrum = reinterpret_cast<fftwf_complex*>(outputs_[0].data());
    plan_ = fftwf_plan_many_dft_r2c(1, &length, count, inputs_[0].data(), nullptr, 1, length, spectrum, nullptr, 1,
                                    half, FFTW_MEASURE);
    hocket::expects(plan_ != nullptr, hocket::errc::unsupported_shape, "FFTW has no plan for ", n_fft, " samples");
    for (auto& input : inputs_)  // planning overwrites its arrays
      for (std::size_t i = 0; i < input.size(); ++i) input[i] = std::sin(static_cast<float>(i % n_fft));
  }
  fftw_limit(const fftw_limit&) = delete;
  fftw_limit& operator=(const fftw_limit&) = delete;
  ~fftw_limit() override { fftwf_destroy_plan(plan_); }

  void run(const float*, float*) override {
    const std::size_t workers = inputs_.size();
    hocket::for_each_tile(device_, workers, [&](std::size_t tile, std::size_t) {
      const std::size_t begin = calls_ * tile / workers, end = calls_ * (tile + 1) / workers;
      float* const input = inputs_[tile].data();
      auto* const output = reinterpret_cast<fftwf_complex*>(outputs_[tile].data());
      for (std::size_t call = begin; call < end; ++call) fftwf_execute_dft_r2c(plan_, input, output);
    });
  }

 private:
  std::size_t calls_;
  hocket::cpu device_;
  std::vector<hocket::buffer<float>> inputs_, outputs_;
  fftwf_plan plan_ = nullptr;
};

}  // namespace

HOCKET_CAPI const char* hocket_fftw_version() { return fftwf_version; }

HOCKET_CAPI void* hocket_fftw_limit(std::size_t n_fft, std::size_t frames, std::size_t together, int threads) {
  return hocket::capi::guarded([&] { return std::make_unique<fftw_limit>(n_fft, frames, together, threads); });
}

#else

HOCKET_CAPI const char* hocket_fftw_version() { return ""; }

HOCKET_CAPI void* hocket_fftw_limit(std::size_t, std::size_t, std::size_t, int) {
  return hocket::capi::guarded([]() -> std::unique_ptr<hocket::capi::runnable> {
    hocket::fail(hocket::errc::not_built, "this build has no FFTW: install libfftw3-dev and configure again");
  });
}

#endif
