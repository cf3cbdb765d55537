// Sums of pointwise losses on the CPU, and their slopes, f32 and f64. A head's output is small: the sum runs in order
// on the calling thread, in f64.
//
// Ladder
//   1  one pass, element by element.
#pragma once

#include <cmath>
#include <cstddef>

#include <hocket/core/config.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/pointwise_loss/reference.hpp>

namespace hocket::kernels::pointwise_loss {

/// Sum over all elements of the loss of x against t, both (rows, columns).
template <Real T>
double forward(loss kind, const view<const T, 2>& x, const view<const T, 2>& t) noexcept {
  double sum = 0;
  for (std::size_t r = 0; r < x.extent(0); ++r)
    for (std::size_t c = 0; c < x.extent(1); ++c) {
      const double a = static_cast<double>(x(r, c)), b = static_cast<double>(t(r, c));
      sum += kind == loss::squared ? (a - b) * (a - b) : (a > 0 ? a : 0.0) - a * b + std::log1p(std::exp(-std::abs(a)));
    }
  return sum;
}

/// dx = scale slope(x, t), replaced or added to; with `of_target`, the gradient by t instead.
template <Real T>
void backward(loss kind, const view<const T, 2>& x, const view<const T, 2>& t, T scale, bool of_target, bool add,
              const view<T, 2>& dx) noexcept {
  for (std::size_t r = 0; r < x.extent(0); ++r)
    for (std::size_t c = 0; c < x.extent(1); ++c) {
      const double a = static_cast<double>(x(r, c)), b = static_cast<double>(t(r, c));
      const double by_x = kind == loss::squared ? 2 * (a - b) : 1 / (1 + std::exp(-a)) - b;
      const double slope = !of_target ? by_x : kind == loss::squared ? -by_x : -a;
      const T out = static_cast<T>(static_cast<double>(scale) * slope);
      dx(r, c) = add ? dx(r, c) + out : out;
    }
}

}  // namespace hocket::kernels::pointwise_loss

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in instances.cpp
#define HOCKET_INSTANCE extern template
#include <hocket/kernels/pointwise_loss/instances.inl>
#undef HOCKET_INSTANCE
#endif
