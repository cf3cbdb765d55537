// Fourier transforms of every length, complex and real, forward and inverse, one row or a batch.
//
//   fft_plan<float> fft(400);
//   fft.forward(samples, bins);        // (400) real -> (201) complex
//   fft.inverse(bins, samples);        // divides by 400, so that a round trip gives the samples back
//   fft.forward_batch(rows, out);      // (B, 400) -> (B, 201): several rows side by side in SIMD lanes
//
// A plan holds its tables and its working memory: it allocates when it is made, never in a call. One plan serves one
// call at a time; a copy serves another thread. Batches cost a fraction per row of what single rows cost.
#pragma once

#include <complex>
#include <cstddef>
#include <memory>

#include <hocket/core/buffer.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/simd.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/fft/cpu.hpp>

namespace hocket::audio {

template <Real T>
class fft_plan {
 public:
  /// Throws unsupported_shape for a length of 0 or beyond 2^27.
  explicit fft_plan(std::size_t n)
      : level_(best_isa()),
        real_(std::make_shared<const kernels::fft::real_plan<T>>(n)),
        complex_(real_->halved() ? std::make_shared<const kernels::fft::plan<T>>(n)
                                 : std::shared_ptr<const kernels::fft::plan<T>>(real_, &real_->complex())),
        memory_(std::max(kernels::fft::work_size(*real_, level_), kernels::fft::work_size(*complex_, level_))) {}

  std::size_t size() const { return real_->size(); }
  std::size_t bins() const { return real_->bins(); }

  /// X[k] = sum over j of x[j] exp(-2 pi i j k / n). (n) -> (n); in place is allowed.
  void transform(view<const std::complex<T>, 1> in, view<std::complex<T>, 1> out) {
    complex_batch(as_row(in), as_row(out), false);
  }
  /// The inverse, divided by n.
  void inverse_transform(view<const std::complex<T>, 1> in, view<std::complex<T>, 1> out) {
    complex_batch(as_row(in), as_row(out), true);
  }
  /// Rows of (B, n).
  void transform_batch(view<const std::complex<T>, 2> in, view<std::complex<T>, 2> out) {
    complex_batch(in, out, false);
  }
  void inverse_transform_batch(view<const std::complex<T>, 2> in, view<std::complex<T>, 2> out) {
    complex_batch(in, out, true);
  }

  /// Real samples (n) -> bins (n / 2 + 1).
  void forward(view<const T, 1> samples, view<std::complex<T>, 1> bins_out) {
    forward_batch(as_row(samples), as_row(bins_out));
  }
  /// Bins (n / 2 + 1) -> samples (n), divided by n. The imaginary parts of bin 0, and of bin n / 2 of an even n, count
  /// as 0.
  void inverse(view<const std::complex<T>, 1> bins_in, view<T, 1> samples) {
    inverse_batch(as_row(bins_in), as_row(samples));
  }
  /// (B, n) -> (B, n / 2 + 1)
  void forward_batch(view<const T, 2> samples, view<std::complex<T>, 2> bins_out) {
    require("forward", samples, size());
    require("forward", bins_out, bins());
    require_rows("forward", samples.extent(0), bins_out.extent(0));
    kernels::fft::run_real<T>(*real_, level_, {samples.data(), samples.stride(0)},
                              {parts(bins_out.data()), 2 * bins_out.stride(0)}, samples.extent(0), memory_.data());
  }
  /// (B, n / 2 + 1) -> (B, n)
  void inverse_batch(view<const std::complex<T>, 2> bins_in, view<T, 2> samples) {
    require("inverse", bins_in, bins());
    require("inverse", samples, size());
    require_rows("inverse", bins_in.extent(0), samples.extent(0));
    kernels::fft::run_real_inverse<T>(*real_, level_, {parts(bins_in.data()), 2 * bins_in.stride(0)},
                                      {samples.data(), samples.stride(0)}, bins_in.extent(0),
                                      T{1} / static_cast<T>(size()), memory_.data());
  }

 private:
  void complex_batch(view<const std::complex<T>, 2> in, view<std::complex<T>, 2> out, bool inverse) {
    require("transform", in, size());
    require("transform", out, size());
    require_rows("transform", in.extent(0), out.extent(0));
    kernels::fft::run_complex<T>(*complex_, level_, {parts(in.data()), 2 * in.stride(0)},
                                 {parts(out.data()), 2 * out.stride(0)}, in.extent(0), inverse,
                                 T{1} / static_cast<T>(size()), memory_.data());
  }

  template <class U>
  static view<U, 2> as_row(const view<U, 1>& v) {
    return {v.data(), {1, v.extent(0)}};
  }
  // [complex.numbers]: an array of complex<T> may be read as pairs of T.
  static T* parts(std::complex<T>* p) { return reinterpret_cast<T*>(p); }
  static const T* parts(const std::complex<T>* p) { return reinterpret_cast<const T*>(p); }

  template <class U>
  void require(const char* call, const view<U, 2>& rows, std::size_t wanted) const {
    expects(rows.extent(1) == wanted, errc::unsupported_shape, "fft_plan::", call, ": a row has ", rows.extent(1),
            " elements, a transform of ", size(), " needs ", wanted);
    expects(rows.extent(0) == 0 || rows.data() != nullptr, errc::bad_pointer, "fft_plan::", call, ": a view of ",
            rows.extent(0), " rows points to null");
    expects(rows.extent(0) <= 1 || rows.stride(0) >= wanted, errc::misaligned, "fft_plan::", call, ": rows are ",
            rows.stride(0), " elements apart but hold ", wanted);
  }
  static void require_rows(const char* call, std::size_t in, std::size_t out) {
    expects(in == out, errc::unsupported_shape, "fft_plan::", call, ": ", in, " rows in, ", out, " rows out");
  }

  isa level_;
  std::shared_ptr<const kernels::fft::real_plan<T>> real_;
  std::shared_ptr<const kernels::fft::plan<T>> complex_;
  buffer<T> memory_;
};

}  // namespace hocket::audio
