// The discrete Fourier transform by its definition, O(n^2), summed in long double: what every arm of this room is
// compared with.
#pragma once

#include <complex>
#include <cstddef>
#include <vector>

#include <hocket/kernels/fft/plan.hpp>

namespace hocket::kernels::fft::reference {

/// X[k] = sum over j of x[j] exp(-+ 2 pi i j k / n): `inverse` takes the plus sign; nothing is divided by n. (n) ->
/// (n).
template <class Complex>
std::vector<std::complex<double>> transform(const std::vector<Complex>& x, bool inverse = false) {
  const std::size_t n = x.size();
  std::vector<long double> cosine(n), sine(n);
  std::vector<std::complex<double>> out(n);
  for (std::size_t r = 0; r < n; ++r) {
    const auto [c, s] = root_of_unity<long double>(r, n);
    cosine[r] = c;
    sine[r] = inverse ? -s : s;
  }
  for (std::size_t k = 0; k < n; ++k) {
    long double re = 0, im = 0;
    for (std::size_t j = 0; j < n; ++j) {
      const std::complex<double> value(x[j]);
      const std::size_t r = j * k % n;
      re += value.real() * cosine[r] - value.imag() * sine[r];
      im += value.real() * sine[r] + value.imag() * cosine[r];
    }
    out[k] = {static_cast<double>(re), static_cast<double>(im)};
  }
  return out;
}

/// Bins 0 .. n / 2 of real samples: x (n) -> (n / 2 + 1).
template <Real T>
std::vector<std::complex<double>> real_forward(const std::vector<T>& x) {
  auto all = transform(std::vector<std::complex<double>>(x.begin(), x.end()));
  all.resize(x.size() / 2 + 1);
  return all;
}

/// n samples from bins 0 .. n / 2; the other bins are the conjugates, bins 0 and n / 2 of an even n are taken as real.
template <class Complex>
std::vector<double> real_inverse(const std::vector<Complex>& bins, std::size_t n) {
  std::vector<std::complex<double>> all(n);
  for (std::size_t k = 0; k < n; ++k)
    all[k] = k <= n / 2 ? std::complex<double>(bins[k]) : std::conj(std::complex<double>(bins[n - k]));
  all[0] = all[0].real();
  if (n % 2 == 0) all[n / 2] = all[n / 2].real();
  const auto x = transform(all, true);
  std::vector<double> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = x[i].real();
  return out;
}

}  // namespace hocket::kernels::fft::reference
