// Bias, activation, dropout and residual from their definitions, in the next wider type.
#pragma once

#include <cmath>
#include <type_traits>

#include <hocket/core/dtype.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/epilogue/shape.hpp>

namespace hocket::kernels::epilogue::reference {

template <Real T>
using wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

/// (1 + tanh(x)) / 2 = 1 / (1 + exp(-2x)) for gelu_tanh's x, without the cancellation of the sum; `rest` is 1 minus it.
template <class W>
W tanh_share(W u, W& rest) {
  const W twice = 2 * std::sqrt(2 / std::acos(W{-1})) * (u + static_cast<W>(0.044715L) * u * u * u),
          small = std::exp(-std::abs(twice));
  rest = (twice < 0 ? 1 : small) / (1 + small);
  return (twice < 0 ? small : 1) / (1 + small);
}

template <class W>
W value_of(activation act, W u) {
  W rest = 0;
  switch (act) {
    case activation::none: return u;
    case activation::relu: return u < 0 ? W{0} : u;
    case activation::gelu: return u * std::erfc(-u / std::sqrt(W{2})) / 2;
    case activation::tanh: return std::tanh(u);
    case activation::gelu_tanh: return u * tanh_share(u, rest);
  }
  return u;
}

/// Derivative. ReLU's at 0 is 0, as in PyTorch.
template <class W>
W slope_of(activation act, W u) {
  W share = 0, rest = 0;
  switch (act) {
    case activation::none: return 1;
    case activation::relu: return u > 0 ? W{1} : W{0};
    case activation::gelu:
      return std::erfc(-u / std::sqrt(W{2})) / 2 + u * std::exp(-u * u / 2) / std::sqrt(2 * std::acos(W{-1}));
    case activation::tanh: return 1 - std::tanh(u) * std::tanh(u);
    case activation::gelu_tanh:
      share = tanh_share(u, rest);
      return share +
             u * share * rest * 2 * std::sqrt(2 / std::acos(W{-1})) * (1 + 3 * static_cast<W>(0.044715L) * u * u);
  }
  return 1;
}

template <Real T>
wide<T> factor(const dropout& d, std::size_t columns, std::size_t r, std::size_t c) {
  return d.none() ? 1 : stays(d, columns, r, c) ? static_cast<wide<T>>(d.scale) : 0;
}

/// y (rows, columns); bias (columns) and residual (rows, columns) may be empty.
template <Real T>
void forward(const shape& s, view<const T, 2> x, view<const T, 1> bias, view<const T, 2> residual, view<wide<T>, 2> y) {
  for (std::size_t r = 0; r < s.rows; ++r)
    for (std::size_t c = 0; c < s.columns; ++c) {
      const wide<T> u = static_cast<wide<T>>(x(r, c)) + (bias.data() ? static_cast<wide<T>>(bias[c]) : wide<T>{0});
      y(r, c) = value_of(s.act, u) * factor<T>(s.drop, s.columns, r, c) +
                (residual.data() ? static_cast<wide<T>>(residual(r, c)) : wide<T>{0});
    }
}

/// du (rows, columns), and dbias (columns), the sum of its rows, from dy and u.
template <Real T>
void backward(const shape& s, view<const T, 2> dy, view<const T, 2> u, view<wide<T>, 2> du, view<wide<T>, 1> dbias) {
  for (std::size_t c = 0; c < s.columns; ++c) dbias[c] = 0;
  for (std::size_t r = 0; r < s.rows; ++r)
    for (std::size_t c = 0; c < s.columns; ++c) {
      const wide<T> slope = s.act == activation::none ? wide<T>{1} : slope_of(s.act, static_cast<wide<T>>(u(r, c)));
      du(r, c) = static_cast<wide<T>>(dy(r, c)) * factor<T>(s.drop, s.columns, r, c) * slope;
      dbias[c] += du(r, c);
    }
}

}  // namespace hocket::kernels::epilogue::reference
