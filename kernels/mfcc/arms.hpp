// The registry of this room: the chain with our own transform and with every registered engine. Only tests and bench
// include it.
//
// Accuracy is promised where it is decided, in the spectrum: |X - reference| <= promise x epsilon x sum over i of
// |window[i]| x the largest sample of the frame. What follows are sums of positive terms and a logarithm within one
// unit in the last place, whose conditioning depends on the values: the tests derive their bounds from the reference's.
#pragma once

#include <cmath>
#include <cstddef>
#include <memory>
#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/kernels/fft/plan.hpp>
#include <hocket/kernels/mfcc/cpu.hpp>
#if defined(HOCKET_HAVE_FFTW)
#include <hocket/kernels/fft/vendor_fftw.hpp>
#endif

namespace hocket::kernels::mfcc {

/// One clip of one channel.
struct shape {
  std::size_t n_fft = 0, frames = 0, samples = 0, n_mels = 0, n_mfcc = 0, weights = 0;
  stage stop = stage::mfcc;
};

template <Real T>
shape shape_of(const tables<T>& t, stage stop, std::size_t samples) {
  return {t.n_fft, t.frames(samples), samples, t.n_mels, t.n_mfcc, t.mel_weights.size(), stop};
}

inline bool any_tables(const shape& s) { return s.n_fft >= 1; }
inline double spectrum_promise(const shape& s) {
  const double depth = std::log2(static_cast<double>(s.n_fft) + 1) + 3;
  return fft::small_radices(s.n_fft).empty() && s.n_fft > 1 ? 3 * (depth + 2) : depth;
}
/// Window, transform (2.5 n log2 n), squares, two operations for each weight that is not zero, cosines.
inline double chain_flops(const shape& s) {
  const double n = static_cast<double>(s.n_fft), bins = static_cast<double>(s.n_fft / 2 + 1);
  double each = n + 2.5 * n * std::log2(n > 1 ? n : 2);
  if (s.stop >= stage::power) each += 3 * bins;
  if (s.stop >= stage::mel) each += 2 * static_cast<double>(s.weights);
  if (s.stop >= stage::mfcc) each += 2 * static_cast<double>(s.n_mels * s.n_mfcc);
  return each * static_cast<double>(s.frames);
}
template <Real T>
double chain_bytes(const shape& s) {
  const std::size_t rows = s.stop == stage::stft    ? 2 * (s.n_fft / 2 + 1)
                           : s.stop == stage::power ? s.n_fft / 2 + 1
                           : s.stop == stage::mfcc  ? s.n_mfcc
                                                    : s.n_mels;
  return static_cast<double>(sizeof(T) * (s.samples + rows * s.frames));
}

template <Real T>
using maker = std::unique_ptr<plan<T>> (*)(const tables<T>&, stage);
template <Real T>
using chain_arm = arm<shape, maker<T>>;

template <Real T>
std::unique_ptr<plan<T>> plan_own(const tables<T>& t, stage stop) {
  return std::make_unique<plan<T>>(t, stop);
}
template <Real T>
std::unique_ptr<plan<T>> plan_fftw(const tables<T>& t, stage stop) {
  return std::make_unique<plan<T>>(t, stop, "fftw");
}

/// Every arm for T.
template <Real T>
std::vector<chain_arm<T>> arms() {
  std::vector<chain_arm<T>> list{
      {"own", backend::cpu, dtype_of<T>, &any_tables, &spectrum_promise, &chain_flops, &chain_bytes<T>, &plan_own<T>}};
#if defined(HOCKET_HAVE_FFTW)
  list.push_back({"fftw", backend::cpu, dtype_of<T>, &any_tables, &spectrum_promise, &chain_flops, &chain_bytes<T>,
                  &plan_fftw<T>});
#endif
  return list;
}

}  // namespace hocket::kernels::mfcc
