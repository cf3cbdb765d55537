// The exponential, the logarithm, and the two layouts' way into and out of registers, for cpu_body.inl. S is storage, T
// what sums are kept in.

#include <hocket/core/simd_lanes.inl>
#include <hocket/core/simd_lanes_bf16.inl>
#include <hocket/core/simd_lanes_square.inl>

HOCKET_ALWAYS_INLINE float wide(float x) { return x; }
HOCKET_ALWAYS_INLINE double wide(double x) { return x; }
HOCKET_ALWAYS_INLINE float wide(bf16 x) { return to_f32(x); }
template <class S, class T>
HOCKET_ALWAYS_INLINE S narrow(T x) {
  if constexpr (std::is_same_v<S, T>)
    return x;
  else
    return to_bf16(x);
}

template <class T>
struct exponent;
template <>
struct exponent<float> {
  typedef std::int32_t whole __attribute__((vector_size(HOCKET_SIMD_BYTES)));
  using integer = std::int32_t;
  static constexpr float magic = 0x1.8p23F + 127, least = -126;  // magic: and the exponent's bias
  static constexpr int fraction_bits = 23;
  // 2^x on [-1/2, 1/2], best approximation of degree 6: |error| <= 2e-9.
  static constexpr float series[] = {1.F,
                                     0.693147206702832596F,
                                     0.240226509222887581F,
                                     0.0555032722667030206F,
                                     0.00961805667852463808F,
                                     0.00134004281776158379F,
                                     0.000154614446985691291F};
};
template <>
struct exponent<double> {
  typedef std::int64_t whole __attribute__((vector_size(HOCKET_SIMD_BYTES)));
  using integer = std::int64_t;
  static constexpr double magic = 0x1.8p52 + 1023, least = -1022;
  static constexpr int fraction_bits = 52;
  // The same of degree 11: |error| <= 4e-18.
  static constexpr double series[] = {1.0,
                                      0.693147180559945309,
                                      0.240226506959101596,
                                      0.055504108664821627,
                                      0.00961812910758725667,
                                      0.00133335581464064707,
                                      0.000154035304637243542,
                                      0.0000152527338415567726,
                                      1.32154325359123762e-6,
                                      1.01780570877339411e-7,
                                      7.07419429728852101e-9,
                                      4.45581790833606449e-10};
};
/// 0, 1, 2, ...
template <class T>
HOCKET_ALWAYS_INLINE typename exponent<T>::whole ramp() {
  typename exponent<T>::whole index;
#pragma GCC unroll 16
  for (std::size_t i = 0; i < lanes<T>; ++i) index[i] = static_cast<typename exponent<T>::integer>(i);
  return index;
}

template <class T>
inline constexpr T log2_e = T(1.44269504088896340736);

/// 2^x within two units in the last place for x <= 1; 0 below the smallest normal number, NaN stays NaN. A softmax
/// takes its exponents in base 2: exp(s - m) = 2^(s log2 e - m log2 e) is one multiply-add, and no remainder has to be
/// split.
template <class T>
HOCKET_ALWAYS_INLINE vec<T> power_of_two(vec<T> x) {
  using facts = exponent<T>;
  const vec<T> shifted = x + facts::magic;  // its low bits hold the biased exponent
  const vec<T> r = x - (shifted - facts::magic);
  constexpr std::size_t terms = sizeof facts::series / sizeof(T);
  vec<T> sum = r * facts::series[terms - 1] + facts::series[terms - 2];
#pragma GCC unroll 16
  for (std::size_t i = 3; i <= terms; ++i) sum = r * sum + facts::series[terms - i];
  const auto power = reinterpret_cast<typename facts::whole>(shifted) << facts::fraction_bits;
  return x < facts::least ? vec<T>{} : sum * reinterpret_cast<vec<T>>(power);
}

/// ln of the sum of exp(score) of `queries` rows, where sum[i] is that of 2^(score c - peak[i]), c = log2 e. One
/// rounding, and the same c, because the backward pass makes a relative error of all probabilities of a row of what is
/// lost. Reads whole registers.
template <class T>
void log_sum_exp(const T* peak, const T* sum, std::size_t queries, T* lse) noexcept {
  constexpr T hidden = -std::numeric_limits<T>::infinity();
  if constexpr (std::is_same_v<T, double>) {
    for (std::size_t i = 0; i < queries; ++i) {
      const long double exact = (peak[i] + std::log2(static_cast<long double>(sum[i]))) / log2_e<T>;
      lse[i] = sum[i] > 0 ? static_cast<T>(exact) : (sum[i] == 0 ? hidden : sum[i]);
    }
  } else {
    typedef float half __attribute__((vector_size(HOCKET_SIMD_BYTES / 2), aligned(4), may_alias));
    using facts = exponent<double>;
    using whole = facts::whole;
    constexpr std::int64_t root_half = 0x3fe6a09e667f3bcd;  // bits of sqrt(1/2)
    for (std::size_t i = 0; i < queries; i += lanes<double>) {
      const vec<double> total = __builtin_convertvector(*reinterpret_cast<const half*>(sum + i), vec<double>);
      // total = 2^e m, m in [sqrt(1/2), sqrt(2)); log2 m = 2 / ln 2 artanh(t), t = (m - 1) / (m + 1), |error| <= 2e-9
      const whole bits = reinterpret_cast<whole>(total), e = (bits - root_half) >> facts::fraction_bits;
      const vec<double> m = reinterpret_cast<vec<double>>(bits - (e << facts::fraction_bits));
      const vec<double> power =
          reinterpret_cast<vec<double>>(e + reinterpret_cast<whole>(vec<double>{} + facts::magic)) - facts::magic;
      const vec<double> t = (m - 1.0) / (m + 1.0), t2 = t * t;
      const vec<double> series = (((t2 * (1.0 / 9) + 1.0 / 7) * t2 + 1.0 / 5) * t2 + 1.0 / 3) * t2 + 1.0;
      const vec<double> exact = (__builtin_convertvector(*reinterpret_cast<const half*>(peak + i), vec<double>) +
                                 power + series * t * 2.88539008177792681472) *
                                (1 / static_cast<double>(log2_e<float>));
      const vec<double> made = total > 0.0 ? exact : (total == 0.0 ? vec<double>{} + hidden : total);
      const half out = __builtin_convertvector(made, half);
      for (std::size_t l = 0; l < lanes<double> && i + l < queries; ++l) lse[i + l] = out[l];
    }
  }
}

/// to (width, to_row) = by x from (rows, from_row) transposed; the columns past `rows` up to a whole register are
/// zeros.
template <class S, class T>
void pack_transposed(const S* from, std::size_t from_row, std::size_t rows, std::size_t width, T by, T* to,
                     std::size_t to_row) noexcept {
  constexpr std::size_t n = lanes<T>;
  for (std::size_t r = 0; r < rows; r += n)
    for (std::size_t d = 0; d < width; d += n) {
      const std::size_t in = rows - r < n ? rows - r : n, out = width - d < n ? width - d : n;
      vec<T> square[n];
      if (in == n && out == n) {
#pragma GCC unroll 16
        for (std::size_t i = 0; i < n; ++i) square[i] = load(from + (r + i) * from_row + d) * by;
      } else {
        alignas(alignment) T part[n][n] = {};
        for (std::size_t i = 0; i < in; ++i)
          for (std::size_t e = 0; e < out; ++e) part[i][e] = wide(from[(r + i) * from_row + d + e]) * by;
#pragma GCC unroll 16
        for (std::size_t i = 0; i < n; ++i) square[i] = load(part[i]);
      }
      transpose_from<T, n / 2>(square);
      if (out == n) {
#pragma GCC unroll 16
        for (std::size_t e = 0; e < n; ++e) store(to + (d + e) * to_row + r, square[e]);
      } else {
        alignas(alignment) T part[n][n];
#pragma GCC unroll 16
        for (std::size_t e = 0; e < n; ++e) store(part[e], square[e]);
        for (std::size_t e = 0; e < out; ++e) store(to + (d + e) * to_row + r, load(part[e]));
      }
    }
}

/// to (rows, to_row) = from (width, from_row) transposed, its row i times by[i]; `by` has whole registers.
template <class S, class T>
void put_transposed(const T* from, std::size_t from_row, std::size_t rows, std::size_t width, const T* by, S* to,
                    std::size_t to_row) noexcept {
  constexpr std::size_t n = lanes<T>;
  for (std::size_t r = 0; r < rows; r += n)
    for (std::size_t d = 0; d < width; d += n) {
      const std::size_t in = width - d < n ? width - d : n, out = rows - r < n ? rows - r : n;
      const vec<T> factor = load(by + r);
      alignas(alignment) T part[n][n];
      vec<T> square[n];
      if (in == n) {
#pragma GCC unroll 16
        for (std::size_t e = 0; e < n; ++e) square[e] = load(from + (d + e) * from_row + r) * factor;
      } else {
        for (std::size_t e = 0; e < n; ++e)
          store(part[e], e < in ? load(from + (d + e) * from_row + r) * factor : vec<T>{});
#pragma GCC unroll 16
        for (std::size_t e = 0; e < n; ++e) square[e] = load(part[e]);
      }
      transpose_from<T, n / 2>(square);
      if (in == n && out == n) {
#pragma GCC unroll 16
        for (std::size_t i = 0; i < n; ++i) store(to + (r + i) * to_row + d, square[i]);
      } else {
#pragma GCC unroll 16
        for (std::size_t i = 0; i < n; ++i) store(part[i], square[i]);
        for (std::size_t i = 0; i < out; ++i)
          for (std::size_t e = 0; e < in; ++e) to[(r + i) * to_row + d + e] = narrow<S>(part[i][e]);
      }
    }
}

/// to (rows, padded) = by x from (rows, from_row); columns past `width` up to `padded` and rows past `rows` up to
/// `padded_rows` are zeros.
template <class S, class T>
void pack_rows(const S* from, std::size_t from_row, std::size_t rows, std::size_t padded_rows, std::size_t width,
               std::size_t padded, T by, T* to) noexcept {
  for (std::size_t r = 0; r < padded_rows; ++r) {
    T* const out = to + r * padded;
    std::size_t d = 0;
    if (r < rows) {
      for (; d + lanes<T> <= width; d += lanes<T>) store(out + d, load(from + r * from_row + d) * by);
      for (; d < width; ++d) out[d] = by * wide(from[r * from_row + d]);
    }
    for (; d < padded; ++d) out[d] = 0;
  }
}
