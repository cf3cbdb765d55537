// Natural logarithm and square root of every lane, for cpu_body.inl.

template <class T>
struct bits_of;
template <>
struct bits_of<float> {
  typedef std::int32_t type __attribute__((vector_size(HOCKET_SIMD_BYTES)));
  static constexpr std::int32_t root_half = 0x3f3504f3, mantissa = 0x007fffff;
  static constexpr int fraction_bits = 23;
  // log(1 + f) = 2 atanh(s), s = f / (2 + f): Gregory's series in z = s^2 <= 0.0295; the first term left out is below
  // 2^-29
  static constexpr float series[] = {2.F / 3, 2.F / 5, 2.F / 7, 2.F / 9, 2.F / 11};
  static constexpr float ln2_high = 0.693145751953125F, ln2_low = 1.42860682030941723212e-6F;  // high: 15 bits
  static constexpr float rescale = 0x1p25F;
  static constexpr int rescale_bits = 25;
};
template <>
struct bits_of<double> {
  typedef std::int64_t type __attribute__((vector_size(HOCKET_SIMD_BYTES)));
  static constexpr std::int64_t root_half = 0x3fe6a09e667f3bcd, mantissa = 0x000fffffffffffff;
  static constexpr int fraction_bits = 52;
  static constexpr double series[] = {2. / 3,  2. / 5,  2. / 7,  2. / 9,  2. / 11, 2. / 13,
                                      2. / 15, 2. / 17, 2. / 19, 2. / 21, 2. / 23};
  static constexpr double ln2_high = 0x1.62e42fefa38p-1, ln2_low = 0x1.ef35793c7673p-45;  // high: 42 bits
  static constexpr double rescale = 0x1p54;
  static constexpr int rescale_bits = 54;
};

/// Whole numbers below 2^31 as T.
template <class T>
HOCKET_ALWAYS_INLINE vec<T> from_whole(typename bits_of<T>::type k) {
  if constexpr (sizeof(T) == 4) {
    return __builtin_convertvector(k, vec<T>);
  } else {  // AVX2 has no such conversion: add to the bits of 1.5 x 2^52
    constexpr double anchor = 0x1.8p52;
    constexpr std::int64_t anchor_bits = 0x4338000000000000;
    return reinterpret_cast<vec<T>>(k + anchor_bits) - anchor;
  }
}

/// ln x within one unit in the last place; ln 0 = -infinity, ln of a negative number or NaN is NaN.
template <class T>
HOCKET_ALWAYS_INLINE vec<T> ln(vec<T> x) {
  using facts = bits_of<T>;
  using whole = typename facts::type;
  constexpr T least = std::numeric_limits<T>::min(), infinity = std::numeric_limits<T>::infinity();
  const auto tiny = x < least;
  const vec<T> scaled = tiny ? x * facts::rescale : x;
  // x = 2^k (1 + f), 1 + f in [sqrt(1/2), sqrt(2))
  const whole offset = reinterpret_cast<whole>(scaled) - facts::root_half;
  whole k = offset >> facts::fraction_bits;
  const vec<T> f = reinterpret_cast<vec<T>>((offset & facts::mantissa) + facts::root_half) - T{1};
  k = tiny ? k - facts::rescale_bits : k;
  const vec<T> e = from_whole<T>(k);
  const vec<T> s = f / (f + T{2}), z = s * s, half_square = f * f * T(0.5);
  constexpr std::size_t terms = sizeof facts::series / sizeof(T);
  vec<T> sum = z * facts::series[terms - 1] + facts::series[terms - 2];
#pragma GCC unroll 16
  for (std::size_t i = 0; i < terms - 2; ++i) sum = z * sum + facts::series[terms - 3 - i];
  sum = z * sum;
  // 2 atanh(s) = f - (f^2 / 2 - s (f^2 / 2 + sum)): the large term f is exact
  const vec<T> result = e * facts::ln2_high - ((half_square - (s * (half_square + sum) + e * facts::ln2_low)) - f);
  const vec<T> special = x == T{0}       ? vec<T>{} - infinity
                         : x == infinity ? x
                                         : vec<T>{} + std::numeric_limits<T>::quiet_NaN();
  return ((x > T{0}) & (x < infinity)) ? result : special;
}

template <class T>
HOCKET_ALWAYS_INLINE vec<T> root(vec<T> x) {
#if defined(__x86_64__)
  vec<T> y;
#if HOCKET_SIMD_BYTES == 16 && !defined(__AVX__)
  if constexpr (sizeof(T) == 4)
    asm("sqrtps %1, %0" : "=x"(y) : "x"(x));
  else
    asm("sqrtpd %1, %0" : "=x"(y) : "x"(x));
#else
  if constexpr (sizeof(T) == 4)
    asm("vsqrtps %1, %0" : "=v"(y) : "v"(x));
  else
    asm("vsqrtpd %1, %0" : "=v"(y) : "v"(x));
#endif
  return y;
#else
  for (std::size_t lane = 0; lane < lanes<T>; ++lane) x[lane] = std::sqrt(x[lane]);
  return x;
#endif
}
