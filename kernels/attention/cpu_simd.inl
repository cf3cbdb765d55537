// The exponential, and the two layouts' way into and out of registers, for cpu_body.inl.

#include <hocket/core/simd_lanes.inl>

template <class T>
struct exponent;
template <>
struct exponent<float> {
  typedef std::int32_t whole __attribute__((vector_size(HOCKET_SIMD_BYTES)));
  using integer = std::int32_t;
  static constexpr float magic = 0x1.8p23F, least = -126;
  static constexpr int fraction_bits = 23, bias = 127;
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
  static constexpr double magic = 0x1.8p52, least = -1022;
  static constexpr int fraction_bits = 52, bias = 1023;
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
  const vec<T> shifted = x + facts::magic;  // its low bits hold the exponent
  const vec<T> r = x - (shifted - facts::magic);
  constexpr std::size_t terms = sizeof facts::series / sizeof(T);
  vec<T> sum = r * facts::series[terms - 1] + facts::series[terms - 2];
#pragma GCC unroll 16
  for (std::size_t i = 3; i <= terms; ++i) sum = r * sum + facts::series[terms - i];
  const auto power = (reinterpret_cast<typename facts::whole>(shifted) + facts::bias) << facts::fraction_bits;
  return x < facts::least ? vec<T>{} : sum * reinterpret_cast<vec<T>>(power);
}

/// One step of a transpose: swaps the blocks of `Step` lanes that lie off the diagonal of a pair of rows.
template <class T, std::size_t Step, std::size_t... I>
HOCKET_ALWAYS_INLINE void swap_blocks(vec<T>& a, vec<T>& b, std::index_sequence<I...>) {
  constexpr int n = static_cast<int>(lanes<T>), step = static_cast<int>(Step);
  const vec<T> low =
      __builtin_shufflevector(a, b, (I & Step ? n + static_cast<int>(I) - step : static_cast<int>(I))...);
  const vec<T> high =
      __builtin_shufflevector(a, b, (I & Step ? n + static_cast<int>(I) : static_cast<int>(I) + step)...);
  a = low;
  b = high;
}
template <class T, std::size_t Step>
HOCKET_ALWAYS_INLINE void transpose_from(vec<T> (&rows)[lanes<T>]) {
#pragma GCC unroll 16
  for (std::size_t i = 0; i < lanes<T>; ++i)
    if ((i & Step) == 0) swap_blocks<T, Step>(rows[i], rows[i + Step], std::make_index_sequence<lanes<T>>{});
  if constexpr (Step > 1) transpose_from<T, Step / 2>(rows);
}

/// to (width, to_row) = by x from (rows, from_row) transposed; the columns past `rows` up to a whole register are
/// zeros.
template <class T>
void pack_transposed(const T* from, std::size_t from_row, std::size_t rows, std::size_t width, T by, T* to,
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
          for (std::size_t e = 0; e < out; ++e) part[i][e] = from[(r + i) * from_row + d + e] * by;
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

/// to (rows, to_row) = by x from (width, from_row) transposed.
template <class T>
void put_transposed(const T* from, std::size_t from_row, std::size_t rows, std::size_t width, T by, T* to,
                    std::size_t to_row) noexcept {
  constexpr std::size_t n = lanes<T>;
  for (std::size_t r = 0; r < rows; r += n)
    for (std::size_t d = 0; d < width; d += n) {
      const std::size_t in = width - d < n ? width - d : n, out = rows - r < n ? rows - r : n;
      alignas(alignment) T part[n][n];
      vec<T> square[n];
      if (in == n) {
#pragma GCC unroll 16
        for (std::size_t e = 0; e < n; ++e) square[e] = load(from + (d + e) * from_row + r) * by;
      } else {
        for (std::size_t e = 0; e < n; ++e)
          store(part[e], e < in ? load(from + (d + e) * from_row + r) * by : vec<T>{});
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
          for (std::size_t e = 0; e < in; ++e) to[(r + i) * to_row + d + e] = part[i][e];
      }
    }
}

/// to (rows, to_row) = by x from (rows, from_row), columns past `width` up to `padded` and rows past `rows` up to
/// `padded_rows` zeros.
template <class T>
void pack_rows(const T* from, std::size_t from_row, std::size_t rows, std::size_t padded_rows, std::size_t width,
               std::size_t padded, T by, T* to) noexcept {
  for (std::size_t r = 0; r < padded_rows; ++r) {
    T* const out = to + r * padded;
    std::size_t d = 0;
    if (r < rows)
      for (; d < width; ++d) out[d] = by * from[r * from_row + d];
    for (; d < padded; ++d) out[d] = 0;
  }
}
