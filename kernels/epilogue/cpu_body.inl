// Rows of the epilogue, forward and backward; compiled once per instruction set (core/simd_each.hpp). A row is walked
// in groups of 64 columns, the unit of dropout; what is left over at its end goes through the same instructions.

namespace hocket::kernels::epilogue::HOCKET_SIMD_NS {

#include <hocket/core/philox_lanes.inl>
#include <hocket/core/simd_lanes.inl>
#include <hocket/core/simd_lanes_bf16.inl>
#include <hocket/kernels/softmax/exp.inl>

/// keep[j] = -1 for those of the 64 elements of a group (shape.hpp) that stay, 0 for the others.
inline void keep_group(const dropout& drop, std::uint64_t group, std::int32_t* keep) noexcept {
  constexpr std::size_t blocks = dropout_group / 4, wide = lanes<std::uint32_t>;
  for (std::size_t i = 0; i < blocks; i += wide) {
    philox_words words[4];
    philox_lanes(drop.seed, drop.stream, group * blocks + i, 1, words);
    for (std::size_t w = 0; w < 4; ++w)
      store<std::int32_t>(keep + w * blocks + i, reinterpret_cast<vec<std::int32_t>>(words[w] >= drop.threshold));
  }
}
inline constexpr std::size_t mask_band = 32;  ///< rows whose masks are made at a time
inline void keep_groups(const dropout& drop, std::uint64_t first, std::size_t next, std::size_t rows,
                        std::int32_t* keep) noexcept {
  for (std::size_t r = 0; r < rows; ++r) keep_group(drop, first + r * next, keep + r * dropout_group);
}

/// 0 or `scale` in every lane, by 0 or -1.
template <class T>
HOCKET_ALWAYS_INLINE vec<T> factors(const std::int32_t* keep, T scale) {
  if constexpr (std::is_same_v<T, float>) {
    const vec<std::int32_t> all = reinterpret_cast<vec<std::int32_t>>(vec<T>{} + scale);
    return reinterpret_cast<vec<T>>(load(keep) & all);
  } else {
    vec<T> out{};
    for (std::size_t i = 0; i < lanes<T>; ++i) out[i] = keep[i] ? scale : T{0};
    return out;
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

/// 2^x to 8e-5 relative, 0 below -126: for results that are rounded to bf16.
HOCKET_ALWAYS_INLINE vec<float> rough_power(vec<float> x) {
  typedef std::int32_t whole __attribute__((vector_size(HOCKET_SIMD_BYTES)));
  x = x < -126.0F ? vec<float>{} - 126.0F : x;  // NaN stays
  const vec<float> shifted = x + 0x1.8p23F, f = x - (shifted - 0x1.8p23F);
  const vec<float> power = ((0.05516976F * f + 0.24260893F) * f + 0.69326109F) * f + 0.99992824F;
  return reinterpret_cast<vec<float>>(reinterpret_cast<whole>(power) + (reinterpret_cast<whole>(shifted) << 23));
}
/// Phi(x) to 2.5e-4 relative for x >= -5 (below, x Phi(x) is off by less than 3e-6): log2 Phi(-a) as a polynomial.
HOCKET_ALWAYS_INLINE vec<float> rough_normal(vec<float> x) {
  const vec<float> a = x < 0.0F ? -x : x;
  vec<float> sum = vec<float>{} - 2.6991629e-04F;
  for (const float c : {5.2973307e-03F, -4.6319265e-02F, -4.6690759e-01F, -1.1477889F, -1.0002284F}) sum = sum * a + c;
  const vec<float> tail = rough_power(sum);
  return x < 0.0F ? tail : 1.0F - tail;
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

/// S: the type that the result is kept in.
template <activation Act, class T, class S>
HOCKET_ALWAYS_INLINE vec<T> value_of(vec<T> u) {
  if constexpr (Act == activation::relu) {
    return u < T{0} ? vec<T>{} : u;  // NaN stays
  } else if constexpr (Act == activation::gelu && std::is_same_v<S, bf16>) {
    return u * rough_normal(u);
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

/// act'(u) of an activation whose slope is not told by u's sign; S: the type that u, or the slope, is kept in.
template <activation Act, class T, class S>
HOCKET_ALWAYS_INLINE vec<T> slope_of(vec<T> u) {
  static_assert(curved(Act));
  if constexpr (Act == activation::gelu && std::is_same_v<S, bf16>) {
    return rough_normal(u) + u * (0.39894228F * rough_power(u * u * -0.72134752F));
  } else if constexpr (Act == activation::gelu) {
    vec<T> bell{};
    const vec<T> phi = normal_distribution<T>(u, bell);
    return phi + u * (bell * T(0.39894228040143267794));
  } else if constexpr (Act == activation::tanh) {
    const vec<T> y = tanh_of<T>(u);
    return T{1} - y * y;
  } else {
    u = u < T{-steep}  ? vec<T>{} - T{steep}
        : u > T{steep} ? vec<T>{} + T{steep}
                       : u;  // flat outside, where squares overflow
    vec<T> small{};
    const vec<T> share = tanh_share<T>(u, small), whole = T{1} + small;
    const vec<T> rise = small / (whole * whole) * (u * u * T(3 * tanh_cubic) + T(tanh_linear));
    return share + u * rise;
  }
}
/// d act'(u), u as it is kept: what went into the activation or, with `Slopes`, act' there.
template <activation Act, bool Slopes, class T, class S>
HOCKET_ALWAYS_INLINE vec<T> through(vec<T> d, vec<T> u) {
  if constexpr (Act == activation::relu)
    return u > T{0} ? d : (u == u ? vec<T>{} : u);
  else if constexpr (Slopes)
    return d * u;
  else
    return d * slope_of<Act, T, S>(u);
}

/// A register of x, or with `Whole` false its first `count` elements; S is T or, for f32, bf16.
template <bool Whole, class T, class S>
HOCKET_ALWAYS_INLINE vec<T> take(const S* x, std::size_t count) {
  if constexpr (Whole)
    return load(x);
  else
    return load_some(x, count, T{0});
}
template <bool Whole, class T, class S>
HOCKET_ALWAYS_INLINE void put(S* x, std::size_t count, vec<T> value, [[maybe_unused]] bool in_hardware = false) {
  if constexpr (Whole && std::is_same_v<S, bf16>)
    store(x, value, in_hardware);
  else if constexpr (Whole)
    store(x, value);
  else
    store_some(x, count, value);
}

#if defined(__x86_64__)
HOCKET_ALWAYS_INLINE void put_register_far(void* x, vec<float> bits) {
#if defined(__clang__)
  __builtin_nontemporal_store(bits, reinterpret_cast<vec<float>*>(x));
#elif HOCKET_SIMD_BYTES == 64
  __builtin_ia32_movntps512(reinterpret_cast<float*>(x), bits);
#elif HOCKET_SIMD_BYTES == 32
  __builtin_ia32_movntps256(reinterpret_cast<float*>(x), bits);
#else
  __builtin_ia32_movntps(reinterpret_cast<float*>(x), bits);
#endif
}
#endif
/// Past the caches where x is aligned for it: registers of f32 and f64, and pairs of them that become one of bf16. Half
/// a register would leave lines half written.
template <std::size_t Registers, class T, class S>
HOCKET_ALWAYS_INLINE void put_far(S* x, const vec<T> (&value)[Registers], [[maybe_unused]] bool in_hardware) {
#if defined(__x86_64__)
  if (reinterpret_cast<std::uintptr_t>(x) % HOCKET_SIMD_BYTES == 0) {
    if constexpr (std::is_same_v<S, T>) {
#pragma GCC unroll 2
      for (std::size_t h = 0; h < Registers; ++h)
        put_register_far(x + h * lanes<T>, reinterpret_cast<vec<float>>(value[h]));
      return;
    } else if constexpr (Registers == 2) {
      struct {
        register_halves first, second;
      } both{to_halves(value[0], in_hardware), to_halves(value[1], in_hardware)};
      put_register_far(x, __builtin_bit_cast(vec<float>, both));
      return;
    }
  }
#endif
#pragma GCC unroll 2
  for (std::size_t h = 0; h < Registers; ++h) put<true, T>(x + h * lanes<T>, lanes<T>, value[h], in_hardware);
}

/// Registers that a panel is wide: of bf16 those that fill a line together.
template <class T, class S>
inline constexpr std::size_t panel_registers = sizeof(T) / sizeof(S);

/// Columns of every row: as many as `Registers` hold or, of one of them, its first `count`. keep: null, or the masks of
/// the first column. Arguments are copies: the compiler cannot know that outputs do not lie over them.
template <activation Act, bool Slopes, bool Drops, bool Whole, std::size_t Registers, class T, class S>
void forward_panel(const forward_rows_of<T, S> in, std::size_t count, const std::int32_t* keep, std::size_t ldkeep,
                   T scale) noexcept {
  const T *x = in.x, *residual = in.residual;
  S *u = in.u, *y = in.y;
  vec<T> bias[Registers] = {};
#pragma GCC unroll 2
  for (std::size_t h = 0; h < Registers; ++h)
    if (in.bias) bias[h] = take<Whole, T>(in.bias + h * lanes<T>, count);
  const bool in_hardware = std::is_same_v<S, bf16> && rounds_in_hardware();
  for (std::size_t r = 0; r < in.rows; ++r) {
    vec<T> value[Registers], kept[Registers];
#pragma GCC unroll 2
    for (std::size_t h = 0; h < Registers; ++h) {
      value[h] = take<Whole, T>(x + h * lanes<T>, count);
      if (in.bias) value[h] += bias[h];
      kept[h] = value[h];
      if constexpr (Slopes) kept[h] = slope_of<Act, T, S>(value[h]);
    }
    if (u) {
      if (Whole && in.far)
        put_far<Registers, T>(u, kept, in_hardware);
      else
#pragma GCC unroll 2
        for (std::size_t h = 0; h < Registers; ++h) put<Whole, T>(u + h * lanes<T>, count, kept[h], in_hardware);
      u += in.ldu;
    }
#pragma GCC unroll 2
    for (std::size_t h = 0; h < Registers; ++h) {
      value[h] = value_of<Act, T, S>(value[h]);
      if constexpr (Drops) value[h] *= factors<T>(keep + h * lanes<T>, scale);
      if (residual) value[h] += take<Whole, T>(residual + h * lanes<T>, count);
      put<Whole, T>(y + h * lanes<T>, count, value[h], in_hardware);
    }
    if constexpr (Drops) keep += ldkeep;
    if (residual) residual += in.ldresidual;
    x += in.ldx;
    y += in.ldy;
  }
}
template <activation Act, bool Slopes, bool Drops, bool Whole, std::size_t Registers, class T, class S>
void backward_panel(const backward_rows_of<T, S> in, std::size_t count, const std::int32_t* keep, std::size_t ldkeep,
                    T scale) noexcept {
  const S *dy = in.dy, *u = in.u;
  T* du = in.du;
  vec<T> sum[Registers] = {};
#pragma GCC unroll 2
  for (std::size_t h = 0; h < Registers; ++h)
    if (in.sums) sum[h] = take<Whole, T>(in.sums + h * lanes<T>, count);
  for (std::size_t r = 0; r < in.rows; ++r) {
#pragma GCC unroll 2
    for (std::size_t h = 0; h < Registers; ++h) {
      const std::size_t at = h * lanes<T>;
      vec<T> value = take<Whole, T>(dy + at, count);
      if constexpr (Drops) value *= factors<T>(keep + at, scale);
      if constexpr (Act != activation::none) value = through<Act, Slopes, T, S>(value, take<Whole, T>(u + at, count));
      put<Whole, T>(du + at, count, value);
      sum[h] += value;
    }
    if constexpr (Drops) keep += ldkeep;
    if constexpr (Act != activation::none) u += in.ldu;
    dy += in.lddy;
    du += in.lddu;
  }
#pragma GCC unroll 2
  for (std::size_t h = 0; h < Registers; ++h)
    if (in.sums) put<Whole, T>(in.sums + h * lanes<T>, count, sum[h]);
}

/// panel(drops, whole, registers, rows, count, masks, their rows' distance) for all of a pass: column after column, so
/// that a bias stays in registers; where masks are made here, in bands of rows whose masks stay in L1.
template <class T, class S, class In, class Panel>
HOCKET_ALWAYS_INLINE void walk(const dropout& drop, const In& in, Panel&& panel) noexcept {
  const auto columns = [&](auto drops, const In& rows, std::size_t first, std::size_t last, const std::int32_t* keep,
                           std::size_t ld) {
    const auto masks = [&](std::size_t j) { return decltype(drops)::value ? keep + (j - first) : keep; };
    constexpr std::integral_constant<std::size_t, 1> one;
    constexpr std::integral_constant<std::size_t, panel_registers<T, S>> several;
    std::size_t j = first;
    for (; j + several * lanes<T> <= last; j += several * lanes<T>)
      panel(drops, std::true_type{}, several, rows.from(0, j), several * lanes<T>, masks(j), ld);
    for (; j + lanes<T> <= last; j += lanes<T>)
      panel(drops, std::true_type{}, one, rows.from(0, j), lanes<T>, masks(j), ld);
    if (j < last) panel(drops, std::false_type{}, one, rows.from(0, j), last - j, masks(j), ld);
  };
  alignas(alignment) std::int32_t made[mask_band * dropout_group];
  if (drop.none()) return columns(std::false_type{}, in, 0, in.columns, nullptr, 0);
  if (in.keep) return columns(std::true_type{}, in, 0, in.columns, in.keep, in.ldkeep);
  const std::size_t groups = groups_of(in.columns);
  for (std::size_t r = 0; r < in.rows; r += mask_band) {
    const In band = in.from(r, 0);
    In rows = band;
    rows.rows = band.rows < mask_band ? band.rows : mask_band;
    for (std::size_t g = 0; g < groups; ++g) {
      keep_groups(drop, rows.first_row * groups + g, groups, rows.rows, made);
      const std::size_t first = g * dropout_group;
      columns(std::true_type{}, rows, first, in.columns - first < dropout_group ? in.columns : first + dropout_group,
              made, dropout_group);
    }
  }
}

template <activation Act, bool Slopes, class T, class S>
void forward_all(const dropout& drop, const forward_rows_of<T, S>& in) noexcept {
  walk<T, S>(drop, in,
             [&](auto drops, auto whole, auto registers, const auto& rows, std::size_t count, const std::int32_t* keep,
                 std::size_t ld) {
               forward_panel<Act, Slopes, decltype(drops)::value, decltype(whole)::value, decltype(registers)::value>(
                   rows, count, keep, ld, static_cast<T>(drop.scale));
             });
}
template <activation Act, bool Slopes, class T, class S>
void backward_all(const dropout& drop, const backward_rows_of<T, S>& in) noexcept {
  walk<T, S>(drop, in,
             [&](auto drops, auto whole, auto registers, const auto& rows, std::size_t count, const std::int32_t* keep,
                 std::size_t ld) {
               backward_panel<Act, Slopes, decltype(drops)::value, decltype(whole)::value, decltype(registers)::value>(
                   rows, count, keep, ld, static_cast<T>(drop.scale));
             });
}

template <class T, class S>
void forward_rows(activation act, const dropout& drop, const forward_rows_of<T, S>& in) noexcept {
  const auto curved_one = [&](auto which) {
    constexpr activation a = decltype(which)::value;
    return in.u && in.slopes ? forward_all<a, true, T, S>(drop, in) : forward_all<a, false, T, S>(drop, in);
  };
  switch (act) {
    case activation::none: return forward_all<activation::none, false, T, S>(drop, in);
    case activation::relu: return forward_all<activation::relu, false, T, S>(drop, in);
    case activation::gelu: return curved_one(std::integral_constant<activation, activation::gelu>{});
    case activation::tanh: return curved_one(std::integral_constant<activation, activation::tanh>{});
    case activation::gelu_tanh: return curved_one(std::integral_constant<activation, activation::gelu_tanh>{});
  }
}
template <class T, class S>
void backward_rows(activation act, const dropout& drop, const backward_rows_of<T, S>& in) noexcept {
  if (in.slopes && curved(act)) return backward_all<activation::gelu, true, T, S>(drop, in);  // of each the same
  switch (act) {
    case activation::none: return backward_all<activation::none, false, T, S>(drop, in);
    case activation::relu: return backward_all<activation::relu, false, T, S>(drop, in);
    case activation::gelu: return backward_all<activation::gelu, false, T, S>(drop, in);
    case activation::tanh: return backward_all<activation::tanh, false, T, S>(drop, in);
    case activation::gelu_tanh: return backward_all<activation::gelu_tanh, false, T, S>(drop, in);
  }
}

}  // namespace hocket::kernels::epilogue::HOCKET_SIMD_NS
