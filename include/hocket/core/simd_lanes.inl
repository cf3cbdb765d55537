// Registers of T inside a SIMD body (core/simd.hpp): a body includes this file after it has opened its namespace.
// Memory need not be aligned.

template <class T>
struct register_of {
  typedef T full __attribute__((vector_size(HOCKET_SIMD_BYTES)));
  typedef T loose __attribute__((vector_size(HOCKET_SIMD_BYTES), aligned(sizeof(T)), may_alias));
};
template <class T>
using vec = typename register_of<T>::full;
template <class T>
inline constexpr std::size_t lanes = HOCKET_SIMD_BYTES / sizeof(T);

template <class T>
HOCKET_ALWAYS_INLINE vec<T> load(const T* x) {
  return vec<T>(*reinterpret_cast<const typename register_of<T>::loose*>(x));
}
template <class T>
HOCKET_ALWAYS_INLINE void store(T* x, vec<T> value) {
  *reinterpret_cast<typename register_of<T>::loose*>(x) = typename register_of<T>::loose(value);
}

/// The first `count` < lanes elements of x, `rest` in the other lanes.
template <class T>
HOCKET_ALWAYS_INLINE vec<T> load_some(const T* x, std::size_t count, T rest) {
  vec<T> value = vec<T>{} + rest;
  for (std::size_t i = 0; i < count; ++i) value[i] = x[i];
  return value;
}
template <class T>
HOCKET_ALWAYS_INLINE void store_some(T* x, std::size_t count, vec<T> value) {
  for (std::size_t i = 0; i < count; ++i) x[i] = value[i];
}

/// The larger of each lane; a NaN in b is lost.
template <class T>
HOCKET_ALWAYS_INLINE vec<T> larger(vec<T> a, vec<T> b) {
  return b > a ? b : a;
}

/// Sum of all lanes by a tree of fixed shape.
template <class T>
HOCKET_ALWAYS_INLINE T sum_of(vec<T> value) {
  T part[lanes<T>];
  for (std::size_t i = 0; i < lanes<T>; ++i) part[i] = value[i];
  for (std::size_t half = lanes<T> / 2; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) part[i] += part[i + half];
  return part[0];
}
template <class T>
HOCKET_ALWAYS_INLINE T largest_of(vec<T> value) {
  T largest = value[0];
  for (std::size_t i = 1; i < lanes<T>; ++i) largest = value[i] > largest ? value[i] : largest;
  return largest;
}
