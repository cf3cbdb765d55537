// e^x in every lane, for SIMD bodies that have included core/simd_lanes.inl. Within two units in the last place over
// the whole range: 0 and subnormal results are rounded once, above the range it is infinite, NaN stays NaN.
//
// e^x = 2^k e^r with k = x / ln 2 rounded and |r| <= ln 2 / 2; e^r by its Taylor series, whose first term left out is
// below 2^-27 (f32, r^8 / 8!) and 2^-57 (f64, r^14 / 14!).

template <class T>
struct exp_facts;
template <>
struct exp_facts<float> {
  typedef std::int32_t whole __attribute__((vector_size(HOCKET_SIMD_BYTES)));
  static constexpr float least = -104.0F, most = 89.0F;  // beyond: 0 and infinity
  static constexpr float per_ln2 = 1.44269504088896340736F, anchor = 0x1.8p23F;
  static constexpr float ln2_high = 0.693145751953125F, ln2_low = 1.42860682030941723212e-6F;  // high: 15 bits
  static constexpr int bias = 127, fraction_bits = 23;
  static constexpr float series[] = {1.F / 2, 1.F / 6, 1.F / 24, 1.F / 120, 1.F / 720, 1.F / 5040};
};
template <>
struct exp_facts<double> {
  typedef std::int64_t whole __attribute__((vector_size(HOCKET_SIMD_BYTES)));
  static constexpr double least = -746.0, most = 710.0;
  static constexpr double per_ln2 = 1.44269504088896340736, anchor = 0x1.8p52;
  static constexpr double ln2_high = 0x1.62e42fefa38p-1, ln2_low = 0x1.ef35793c7673p-45;  // high: 42 bits
  static constexpr int bias = 1023, fraction_bits = 52;
  static constexpr double series[] = {1. / 2,       1. / 6,        1. / 24,        1. / 120,
                                      1. / 720,     1. / 5040,     1. / 40320,     1. / 362880,
                                      1. / 3628800, 1. / 39916800, 1. / 479001600, 1. / 6227020800};
};

template <class T>
HOCKET_ALWAYS_INLINE vec<T> exp_of(vec<T> x) {
  using facts = exp_facts<T>;
  using whole = typename facts::whole;
  x = x < facts::least ? vec<T>{} + facts::least : x;  // written so that NaN stays
  x = x > facts::most ? vec<T>{} + facts::most : x;
  const vec<T> shifted = x * facts::per_ln2 + facts::anchor;  // the last bits are k
  const vec<T> k = shifted - facts::anchor;
  const vec<T> r = (x - k * facts::ln2_high) - k * facts::ln2_low;
  constexpr std::size_t terms = sizeof facts::series / sizeof(T);
  vec<T> sum = vec<T>{} + facts::series[terms - 1];
#pragma GCC unroll 16
  for (std::size_t i = 1; i < terms; ++i) sum = sum * r + facts::series[terms - 1 - i];
  const vec<T> power = (r * r * sum + r) + T{1};
  // 2^k in two factors, so that a subnormal result is rounded by the last product alone.
  const whole exponent = reinterpret_cast<whole>(shifted) - reinterpret_cast<whole>(vec<T>{} + facts::anchor);
  const whole half = exponent >> 1;
  const vec<T> first = reinterpret_cast<vec<T>>((half + facts::bias) << facts::fraction_bits);
  const vec<T> second = reinterpret_cast<vec<T>>((exponent - half + facts::bias) << facts::fraction_bits);
  return power * first * second;
}
