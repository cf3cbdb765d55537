// Tables of a transform of one length: how the length is cut into passes, and every twiddle factor. Nothing here
// depends on the instruction set; cpu_body.inl runs the tables with one transform per SIMD lane.
//
// A length whose prime factors are 2, 3, 5, 7 is cut into passes of radix S = first * second <= 64; a pass is
// Stockham's autosort step (decimation in frequency) whose S-point transforms are done in two sub-steps inside the
// first cache:
//
//   pass (n = S m, s):  y[q + s (S p + k)] = w_n^{p k} sum over j < S of x[q + s (p + m j)] w_S^{j k},  w_n = exp(-2 pi
//   i / n)
//
// (W. T. Cochran et al., "What is the fast Fourier transform?", 1967; the autosort form: P. N. Swarztrauber, "FFT
// algorithms for vector computers", 1984.) Any other length goes through Bluestein's chirp (L. I. Bluestein, 1970).
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numbers>
#include <utility>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/simd.hpp>

namespace hocket::kernels::fft {

/// Bytes of a register of an instruction set; a lane block holds this by sizeof(T) transforms.
constexpr std::size_t register_bytes(isa level) { return level == isa::avx512 ? 64 : level == isa::avx2 ? 32 : 16; }

/// exp(-2 pi i k / n) as (cosine, sine), exact to the last place of Value: the angle is reduced to an eighth of the
/// circle in whole numbers first.
template <class Value = double>
std::pair<Value, Value> root_of_unity(std::uint64_t k, std::uint64_t n) {
  // In eighths of the circle: 8 k / n = octant + rest / n.
  const std::uint64_t eighths = 8 * (k % n);
  const std::uint64_t octant = eighths / n;
  std::uint64_t rest = eighths % n;
  if (octant % 2 == 1) rest = n - rest;
  const long double angle =
      std::numbers::pi_v<long double> / 4 * static_cast<long double>(rest) / static_cast<long double>(n);
  Value c = static_cast<Value>(std::cos(angle));
  Value s = static_cast<Value>(std::sin(angle));
  if ((octant + 1) / 2 % 2 == 1) std::swap(c, s);  // octants 1, 2, 5, 6
  if (octant >= 2 && octant < 6) c = -c;
  if (octant < 4) s = -s;  // the exponent is negative
  return {c, s};
}

/// One pass over the data; offsets address plan::twiddles in complex numbers.
struct pass {
  std::size_t radix = 1;  ///< S
  std::size_t first = 1;  ///< S = first * second; second is 1 when one butterfly does the whole pass
  std::size_t second = 1;
  std::size_t m = 1;      ///< n / S of the length that is left
  std::size_t s = 1;      ///< product of the radices before
  std::size_t inner = 0;  ///< (second, first): w_S^{c k} between the sub-steps
  std::size_t outer = 0;  ///< (m, first, second): w_n^{p (c + first k)}; unused when m = 1
};

/// Cuts n into small radices, largest first; empty if a prime factor exceeds 7.
inline std::vector<std::size_t> small_radices(std::size_t n) {
  std::vector<std::size_t> radices;
  for (const std::size_t odd : {std::size_t{7}, std::size_t{5}, std::size_t{3}})
    for (; n % odd == 0; n /= odd) radices.push_back(odd);
  std::size_t twos = 0;
  for (; n % 2 == 0; n /= 2) ++twos;
  if (n != 1) return {};
  for (; twos >= 3 && twos != 4; twos -= 3) radices.push_back(8);
  for (; twos >= 2; twos -= 2) radices.push_back(4);
  if (twos == 1) radices.push_back(2);
  return radices;
}

namespace detail {

/// Plan-time transform in double of a length without prime factors above 7: plain recursion.
inline void transform_in_double(std::complex<double>* x, std::size_t n, std::complex<double>* spare) {
  if (n == 1) return;
  const std::size_t radix = n % 2 == 0 ? 2 : n % 3 == 0 ? 3 : n % 5 == 0 ? 5 : 7, m = n / radix;
  for (std::size_t j = 0; j < radix; ++j)
    for (std::size_t i = 0; i < m; ++i) spare[j * m + i] = x[i * radix + j];
  for (std::size_t j = 0; j < radix; ++j) transform_in_double(spare + j * m, m, x + j * m);
  std::vector<std::complex<double>> turn(n);
  for (std::size_t k = 0; k < n; ++k) {
    const auto [c, s] = root_of_unity(k, n);
    turn[k] = {c, s};
  }
  for (std::size_t k = 0; k < n; ++k) {
    std::complex<double> sum = 0;
    for (std::size_t j = 0; j < radix; ++j) sum += spare[j * m + k % m] * turn[j * k % n];
    x[k] = sum;
  }
}

}  // namespace detail

/// A complex transform of n points.
template <Real T>
class plan {
 public:
  explicit plan(std::size_t n) : n_(n) {
    expects(n >= 1, errc::unsupported_shape, "fft: the length is 0; a transform has at least 1 point");
    expects(n <= max_length, errc::unsupported_shape, "fft: the length ", n, " exceeds ", max_length);
    std::vector<std::size_t> radices = small_radices(n);
    if (n > 1 && radices.empty()) {
      plan_chirp();
    } else {
      plan_passes(std::move(radices));
    }
  }

  static constexpr std::size_t max_length = std::size_t{1} << 27;

  std::size_t size() const { return n_; }
  bool chirped() const { return convolution_ != nullptr; }
  const std::vector<pass>& passes() const { return passes_; }
  const T* twiddles(std::size_t offset) const { return twiddles_.data() + 2 * offset; }
  /// Bluestein: the smooth transform that convolves, exp(-pi i k^2 / n) for k < n, and the transform of its conjugate
  /// divided by the convolution's length.
  const plan& convolution() const { return *convolution_; }
  const T* chirp() const { return chirp_.data(); }
  const T* chirp_spectrum() const { return chirp_spectrum_.data(); }
  /// Complex numbers per lane that a run needs beside its input and output.
  std::size_t work() const { return chirped() ? 2 * convolution_->size() + convolution_->work() : n_ + max_radix; }

  static constexpr std::size_t max_radix = 64;

 private:
  void plan_passes(std::vector<std::size_t> radices) {
    if (radices.empty()) return;
    // Pair the largest with the smallest, so that passes are of like size; the smallest pass goes first: it reads
    // columns of the input through a tile in the first cache.
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
    std::sort(radices.begin(), radices.end());
    std::size_t low = 0, high = radices.size();
    if (radices.size() % 2 == 1) pairs.emplace_back(radices[--high], 1);
    while (low < high) {
      pairs.emplace_back(radices[high - 1], radices[low]);
      ++low;
      --high;
    }
    std::sort(pairs.begin(), pairs.end(),
              [](const auto& a, const auto& b) { return a.first * a.second < b.first * b.second; });

    std::size_t total = 0, left = n_;
    for (const auto& [first, second] : pairs) {
      const std::size_t radix = first * second;
      total += (second > 1 ? radix : 0) + (left > radix ? left : 0);
      left /= radix;
    }
    twiddles_ = buffer<T>(2 * total);
    std::size_t at = 0, done = 1;
    left = n_;
    for (const auto& [first, second] : pairs) {
      pass step;
      step.first = first;
      step.second = second;
      step.radix = first * second;
      step.m = left / step.radix;
      step.s = done;
      if (second > 1) {
        step.inner = at;
        for (std::size_t c = 0; c < second; ++c)
          for (std::size_t k = 0; k < first; ++k) put(twiddles_, at++, c * k, step.radix);
      }
      if (step.m > 1) {
        step.outer = at;
        for (std::size_t p = 0; p < step.m; ++p)
          for (std::size_t c = 0; c < (second > 1 ? first : 1); ++c)
            for (std::size_t k = 0; k < (second > 1 ? second : first); ++k)
              put(twiddles_, at++, p * (second > 1 ? c + first * k : k), left);
      }
      passes_.push_back(step);
      done *= step.radix;
      left = step.m;
    }
  }

  void plan_chirp();

  static void put(buffer<T>& table, std::size_t at, std::uint64_t k, std::uint64_t n) {
    const auto [c, s] = root_of_unity(k, n);
    table[2 * at] = static_cast<T>(c);
    table[2 * at + 1] = static_cast<T>(s);
  }

  std::size_t n_;
  std::vector<pass> passes_;
  buffer<T> twiddles_, chirp_, chirp_spectrum_;
  std::shared_ptr<const plan> convolution_;
};

/// A transform of n real points into n / 2 + 1 complex ones. An even length is a complex transform of half of it
/// (z[j] = x[2 j] + i x[2 j + 1]) and one more step; an odd length is a complex transform with imaginary parts of zero.
template <Real T>
class real_plan {
 public:
  explicit real_plan(std::size_t n) : n_(n), complex_(n % 2 == 0 && n > 0 ? n / 2 : n) {
    if (!halved()) return;
    split_ = buffer<T>(n / 2 + 2);
    for (std::size_t k = 0; k <= n / 4; ++k) {
      const auto [c, s] = root_of_unity(k, n);
      split_[2 * k] = static_cast<T>(c);
      split_[2 * k + 1] = static_cast<T>(s);
    }
  }
  std::size_t size() const { return n_; }
  std::size_t bins() const { return n_ / 2 + 1; }
  bool halved() const { return n_ % 2 == 0; }
  const plan<T>& complex() const { return complex_; }
  /// exp(-2 pi i k / n) for k <= n / 4
  const T* split() const { return split_.data(); }

 private:
  std::size_t n_;
  plan<T> complex_;
  buffer<T> split_;
};

/// The cheapest length >= n without a prime factor above 5 (7 brings nothing here).
inline std::size_t smooth_length(std::size_t n) {
  std::size_t best = 1;
  while (best < n) best *= 2;
  for (std::size_t fives = 1; fives < best; fives *= 5)
    for (std::size_t threes = fives; threes < best; threes *= 3) {
      std::size_t length = threes;
      while (length < n) length *= 2;
      if (length < best) best = length;
    }
  return best;
}

/// Bluestein: X[k] = c[k] sum over j of (x[j] c[j]) conj(c[k - j]), c[k] = exp(-pi i k^2 / n).
template <Real T>
void plan<T>::plan_chirp() {
  const std::size_t length = smooth_length(2 * n_ - 1);
  convolution_ = std::make_shared<const plan>(length);
  chirp_ = buffer<T>(2 * n_);
  std::vector<std::complex<double>> wave(length), spare(length);
  for (std::size_t k = 0; k < n_; ++k) {
    const std::uint64_t square = static_cast<std::uint64_t>(k) * k % (2 * n_);
    put(chirp_, k, square, 2 * n_);
    const auto [c, s] = root_of_unity(square, 2 * n_);
    wave[k] = wave[(length - k) % length] = {c, -s};
  }
  detail::transform_in_double(wave.data(), length, spare.data());
  chirp_spectrum_ = buffer<T>(2 * length);
  for (std::size_t k = 0; k < length; ++k) {
    chirp_spectrum_[2 * k] = static_cast<T>(wave[k].real() / static_cast<double>(length));
    chirp_spectrum_[2 * k + 1] = static_cast<T>(wave[k].imag() / static_cast<double>(length));
  }
}

}  // namespace hocket::kernels::fft
