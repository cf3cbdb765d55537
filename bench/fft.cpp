// Every arm of kernels/fft, each kind of transform, at front-end lengths, odd ones, and a prime that needs Bluestein.
#include <algorithm>
#include <cmath>
#include <complex>
#include <memory>
#include <vector>

#include <hocket/kernels/fft/arms.hpp>
#include <hocket/kernels/fft/reference.hpp>

#include "bench/support/bench.hpp"

namespace {

namespace fft = hocket::kernels::fft;
using hocket::bench::ready;

constexpr std::size_t batch = 32;  // rows: the data stay in the second-level cache

/// T's of one row of the reference, in the arm's own layout.
template <class T>
std::vector<double> expected(const fft::shape& s, const T* row) {
  std::vector<std::complex<double>> pairs;
  std::vector<double> out;
  const auto as_pairs = [&] {
    std::vector<std::complex<double>> z(s.in_row() / 2);
    for (std::size_t i = 0; i < z.size(); ++i) z[i] = {row[2 * i], row[2 * i + 1]};
    return z;
  };
  switch (s.what) {
    case fft::kind::real_inverse: return fft::reference::real_inverse(as_pairs(), s.n);
    case fft::kind::real_forward: pairs = fft::reference::real_forward(std::vector<T>(row, row + s.n)); break;
    case fft::kind::complex_forward: pairs = fft::reference::transform(as_pairs()); break;
    case fft::kind::complex_inverse: pairs = fft::reference::transform(as_pairs(), true); break;
  }
  for (const auto& z : pairs) {
    out.push_back(z.real());
    out.push_back(z.imag());
  }
  return out;
}

template <class T>
ready prepare(const fft::fft_arm<T>& arm, const fft::shape& s) {
  const std::vector<T> values = hocket::bench::normal_values<T>(s.in_row() * s.batch, 1);
  auto in = std::make_shared<hocket::buffer<T>>(values.size());
  auto out = std::make_shared<hocket::buffer<T>>(s.out_row() * s.batch);
  std::shared_ptr<fft::planned<T>> planned = arm.run(s);
  std::copy(values.begin(), values.end(), in->begin());
  planned->run(in->data(), out->data());
  ready made;
  for (const std::size_t row : {std::size_t{0}, s.batch - 1}) {
    const T* const from = values.data() + row * s.in_row();
    double square = 0;
    for (std::size_t i = 0; i < s.in_row(); ++i) square += static_cast<double>(from[i]) * static_cast<double>(from[i]);
    // a half spectrum stands for twice its norm
    const double norm = std::sqrt(square * (s.what == fft::kind::real_inverse ? 2 : 1));
    const double bound = arm.promise(s) * hocket::rounding<T>(norm);
    const std::vector<double> wanted = expected(s, from);
    for (std::size_t i = 0; i < wanted.size(); ++i)
      made.check.add(std::abs(static_cast<double>((*out)[row * s.out_row() + i]) - wanted[i]), bound);
  }
  made.run = [planned, in, out] { planned->run(in->data(), out->data()); };
  return made;
}

template <class T>
void add_arms() {
  for (const fft::kind what : {fft::kind::real_forward, fft::kind::real_inverse, fft::kind::complex_forward})
    for (const std::size_t n : {400u, 512u, 1000u, 1009u, 1024u, 2048u}) {
      const fft::shape s{what, n, batch};
      hocket::bench::add_arms("fft", hocket::text(name_of(what), "/n=", n, "/batch=", batch), fft::arms<T>(), s,
                              static_cast<double>(batch), "transforms",
                              [s](const auto& arm) { return prepare<T>(arm, s); });
    }
}

const bool registered = hocket::bench::register_operation([] {
  add_arms<float>();
  add_arms<double>();
});

}  // namespace
