// FFTW (fftw3, fftw3f) as a row engine, "fftw". Included by choice; FFTW is under the GPL. Link with -lfftw3 -lfftw3f.
#pragma once

#if defined(HOCKET_HAVE_FFTW)

#include <cstddef>
#include <limits>
#include <memory>
#include <mutex>

#include <fftw3.h>

#include <hocket/core/buffer.hpp>
#include <hocket/kernels/fft/engine.hpp>

namespace hocket::kernels::fft {

/// FFTW's planner is not safe to call from two threads; its execution is.
inline std::mutex& fftw_planner() {
  static std::mutex guard;
  return guard;
}

template <Real T>
struct fftw_names;
template <>
struct fftw_names<float> {
  using plan = fftwf_plan;
  using complex = fftwf_complex;
  /// `batch` dense rows, complex or real, either direction.
  static plan make_many(int n, int batch, float* in, float* out, bool is_complex, bool inverse) {
    auto* z = reinterpret_cast<complex*>(inverse || is_complex ? in : out);
    auto* w = reinterpret_cast<complex*>(out);
    const int bins = n / 2 + 1;
    if (is_complex)
      return fftwf_plan_many_dft(1, &n, batch, z, nullptr, 1, n, w, nullptr, 1, n,
                                 inverse ? FFTW_BACKWARD : FFTW_FORWARD, FFTW_MEASURE);
    if (inverse) return fftwf_plan_many_dft_c2r(1, &n, batch, z, nullptr, 1, bins, out, nullptr, 1, n, FFTW_MEASURE);
    return fftwf_plan_many_dft_r2c(1, &n, batch, in, nullptr, 1, n, w, nullptr, 1, bins, FFTW_MEASURE);
  }
  static void run(plan p, float* in, float* out) noexcept {
    fftwf_execute_dft_r2c(p, in, reinterpret_cast<complex*>(out));
  }
  static void run_inverse(plan p, float* in, float* out) noexcept {
    fftwf_execute_dft_c2r(p, reinterpret_cast<complex*>(in), out);
  }
  static void run_complex(plan p, float* in, float* out) noexcept {
    fftwf_execute_dft(p, reinterpret_cast<complex*>(in), reinterpret_cast<complex*>(out));
  }
  static void destroy(plan p) { fftwf_destroy_plan(p); }
};
template <>
struct fftw_names<double> {
  using plan = fftw_plan;
  using complex = fftw_complex;
  /// `batch` dense rows, complex or real, either direction.
  static plan make_many(int n, int batch, double* in, double* out, bool is_complex, bool inverse) {
    auto* z = reinterpret_cast<complex*>(inverse || is_complex ? in : out);
    auto* w = reinterpret_cast<complex*>(out);
    const int bins = n / 2 + 1;
    if (is_complex)
      return fftw_plan_many_dft(1, &n, batch, z, nullptr, 1, n, w, nullptr, 1, n,
                                inverse ? FFTW_BACKWARD : FFTW_FORWARD, FFTW_MEASURE);
    if (inverse) return fftw_plan_many_dft_c2r(1, &n, batch, z, nullptr, 1, bins, out, nullptr, 1, n, FFTW_MEASURE);
    return fftw_plan_many_dft_r2c(1, &n, batch, in, nullptr, 1, n, w, nullptr, 1, bins, FFTW_MEASURE);
  }
  static void run(plan p, double* in, double* out) noexcept {
    fftw_execute_dft_r2c(p, in, reinterpret_cast<complex*>(out));
  }
  static void run_inverse(plan p, double* in, double* out) noexcept {
    fftw_execute_dft_c2r(p, reinterpret_cast<complex*>(in), out);
  }
  static void run_complex(plan p, double* in, double* out) noexcept {
    fftw_execute_dft(p, reinterpret_cast<complex*>(in), reinterpret_cast<complex*>(out));
  }
  static void destroy(plan p) { fftw_destroy_plan(p); }
};

template <Real T>
class fftw_row final : public row_engine<T> {
  using names = fftw_names<T>;

 public:
  explicit fftw_row(std::size_t n) {
    expects(n >= 1 && n <= static_cast<std::size_t>(std::numeric_limits<int>::max()), errc::unsupported_shape,
            "fftw: a length of ", n, " points is outside [1, 2^31)");
    buffer<T> in(2 * n), out(2 * n);
    const std::lock_guard lock(fftw_planner());
    plan_ = names::make_many(static_cast<int>(n), 1, in.data(), out.data(), true, false);
    expects(plan_ != nullptr, errc::out_of_memory, "fftw: no plan for ", n, " points");
  }
  fftw_row(const fftw_row&) = delete;
  fftw_row& operator=(const fftw_row&) = delete;
  ~fftw_row() override {
    const std::lock_guard lock(fftw_planner());
    names::destroy(plan_);
  }
  // An out-of-place complex plan keeps its input (FFTW manual, 4.3.2), so the cast is harmless.
  void forward(const T* in, T* out) const noexcept override { names::run_complex(plan_, const_cast<T*>(in), out); }

 private:
  typename names::plan plan_ = nullptr;
};

template <Real T>
std::unique_ptr<row_engine<T>> make_fftw(std::size_t n) {
  return std::make_unique<fftw_row<T>>(n);
}

inline const bool fftw_registered =
    register_engine<float>("fftw", &make_fftw<float>) && register_engine<double>("fftw", &make_fftw<double>);

}  // namespace hocket::kernels::fft

#endif  // HOCKET_HAVE_FFTW
