// Softmax from its definition, summed in double in index order. A row whose largest entry is -infinity has no
// distribution: its outputs are NaN, as in PyTorch.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <hocket/core/half.hpp>
#include <hocket/core/view.hpp>

namespace hocket::kernels::softmax::reference {

/// y[r, c] = exp(x[r, c]) / sum over c' of exp(x[r, c']).
template <class T>
void forward(view<const T, 2> x, view<double, 2> y) {
  for (std::size_t r = 0; r < x.extent(0); ++r) {
    double largest = -std::numeric_limits<double>::infinity(), sum = 0;
    for (std::size_t c = 0; c < x.extent(1); ++c) largest = std::max(largest, to_f64(x(r, c)));
    for (std::size_t c = 0; c < x.extent(1); ++c) sum += std::exp(to_f64(x(r, c)) - largest);
    for (std::size_t c = 0; c < x.extent(1); ++c) y(r, c) = std::exp(to_f64(x(r, c)) - largest) / sum;
  }
}

/// dx[r, c] = y[r, c] (dy[r, c] - sum over c' of y[r, c'] dy[r, c']), for y = softmax(x).
template <class T>
void backward(view<const T, 2> y, view<const T, 2> dy, view<double, 2> dx) {
  for (std::size_t r = 0; r < y.extent(0); ++r) {
    double dot = 0;
    for (std::size_t c = 0; c < y.extent(1); ++c) dot += to_f64(y(r, c)) * to_f64(dy(r, c));
    for (std::size_t c = 0; c < y.extent(1); ++c) dx(r, c) = to_f64(y(r, c)) * (to_f64(dy(r, c)) - dot);
  }
}

}  // namespace hocket::kernels::softmax::reference
