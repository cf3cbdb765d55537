// The limit that fused front ends are held against: FFTW's real-to-complex transforms alone, planned with FFTW_MEASURE,
// on frames that stay in the first-level cache: no framing, no window, no power, nothing read from or written to
// memory.
#include <hocket/core/buffer.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/parallel.hpp>

#include "capi.hpp"

#if defined(HOCKET_HAVE_FFTW)
#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

#include <fftw3.h>

namespace {

using hocket::capi::runnable;

class fftw_limit final : public runnable {
 public:
  /// `frames` transforms of n_fft samples, `together` at a time in one plan, shared out over `threads` threads.
  fftw_limit(std::size_t n_fft, std::size_t frames, std::size_t together, int threads)
      : calls_((frames + together - 1) / together), device_{threads} {
    rows = frames;
    columns = n_fft / 2 + 1;
    for (int worker = 0; worker < threads; ++worker) {
      inputs_.emplace_back(together * n_fft);
      outputs_.emplace_back(2 * together * columns);
    }
    // What FFTW_MEASURE finds depends on the moment: the limit is the fastest of several plans found independently.
    double best = 0;
    for (int attempt = 0; attempt < 5; ++attempt) {
      fftwf_forget_wisdom();
      fftwf_plan found = planned(n_fft, together);
      hocket::expects(found != nullptr, hocket::errc::unsupported_shape, "FFTW has no plan for ", n_fft, " samples");
      // planning overwrites its arrays
      for (auto& input : inputs_)
        for (std::size_t i = 0; i < input.size(); ++i) input[i] = std::sin(static_cast<float>(i % n_fft));
      const double taken = seconds_of(found);
      if (plan_ == nullptr || taken < best) {
        std::swap(plan_, found);
        best = taken;
      }
      if (found != nullptr) fftwf_destroy_plan(found);
    }
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
  fftwf_plan planned(std::size_t n_fft, std::size_t together) {
    const int length = static_cast<int>(n_fft), count = static_cast<int>(together), half = static_cast<int>(columns);
    return fftwf_plan_many_dft_r2c(1, &length, count, inputs_[0].data(), nullptr, 1, length,
                                   reinterpret_cast<fftwf_complex*>(outputs_[0].data()), nullptr, 1, half,
                                   FFTW_MEASURE);
  }

  /// The least of several times of a few hundred microseconds.
  double seconds_of(fftwf_plan plan) {
    double least = 0;
    for (int sample = 0; sample < 20; ++sample) {
      const auto begin = std::chrono::steady_clock::now();
      for (int call = 0; call < 100; ++call)
        fftwf_execute_dft_r2c(plan, inputs_[0].data(), reinterpret_cast<fftwf_complex*>(outputs_[0].data()));
      const double taken = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      if (sample == 0 || taken < least) least = taken;
    }
    return least;
  }

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
