// Rows of layer norm and RMS norm, forward and backward; compiled once per instruction set (core/simd_each.hpp). A
// row's bits depend on its values only, a column sum's on the tile of rows. `Centred` is layer norm.

namespace hocket::kernels::layernorm::HOCKET_SIMD_NS {

#include <hocket/core/simd_lanes.inl>

inline constexpr std::size_t at_once = 4;  ///< registers a step: four sums in flight, added in a tree

template <class T>
HOCKET_ALWAYS_INLINE T total(const vec<T> (&sums)[at_once]) {
  return sum_of<T>((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

/// Mean of x (n).
template <class T>
HOCKET_ALWAYS_INLINE T mean_of(const T* x, std::size_t n) {
  constexpr std::size_t width = lanes<T>, step = at_once * width;
  const std::size_t steps = n / step * step, whole = n / width * width;
  vec<T> sums[at_once] = {};
  for (std::size_t j = 0; j < steps; j += step)
#pragma GCC unroll 4
    for (std::size_t i = 0; i < at_once; ++i) sums[i] += load(x + j + i * width);
  for (std::size_t j = steps; j < whole; j += width) sums[0] += load(x + j);
  if (n > whole) sums[1] += load_some(x + whole, n - whole, T{0});
  return total<T>(sums) / static_cast<T>(n);
}

/// Mean of (x - centre)^2.
template <class T>
HOCKET_ALWAYS_INLINE T mean_square(const T* x, T centre, std::size_t n) {
  constexpr std::size_t width = lanes<T>, step = at_once * width;
  const std::size_t steps = n / step * step, whole = n / width * width;
  vec<T> sums[at_once] = {};
  for (std::size_t j = 0; j < steps; j += step)
#pragma GCC unroll 4
    for (std::size_t i = 0; i < at_once; ++i) {
      const vec<T> d = load(x + j + i * width) - centre;
      sums[i] += d * d;
    }
  for (std::size_t j = steps; j < whole; j += width) {
    const vec<T> d = load(x + j) - centre;
    sums[0] += d * d;
  }
  if (n > whole) {
    const vec<T> d = load_some(x + whole, n - whole, centre) - centre;
    sums[1] += d * d;
  }
  return total<T>(sums) / static_cast<T>(n);
}

/// y (n), and the row's mean and 1 / sqrt(variance + eps). y may be x.
template <bool Centred, class T>
void forward_row(const T* x, const T* gain, const T* bias, T eps, T* y, T* mean, T* inverse_sd,
                 std::size_t n) noexcept {
  constexpr std::size_t width = lanes<T>;
  const std::size_t whole = n / width * width, rest = n - whole;
  const T centre = Centred ? mean_of(x, n) : T{0};
  const T inverse = T{1} / std::sqrt(mean_square(x, centre, n) + eps);
  for (std::size_t j = 0; j < whole; j += width) {
    const vec<T> scaled = (load(x + j) - centre) * inverse * load(gain + j);
    store<T>(y + j, Centred ? scaled + load(bias + j) : scaled);
  }
  if (rest > 0) {
    const vec<T> scaled = (load_some(x + whole, rest, T{0}) - centre) * inverse * load_some(gain + whole, rest, T{0});
    store_some<T>(y + whole, rest, Centred ? scaled + load_some(bias + whole, rest, T{0}) : scaled);
  }
  if (Centred) *mean = centre;
  *inverse_sd = inverse;
}

/// dx (n) = inverse_sd (d - mean d - unit mean(d unit)), d = dy gain, unit = (x - mean) inverse_sd. dx may be dy.
template <bool Centred, class T>
void backward_row(const T* x, const T* gain, const T* dy, T mean, T inverse, T* dx, std::size_t n) noexcept {
  constexpr std::size_t width = lanes<T>, step = at_once * width;
  const std::size_t steps = n / step * step, whole = n / width * width, rest = n - whole;
  vec<T> sums_d[at_once] = {}, sums_du[at_once] = {};
  for (std::size_t j = 0; j < steps; j += step)
#pragma GCC unroll 4
    for (std::size_t i = 0; i < at_once; ++i) {
      const std::size_t at = j + i * width;
      const vec<T> d = load(dy + at) * load(gain + at);
      if (Centred) sums_d[i] += d;
      sums_du[i] += d * ((load(x + at) - mean) * inverse);
    }
  for (std::size_t j = steps; j < whole; j += width) {
    const vec<T> d = load(dy + j) * load(gain + j);
    if (Centred) sums_d[0] += d;
    sums_du[0] += d * ((load(x + j) - mean) * inverse);
  }
  if (rest > 0) {
    const vec<T> d = load_some(dy + whole, rest, T{0}) * load_some(gain + whole, rest, T{0});
    if (Centred) sums_d[1] += d;
    sums_du[1] += d * ((load_some(x + whole, rest, mean) - mean) * inverse);
  }
  const T mean_d = Centred ? total<T>(sums_d) / static_cast<T>(n) : T{0};
  const T mean_du = total<T>(sums_du) / static_cast<T>(n);
  for (std::size_t j = 0; j < whole; j += width) {
    const vec<T> unit = (load(x + j) - mean) * inverse;
    store<T>(dx + j, (load(dy + j) * load(gain + j) - mean_d - unit * mean_du) * inverse);
  }
  if (rest > 0) {
    const vec<T> unit = (load_some(x + whole, rest, mean) - mean) * inverse;
    const vec<T> d = load_some(dy + whole, rest, T{0}) * load_some(gain + whole, rest, T{0});
    store_some<T>(dx + whole, rest, (d - mean_d - unit * mean_du) * inverse);
  }
}

/// Adds one row to the sums of a tile: gain (n) += dy unit, bias (n) += dy.
template <bool Centred, class T>
void add_parameters(const T* x, const T* dy, T mean, T inverse, T* gain, T* bias, std::size_t n) noexcept {
  constexpr std::size_t width = lanes<T>;
  const std::size_t whole = n / width * width;
  for (std::size_t j = 0; j < whole; j += width) {
    const vec<T> d = load(dy + j);
    store<T>(gain + j, load(gain + j) + d * ((load(x + j) - mean) * inverse));
    if (Centred) store<T>(bias + j, load(bias + j) + d);
  }
  for (std::size_t j = whole; j < n; ++j) {
    gain[j] += dy[j] * ((x[j] - mean) * inverse);
    if (Centred) bias[j] += dy[j];
  }
}

template <bool Centred, class T>
void forward_rows(const rows_of<T>& in, const T* bias, T eps, T* y, std::size_t ldy, T* mean, T* inverse_sd) noexcept {
  for (std::size_t r = 0; r < in.rows; ++r)
    forward_row<Centred>(in.x + r * in.ldx, in.gain, bias, eps, y + r * ldy, Centred ? mean + r : nullptr,
                         inverse_sd + r, in.columns);
}

template <bool Centred, class T>
void backward_rows(const rows_of<T>& in, const T* dy, std::size_t lddy, const T* mean, const T* inverse_sd, T* dx,
                   std::size_t lddx, T* gain, T* bias) noexcept {
  for (std::size_t r = 0; r < in.rows; ++r) {
    const T* x = in.x + r * in.ldx;
    const T centre = Centred ? mean[r] : T{0};
    add_parameters<Centred>(x, dy + r * lddy, centre, inverse_sd[r], gain, bias, in.columns);
    backward_row<Centred>(x, in.gain, dy + r * lddy, centre, inverse_sd[r], dx + r * lddx, in.columns);
  }
}

}  // namespace hocket::kernels::layernorm::HOCKET_SIMD_NS
