// Rows of the epilogue, forward and backward; compiled once per instruction set (core/simd_each.hpp). A row is walked
// in groups of 64 columns, the unit of dropout; what is left over at its end goes through the same instructions.

namespace hocket::kernels::epilogue::HOCKET_SIMD_NS {

#include <hocket/core/philox_lanes.inl>
#include <hocket/core/simd_lanes.inl>
#include <hocket/kernels/softmax/exp.inl>

/// factor[j] = 0 or scale for the 64 elements of a group (shape.hpp): sixteen Philox4x32-10 blocks side by side.
template <class T>
void keep_factors(const dropout& drop, std::uint64_t group, T* factor) noexcept {
  constexpr std::size_t blocks = dropout_group / 4, wide = lanes<std::uint32_t>;
  const T scale = static_cast<T>(drop.scale);
  for (std::size_t i = 0; i < blocks; i += wide) {
    philox_words words[4];
    philox_lanes(drop.seed, drop.stream, group * blocks + i, 1, words);
    alignas(alignment) std::uint32_t bits[4][wide];
    for (std::size_t w = 0; w < 4; ++w) store(bits[w], words[w]);
    for (std::size_t w = 0; w < 4; ++w)
      for (std::size_t e = 0; e < wide; ++e) factor[w * blocks + i + e] = bits[w][e] < drop.threshold ? T{0} : scale;
  }
}

/// Phi(x), and exp(-x^2 / 2) in `bell`.
template <class T>
HOCKET_ALWAYS_INLINE vec<T> normal_distribution(vec<T> x, vec<T>& bell) {
  if constexpr (std::is_same_v<T, double>) {
    vec<T> phi{};
    for (std::size_t i = 0; i < lanes<T>; ++i) {
      phi[i] = std::erfc(-x[i] * 0.70710678118654752440) / 2;
      bell[i] = std::exp(-x[i] * x[i] / 2);
    }
    return phi;
  } else {
    constexpr T series[] = {6.1874973691e-06F,  1.0759724524e-01F, 1.0859476903e-01F,  9.6779231907e-02F,
                            8.6949984785e-02F,  7.9445816232e-02F, -3.4379184648e-02F, 1.4316573638e-01F,
                            -1.1496516576e-01F, 2.6805387562e-02F};
    const vec<T> a = x < T{0} ? -x : x;
    bell = exp_of<T>(a * a * T(-0.5));
    const vec<T> t = T{1} / (T{1} + T(0.27) * a);
    vec<T> sum = vec<T>{} + series[9];
#pragma GCC unroll 9
    for (std::size_t i = 0; i < 9; ++i) sum = sum * t + series[8 - i];
    const vec<T> tail = bell * sum;
    return x < T{0} ? tail : T{1} - tail;
  }
}

template <class T>
HOCKET_ALWAYS_INLINE vec<T> tanh_of(vec<T> x) {
  for (std::size_t i = 0; i < lanes<T>; ++i) x[i] = std::tanh(x[i]);  // poolers are small
  return x;
}

inline constexpr double tanh_linear = 1.59576912160573071176, tanh_cubic = 0.044715 * tanh_linear;  // 2 sqrt(2 / pi)
inline constexpr int steep = 32;  ///< from here on gelu_tanh's slope is 0 or 1 in double

/// The share (1 + tanh(x)) / 2 = 1 / (1 + exp(-2x)) of u that gelu_tanh gives, x = sqrt(2 / pi) (u + 0.044715 u^3), and
/// exp(-|2x|) in `small`.
template <class T>
HOCKET_ALWAYS_INLINE vec<T> tanh_share(vec<T> u, vec<T>& small) {
  const vec<T> twice = u * (u * u * T(tanh_cubic) + T(tanh_linear));
  small = exp_of<T>(twice < T{0} ? twice : -twice);
  return (twice < T{0} ? small : vec<T>{} + T{1}) / (T{1} + small);
}

template <activation Act, class T>
HOCKET_ALWAYS_INLINE vec<T> value_of(vec<T> u) {
  if constexpr (Act == activation::relu) {
    return u < T{0} ? vec<T>{} : u;  // NaN stays
  } else if constexpr (Act == activation::gelu) {
    vec<T> bell{};
    return u * normal_distribution<T>(u, bell);
  } else if constexpr (Act == activation::tanh) {
    return tanh_of<T>(u);
  } else if constexpr (Act == activation::gelu_tanh) {
    vec<T> small{};
    return u * tanh_share<T>(u, small);
  } else {
    return u;
  }
}

/// d act'(u).
template <activation Act, class T>
HOCKET_ALWAYS_INLINE vec<T> slope_of(vec<T> d, vec<T> u) {
  if constexpr (Act == activation::relu) {
    return u > T{0} ? d : (u == u ? vec<T>{} : u);
  } else if constexpr (Act == activation::gelu) {
    vec<T> bell{};
    const vec<T> phi = normal_distribution<T>(u, bell);
    return d * (phi + u * (bell * T(0.39894228040143267794)));
  } else if constexpr (Act == activation::tanh) {
    const vec<T> y = tanh_of<T>(u);
    return d * (T{1} - y * y);
  } else if constexpr (Act == activation::gelu_tanh) {
    u = u < T{-steep}  ? vec<T>{} - T{steep}
        : u > T{steep} ? vec<T>{} + T{steep}
                       : u;  // flat outside, where squares overflow
    vec<T> small{};
    const vec<T> share = tanh_share<T>(u, small), whole = T{1} + small;
    const vec<T> rise = small / (whole * whole) * (u * u * T(3 * tanh_cubic) + T(tanh_linear));
    return d * (share + u * rise);
  } else {
    return d;
  }
}

/// `count` <= lanes elements of x from j on.
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

template <activation Act, class T>
void forward_row(const dropout& drop, std::uint64_t first_group, std::size_t n, const T* x, const T* bias,
                 const T* residual, T* u, T* y) noexcept {
  alignas(alignment) T factor[dropout_group];
  const bool drops = !drop.none();
  for (std::size_t j0 = 0; j0 < n; j0 += dropout_group) {
    const std::size_t end = n - j0 < dropout_group ? n : j0 + dropout_group;
    if (drops) keep_factors<T>(drop, first_group + j0 / dropout_group, factor);
    for (std::size_t j = j0; j < end; j += lanes<T>) {
      const std::size_t count = end - j < lanes<T> ? end - j : lanes<T>;
      vec<T> value = take(x + j, count);
      if (bias) value += take(bias + j, count);
      if (u) put<T>(u + j, count, value);
      value = value_of<Act, T>(value);
      if (drops) value *= load(factor + (j - j0));
      if (residual) value += take(residual + j, count);
      put<T>(y + j, count, value);
    }
  }
}

template <activation Act, class T>
void backward_row(const dropout& drop, std::uint64_t first_group, std::size_t n, const T* dy, const T* u, T* du,
                  T* sums) noexcept {
  alignas(alignment) T factor[dropout_group];
  const bool drops = !drop.none();
  for (std::size_t j0 = 0; j0 < n; j0 += dropout_group) {
    const std::size_t end = n - j0 < dropout_group ? n : j0 + dropout_group;
    if (drops) keep_factors<T>(drop, first_group + j0 / dropout_group, factor);
    for (std::size_t j = j0; j < end; j += lanes<T>) {
      const std::size_t count = end - j < lanes<T> ? end - j : lanes<T>;
      vec<T> value = take(dy + j, count);
      if (drops) value *= load(factor + (j - j0));
      if constexpr (Act != activation::none) value = slope_of<Act, T>(value, take(u + j, count));
      put<T>(du + j, count, value);
      if (sums) put<T>(sums + j, count, take(sums + j, count) + value);
    }
  }
}

template <activation Act, class T>
void forward_all(const dropout& drop, const forward_rows_of<T>& in) noexcept {
  const std::size_t groups = (in.columns + dropout_group - 1) / dropout_group;
  for (std::size_t r = 0; r < in.rows; ++r)
    forward_row<Act, T>(drop, (in.first_row + r) * groups, in.columns, in.x + r * in.ldx, in.bias,
                        in.residual ? in.residual + r * in.ldresidual : nullptr, in.u ? in.u + r * in.ldu : nullptr,
                        in.y + r * in.ldy);
}
template <activation Act, class T>
void backward_all(const dropout& drop, const backward_rows_of<T>& in) noexcept {
  const std::size_t groups = (in.columns + dropout_group - 1) / dropout_group;
  for (std::size_t r = 0; r < in.rows; ++r)
    backward_row<Act, T>(drop, (in.first_row + r) * groups, in.columns, in.dy + r * in.lddy,
                         in.u ? in.u + r * in.ldu : nullptr, in.du + r * in.lddu, in.sums);
}

template <class T>
void forward_rows(activation act, const dropout& drop, const forward_rows_of<T>& in) noexcept {
  switch (act) {
    case activation::none: return forward_all<activation::none, T>(drop, in);
    case activation::relu: return forward_all<activation::relu, T>(drop, in);
    case activation::gelu: return forward_all<activation::gelu, T>(drop, in);
    case activation::tanh: return forward_all<activation::tanh, T>(drop, in);
    case activation::gelu_tanh: return forward_all<activation::gelu_tanh, T>(drop, in);
  }
}
template <class T>
void backward_rows(activation act, const dropout& drop, const backward_rows_of<T>& in) noexcept {
  switch (act) {
    case activation::none: return backward_all<activation::none, T>(drop, in);
    case activation::relu: return backward_all<activation::relu, T>(drop, in);
    case activation::gelu: return backward_all<activation::gelu, T>(drop, in);
    case activation::tanh: return backward_all<activation::tanh, T>(drop, in);
    case activation::gelu_tanh: return backward_all<activation::gelu_tanh, T>(drop, in);
  }
}

}  // namespace hocket::kernels::epilogue::HOCKET_SIMD_NS
