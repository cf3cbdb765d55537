// Runs of weights; compiled once per instruction set (core/simd_each.hpp).

namespace hocket::kernels::optimizer_step::HOCKET_SIMD_NS {

#include <hocket/core/simd_lanes.inl>

template <class T>
HOCKET_ALWAYS_INLINE vec<T> root_of(vec<T> x) {
#if defined(__x86_64__)
#if HOCKET_SIMD_BYTES == 64
  if constexpr (std::is_same_v<T, float>)
    return reinterpret_cast<vec<T>>(_mm512_maskz_sqrt_ps(0xffff, reinterpret_cast<__m512>(x)));
  else
    return reinterpret_cast<vec<T>>(_mm512_maskz_sqrt_pd(0xff, reinterpret_cast<__m512d>(x)));
#elif HOCKET_SIMD_BYTES == 32
  if constexpr (std::is_same_v<T, float>)
    return reinterpret_cast<vec<T>>(_mm256_sqrt_ps(reinterpret_cast<__m256>(x)));
  else
    return reinterpret_cast<vec<T>>(_mm256_sqrt_pd(reinterpret_cast<__m256d>(x)));
#else
  if constexpr (std::is_same_v<T, float>)
    return reinterpret_cast<vec<T>>(_mm_sqrt_ps(reinterpret_cast<__m128>(x)));
  else
    return reinterpret_cast<vec<T>>(_mm_sqrt_pd(reinterpret_cast<__m128d>(x)));
#endif
#else
  for (std::size_t i = 0; i < lanes<T>; ++i) x[i] = std::sqrt(x[i]);
  return x;
#endif
}

template <class T>
HOCKET_ALWAYS_INLINE vec<T> take(const T* x, std::size_t count) {
  return count == lanes<T> ? load(x) : load_some(x, count, T{0});
}
template <class T>
HOCKET_ALWAYS_INLINE void put(T* x, std::size_t count, vec<T> value) {
  if (count == lanes<T>)
    store<T>(x, value);
  else
    store_some<T>(x, count, value);
}

template <class T>
void adam(const adam_constants<T>& c, std::size_t n, T* p, T* g, T* m, T* v, bool clear) noexcept {
  for (std::size_t i = 0; i < n; i += lanes<T>) {
    const std::size_t count = n - i < lanes<T> ? n - i : lanes<T>;
    vec<T> weight = take(p + i, count), slope = take(g + i, count) * c.scale;
    if (c.coupled != 0) slope += weight * c.coupled;
    vec<T> first = take(m + i, count), second = take(v + i, count);
    first += (slope - first) * c.take1;
    second = second * c.beta2 + slope * slope * c.take2;
    weight = weight * c.keep - first / (root_of<T>(second) * c.inverse_root2 + c.eps) * c.rate;
    put<T>(p + i, count, weight);
    put<T>(m + i, count, first);
    put<T>(v + i, count, second);
    if (clear) put<T>(g + i, count, vec<T>{});
  }
}

/// Whether all of x (n) are 0; a NaN is not.
template <class T>
bool all_zero(std::size_t n, const T* x) noexcept {
  auto other = vec<T>{} != vec<T>{};
  std::size_t i = 0;
  for (; i + lanes<T> <= n; i += lanes<T>) other |= load(x + i) != vec<T>{};
  bool zero = true;
  for (std::size_t j = 0; j < lanes<T>; ++j) zero = zero && other[j] == 0;
  for (; i < n; ++i) zero = zero && x[i] == T{0};
  return zero;
}

/// adam for runs of which some rest: with zero moments and a zero gradient all that it does is p * keep - 0.
template <class T>
void adam_of_resting(const adam_constants<T>& c, std::size_t n, T* p, T* g, T* m, T* v, bool clear,
                     std::uint8_t* resting) noexcept {
  const T keep = c.keep;
  for (std::size_t first = 0; first < n; first += resting_run, ++resting) {
    const std::size_t count = n - first < resting_run ? n - first : resting_run;
    if (*resting && all_zero(count, g + first)) {
      if (keep != T{1})
        for (std::size_t i = first; i < first + count; i += lanes<T>) {
          const std::size_t some = first + count - i < lanes<T> ? first + count - i : lanes<T>;
          put<T>(p + i, some, take(p + i, some) * keep);
        }
      continue;
    }
    adam(c, count, p + first, g + first, m + first, v + first, clear);
    *resting = m[first] == T{0} && all_zero(count, m + first) && all_zero(count, v + first);
  }
}

template <class T>
void sgd(const sgd_constants<T>& c, std::size_t n, T* p, T* g, T* buffer, bool clear) noexcept {
  for (std::size_t i = 0; i < n; i += lanes<T>) {
    const std::size_t count = n - i < lanes<T> ? n - i : lanes<T>;
    vec<T> weight = take(p + i, count), slope = take(g + i, count) * c.scale + weight * c.decay;
    if (buffer) {
      vec<T> kept = slope;
      if (!c.first) kept += take(buffer + i, count) * c.momentum;
      put<T>(buffer + i, count, kept);
      slope = c.nesterov ? slope + kept * c.momentum : kept;
    }
    put<T>(p + i, count, weight - slope * c.rate);
    if (clear) put<T>(g + i, count, vec<T>{});
  }
}

/// In f64, in order of lanes.
template <class T>
double squares(std::size_t n, const T* g) noexcept {
  constexpr std::size_t wide = lanes<T>;
  double sums[wide] = {};
  std::size_t i = 0;
  for (; i + wide <= n; i += wide)
    for (std::size_t j = 0; j < wide; ++j) sums[j] += static_cast<double>(g[i + j]) * static_cast<double>(g[i + j]);
  double sum = 0;
  for (std::size_t j = 0; j < wide; ++j) sum += sums[j];
  for (; i < n; ++i) sum += static_cast<double>(g[i]) * static_cast<double>(g[i]);
  return sum;
}

}  // namespace hocket::kernels::optimizer_step::HOCKET_SIMD_NS
