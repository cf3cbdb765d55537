// Finite differences in f64: half of a gradient's digits, element by element.
#pragma once

#include <cmath>
#include <limits>

#include <hocket/core/tolerance.hpp>

namespace nn_test {

using namespace hocket;

/// Seven-point stencil, error h^6 |f^(7)| / 140 + epsilon |f| / h. h = epsilon^(1/5), which five points want, leaves
/// the seventh derivative room: a GELU whose argument moves 10 times as fast as the parameter has one of 10^7.
inline const double step_size = std::pow(std::numeric_limits<double>::epsilon(), 0.2);

/// How `loss()` changes with x, which has its value again afterwards.
template <class Loss>
double slope_of(double& x, const Loss& loss) {
  const double before = x;
  const auto at = [&](double steps) {
    x = before + steps * step_size;
    return loss();
  };
  const double slope = (45 * (at(1) - at(-1)) - 9 * (at(2) - at(-2)) + (at(3) - at(-3))) / (60 * step_size);
  x = before;
  return slope;
}

/// sqrt(epsilon) = 1.5e-8 of the element's own gradient, and what the stencil makes of a loss that is rounded by some
/// 16 epsilon: where a gradient is 0 in theory, as of a key's bias, that is all that is left.
inline double allowed_slope(double gradient, double loss) {
  const double half_of_digits = std::sqrt(std::numeric_limits<double>::epsilon());
  return half_of_digits * std::abs(gradient) + 110.0 / 60 * rounding<double>(16 * std::abs(loss)) / step_size;
}

}  // namespace nn_test
