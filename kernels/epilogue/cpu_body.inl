// Rows of the epilogue, forward and backward; compiled once per instruction set (core/simd_each.hpp). A row is walked
// in groups of 64 columns, the unit of dropout; what is left over at its end goes through the same instructions.

namespace hocket::kernels::epilogue::HOCKET_SIMD_NS {

#include <hocket/core/simd_lanes.inl>
#include <hocket/core/simd_lanes_bf16.inl>
#include <hocket/kernels/softmax/exp.inl>

/// keep[j] = -1 for those of the 64 elements of a group (shape.hpp) that stay, 0 for the others: sixteen Philox4x32-10
/// blocks side by side.
inline void keep_group(const dropout& drop, std::uint64_t group, std::int8_t* keep) noexcept {
  constexpr std::size_t wide = 16;
  std::uint32_t c0[wide], c1[wide], c2[wide], c3[wide];
  for (std::size_t i = 0; i < wide; ++i) {
    const std::uint64_t block = group * wide + i;
    c0[i] = static_cast<std::uint32_t>(block);
    c1[i] = static_cast<std::uint32_t>(block >> 32);
    c2[i] = static_cast<std::uint32_t>(drop.stream);
    c3[i] = static_cast<std::uint32_t>(drop.stream >> 32);
  }
  auto k0 = static_cast<std::uint32_t>(drop.seed), k1 = static_cast<std::uint32_t>(drop.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (std::size_t i = 0; i < wide; ++i) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53} * c0[i], p1 = std::uint64_t{0xCD9E8D57} * c2[i];
      c0[i] = static_cast<std::uint32_t>(p1 >> 32) ^ c1[i] ^ k0;
      c1[i] = static_cast<std::uint32_t>(p1);
      c2[i] = static_cast<std::uint32_t>(p0 >> 32) ^ c3[i] ^ k1;
      c3[i] = static_cast<std::uint32_t>(p0);
    }
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  for (std::size_t i = 0; i < wide; ++i) keep[i] = static_cast<std::int8_t>(-(c0[i] >= drop.threshold));
  for (std::size_t i = 0; i < wide; ++i) keep[wide + i] = static_cast<std::int8_t>(-(c1[i] >= drop.threshold));
  for (std::size_t i = 0; i < wide; ++i) keep[2 * wide + i] = static_cast<std::int8_t>(-(c2[i] >= drop.threshold));
  for (std::size_t i = 0; i < wide; ++i) keep[3 * wide + i] = static_cast<std::int8_t>(-(c3[i] >= drop.threshold));
}
inline void keep_groups(const dropout& drop, std::uint64_t first, std::size_t next, std::size_t rows,
                        std::int8_t* keep) noexcept {
  for (std::size_t r = 0; r < rows; ++r) keep_group(drop, first + r * next, keep + r * dropout_group);
}

template <class T>
struct whole_number;
template <>
struct whole_number<float> {
  typedef std::int32_t type __attribute__((vector_size(HOCKET_SIMD_BYTES)));
};
template <>
struct whole_number<double> {
  typedef std::int64_t type __attribute__((vector_size(HOCKET_SIMD_BYTES)));
};
/// 0 or `scale` in every lane, by bytes of 0 or -1.
template <class T>
HOCKET_ALWAYS_INLINE vec<T> factors(const std::int8_t* keep, T scale) {
  typedef std::int8_t bytes __attribute__((vector_size(lanes<T>)));
  typedef std::int8_t loose_bytes __attribute__((vector_size(lanes<T>), aligned(1), may_alias));
  using whole = typename whole_number<T>::type;
  const whole mask = __builtin_convertvector(bytes(*reinterpret_cast<const loose_bytes*>(keep)), whole);
  return reinterpret_cast<vec<T>>(mask & reinterpret_cast<whole>(vec<T>{} + scale));
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

template <activation Act, class T>
HOCKET_ALWAYS_INLINE vec<T> value_of(vec<T> u) {
  if constexpr (Act == activation::relu) {
    return u < T{0} ? vec<T>{} : u;  // NaN stays
  } else if constexpr (Act == activation::gelu) {
    vec<T> bell{};
    return u * normal_distribution<T>(u, bell);
  } else if constexpr (Act == activation::tanh) {
    return tanh_of<T>(u);
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
  } else {
    return d;
  }
}

/// `count` <= lanes elements of x; S is T or, for f32, bf16.
template <class T, class S>
HOCKET_ALWAYS_INLINE vec<T> take(const S* x, std::size_t count) {
  return count == lanes<T> ? load(x) : load_some(x, count, T{0});
}
template <class T, class S>
HOCKET_ALWAYS_INLINE void put(S* x, std::size_t count, vec<T> value) {
  if (count == lanes<T>)
    store(x, value);
  else
    store_some(x, count, value);
}

/// The masks of a row: given, or made a group at a time.
class row_masks {
 public:
  row_masks(const dropout& drop, const std::int8_t* given, std::uint64_t first_group)
      : drop_(drop), given_(given), group_(first_group) {}
  /// Of columns j0 ... j0 + 63.
  const std::int8_t* at(std::size_t j0) {
    if (given_) return given_ + j0;
    keep_group(drop_, group_ + j0 / dropout_group, made_);
    return made_;
  }

 private:
  const dropout& drop_;
  const std::int8_t* given_;
  std::uint64_t group_;
  alignas(alignment) std::int8_t made_[dropout_group];
};

template <activation Act, class T, class S>
void forward_row(const dropout& drop, row_masks& masks, std::size_t n, const T* x, const T* bias, const T* residual,
                 S* u, S* y) noexcept {
  const bool drops = !drop.none();
  const T scale = static_cast<T>(drop.scale);
  for (std::size_t j0 = 0; j0 < n; j0 += dropout_group) {
    const std::size_t end = n - j0 < dropout_group ? n : j0 + dropout_group;
    const std::int8_t* const keep = drops ? masks.at(j0) : nullptr;
    for (std::size_t j = j0; j < end; j += lanes<T>) {
      const std::size_t count = end - j < lanes<T> ? end - j : lanes<T>;
      vec<T> value = take<T>(x + j, count);
      if (bias) value += take<T>(bias + j, count);
      if (u) put<T>(u + j, count, value);
      value = value_of<Act, T>(value);
      if (drops) value *= factors<T>(keep + (j - j0), scale);
      if (residual) value += take<T>(residual + j, count);
      put<T>(y + j, count, value);
    }
  }
}

template <activation Act, class T, class S>
void backward_row(const dropout& drop, row_masks& masks, std::size_t n, const S* dy, const S* u, T* du,
                  T* sums) noexcept {
  const bool drops = !drop.none();
  const T scale = static_cast<T>(drop.scale);
  for (std::size_t j0 = 0; j0 < n; j0 += dropout_group) {
    const std::size_t end = n - j0 < dropout_group ? n : j0 + dropout_group;
    const std::int8_t* const keep = drops ? masks.at(j0) : nullptr;
    for (std::size_t j = j0; j < end; j += lanes<T>) {
      const std::size_t count = end - j < lanes<T> ? end - j : lanes<T>;
      vec<T> value = take<T>(dy + j, count);
      if (drops) value *= factors<T>(keep + (j - j0), scale);
      if constexpr (Act != activation::none) value = slope_of<Act, T>(value, take<T>(u + j, count));
      put<T>(du + j, count, value);
      if (sums) put<T>(sums + j, count, take<T>(sums + j, count) + value);
    }
  }
}

template <activation Act, class T, class S>
void forward_all(const dropout& drop, const forward_rows_of<T, S>& in) noexcept {
  const std::size_t groups = (in.columns + dropout_group - 1) / dropout_group;
  for (std::size_t r = 0; r < in.rows; ++r) {
    row_masks masks(drop, in.keep ? in.keep + r * in.ldkeep : nullptr, (in.first_row + r) * groups);
    forward_row<Act, T, S>(drop, masks, in.columns, in.x + r * in.ldx, in.bias,
                           in.residual ? in.residual + r * in.ldresidual : nullptr, in.u ? in.u + r * in.ldu : nullptr,
                           in.y + r * in.ldy);
  }
}
template <activation Act, class T, class S>
void backward_all(const dropout& drop, const backward_rows_of<T, S>& in) noexcept {
  const std::size_t groups = (in.columns + dropout_group - 1) / dropout_group;
  for (std::size_t r = 0; r < in.rows; ++r) {
    row_masks masks(drop, in.keep ? in.keep + r * in.ldkeep : nullptr, (in.first_row + r) * groups);
    backward_row<Act, T, S>(drop, masks, in.columns, in.dy + r * in.lddy, in.u ? in.u + r * in.ldu : nullptr,
                            in.du + r * in.lddu, in.sums);
  }
}

template <class T, class S>
void forward_rows(activation act, const dropout& drop, const forward_rows_of<T, S>& in) noexcept {
  switch (act) {
    case activation::none: return forward_all<activation::none, T, S>(drop, in);
    case activation::relu: return forward_all<activation::relu, T, S>(drop, in);
    case activation::gelu: return forward_all<activation::gelu, T, S>(drop, in);
    case activation::tanh: return forward_all<activation::tanh, T, S>(drop, in);
  }
}
template <class T, class S>
void backward_rows(activation act, const dropout& drop, const backward_rows_of<T, S>& in) noexcept {
  switch (act) {
    case activation::none: return backward_all<activation::none, T, S>(drop, in);
    case activation::relu: return backward_all<activation::relu, T, S>(drop, in);
    case activation::gelu: return backward_all<activation::gelu, T, S>(drop, in);
    case activation::tanh: return backward_all<activation::tanh, T, S>(drop, in);
  }
}

}  // namespace hocket::kernels::epilogue::HOCKET_SIMD_NS
