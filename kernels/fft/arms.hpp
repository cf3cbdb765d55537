// The registry of this room: every arm of the transform, by kind and element type. Only tests and bench include it.
//
// Accuracy: |X - reference| of every output is at most promise(shape) x epsilon x sqrt(n) x the norm of the input's
// root-mean-square, that is epsilon x ||x||_2. The error of a fast transform grows like the number of passes (W. M.
// Gentleman and G. Sande, "Fast Fourier transforms - for fun and profit", 1966); Bluestein's chirp adds two transforms
// of twice the length.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/core/buffer.hpp>
#include <hocket/kernels/fft/cpu.hpp>
#if defined(HOCKET_HAVE_FFTW)
#include <hocket/kernels/fft/vendor_fftw.hpp>
#endif

namespace hocket::kernels::fft {

enum class kind { complex_forward, complex_inverse, real_forward, real_inverse };

constexpr std::string_view name_of(kind what) {
  switch (what) {
    case kind::complex_forward: return "complex_forward";
    case kind::complex_inverse: return "complex_inverse";
    case kind::real_forward: return "real_forward";
    case kind::real_inverse: return "real_inverse";
  }
  return "unknown";
}

struct shape {
  kind what = kind::complex_forward;
  std::size_t n = 0;      ///< points
  std::size_t batch = 1;  ///< rows
  bool real() const { return what == kind::real_forward || what == kind::real_inverse; }
  /// T's of a row
  std::size_t in_row() const {
    return what == kind::real_forward ? n : what == kind::real_inverse ? 2 * (n / 2 + 1) : 2 * n;
  }
  std::size_t out_row() const {
    return what == kind::real_inverse ? n : what == kind::real_forward ? 2 * (n / 2 + 1) : 2 * n;
  }
};

/// A planned transform of dense rows; inverses are not divided by n. `in` may be overwritten.
template <Real T>
class planned {
 public:
  virtual ~planned() = default;
  virtual void run(T* in, T* out) noexcept = 0;
};

template <Real T>
using maker = std::unique_ptr<planned<T>> (*)(const shape&);
template <Real T>
using fft_arm = arm<shape, maker<T>>;

inline double flops(const shape& s) {
  const double n = static_cast<double>(s.n);
  return (s.real() ? 2.5 : 5.0) * n * std::log2(n > 1 ? n : 2) * static_cast<double>(s.batch);
}
template <Real T>
double bytes(const shape& s) {
  return static_cast<double>(sizeof(T) * (s.in_row() + s.out_row()) * s.batch);
}
inline bool any_length(const shape& s) { return s.n >= 1; }
inline double own_promise(const shape& s) {
  const double depth = std::log2(static_cast<double>(s.n) + 1) + 1;
  return small_radices(s.n).empty() && s.n > 1 ? 3 * (depth + 2) : depth;
}

template <Real T>
class own_planned final : public planned<T> {
 public:
  explicit own_planned(const shape& s)
      : shape_(s),
        level_(best_isa()),
        real_(s.real() ? s.n : 1),
        complex_(s.real() ? 1 : s.n),
        memory_(s.real() ? work_size(real_, level_) : work_size(complex_, level_)) {}
  void run(T* in, T* out) noexcept override {
    const rows_of<const T> from{in, shape_.in_row()};
    const rows_of<T> to{out, shape_.out_row()};
    switch (shape_.what) {
      case kind::complex_forward:
      case kind::complex_inverse:
        return run_complex<T>(complex_, level_, from, to, shape_.batch, shape_.what == kind::complex_inverse, T{1},
                              memory_.data());
      case kind::real_forward: return run_real<T>(real_, level_, from, to, shape_.batch, memory_.data());
      case kind::real_inverse: return run_real_inverse<T>(real_, level_, from, to, shape_.batch, T{1}, memory_.data());
    }
  }

 private:
  shape shape_;
  isa level_;
  real_plan<T> real_;
  plan<T> complex_;
  buffer<T> memory_;
};

#if defined(HOCKET_HAVE_FFTW)
template <Real T>
class fftw_planned final : public planned<T> {
  using names = fftw_names<T>;

 public:
  explicit fftw_planned(const shape& s) : shape_(s) {
    buffer<T> in(s.in_row() * s.batch), out(s.out_row() * s.batch);
    const std::lock_guard lock(fftw_planner());
    plan_ = names::make_many(static_cast<int>(s.n), static_cast<int>(s.batch), in.data(), out.data(), !s.real(),
                             s.what == kind::complex_inverse || s.what == kind::real_inverse);
    expects(plan_ != nullptr, errc::out_of_memory, "fftw: no plan for ", s.batch, " x ", s.n);
  }
  fftw_planned(const fftw_planned&) = delete;
  fftw_planned& operator=(const fftw_planned&) = delete;
  ~fftw_planned() override {
    const std::lock_guard lock(fftw_planner());
    names::destroy(plan_);
  }
  void run(T* in, T* out) noexcept override {
    switch (shape_.what) {
      case kind::complex_forward:
      case kind::complex_inverse: return names::run_complex(plan_, in, out);
      case kind::real_forward: return names::run(plan_, in, out);
      case kind::real_inverse: return names::run_inverse(plan_, in, out);
    }
  }

 private:
  shape shape_;
  typename names::plan plan_ = nullptr;
};
/// FFTW's own accuracy tables (fftw.org/accuracy) lie below this.
inline double fftw_promise(const shape& s) { return 2 * (std::log2(static_cast<double>(s.n) + 1) + 2); }
#endif

/// Every arm for T.
template <Real T>
std::vector<fft_arm<T>> arms() {
  std::vector<fft_arm<T>> all;
  all.push_back({"own", backend::cpu, dtype_of<T>, &any_length, &own_promise, &flops, &bytes<T>,
                 [](const shape& s) -> std::unique_ptr<planned<T>> { return std::make_unique<own_planned<T>>(s); }});
#if defined(HOCKET_HAVE_FFTW)
  all.push_back({"fftw", backend::cpu, dtype_of<T>, &any_length, &fftw_promise, &flops, &bytes<T>,
                 [](const shape& s) -> std::unique_ptr<planned<T>> { return std::make_unique<fftw_planned<T>>(s); }});
#endif
  return all;
}

}  // namespace hocket::kernels::fft
