// Layer norm and RMS norm from their definitions, summed in double in index order.
#pragma once

#include <cmath>
#include <type_traits>
#include <vector>

#include <hocket/core/half.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/layernorm/shape.hpp>

namespace hocket::kernels::layernorm::reference {

struct row_facts {
  double mean, inverse_sd;
};

template <class T>
row_facts facts_of(norm kind, view<const T, 1> x, double eps) {
  const double n = static_cast<double>(x.extent(0));
  double mean = 0, square = 0;
  if (kind == norm::layer) {
    for (const T v : x) mean += to_f64(v);
    mean /= n;
  }
  for (const T v : x) {
    const double d = to_f64(v) - mean;
    square += d * d;
  }
  return {mean, 1 / std::sqrt(square / n + eps)};
}

/// y (rows, columns); gain and bias (columns) of type P; bias is ignored by RMS norm.
template <class T, class P = float>
void forward(norm kind, view<const T, 2> x, std::type_identity_t<view<const P, 1>> gain,
             std::type_identity_t<view<const P, 1>> bias, double eps, view<double, 2> y) {
  for (std::size_t r = 0; r < x.extent(0); ++r) {
    const row_facts f = facts_of(kind, x[r], eps);
    for (std::size_t c = 0; c < x.extent(1); ++c)
      y(r, c) = (to_f64(x(r, c)) - f.mean) * f.inverse_sd * static_cast<double>(gain[c]) +
                (kind == norm::layer ? static_cast<double>(bias[c]) : 0.0);
  }
}

/// dx (rows, columns), dgain and dbias (columns): gradients of a loss whose gradient by y is dy.
template <class T, class P = float>
void backward(norm kind, view<const T, 2> x, std::type_identity_t<view<const P, 1>> gain, view<const T, 2> dy,
              double eps, view<double, 2> dx, view<double, 1> dgain, view<double, 1> dbias) {
  const double n = static_cast<double>(x.extent(1));
  for (std::size_t c = 0; c < x.extent(1); ++c) dgain[c] = dbias[c] = 0;
  for (std::size_t r = 0; r < x.extent(0); ++r) {
    const row_facts f = facts_of(kind, x[r], eps);
    double mean_d = 0, mean_dx = 0;
    for (std::size_t c = 0; c < x.extent(1); ++c) {
      const double unit = (to_f64(x(r, c)) - f.mean) * f.inverse_sd;
      const double d = to_f64(dy(r, c));
      dgain[c] += d * unit;
      dbias[c] += d;
      mean_d += d * static_cast<double>(gain[c]) / n;
      mean_dx += d * static_cast<double>(gain[c]) * unit / n;
    }
    for (std::size_t c = 0; c < x.extent(1); ++c) {
      const double unit = (to_f64(x(r, c)) - f.mean) * f.inverse_sd;
      const double d = to_f64(dy(r, c)) * static_cast<double>(gain[c]);
      dx(r, c) = f.inverse_sd * (d - (kind == norm::layer ? mean_d : 0.0) - unit * mean_dx);
    }
  }
}

}  // namespace hocket::kernels::layernorm::reference
