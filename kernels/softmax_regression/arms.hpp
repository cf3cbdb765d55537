// The arms of this room, f64 only. Only tests and bench include it.
//
// Magnitude of the promise, for the loss and each element of the gradient: max(1, max |x|) (1 + (D + 1) max |w| max
// |x|), the size of one row's term; row weights are at most 1.
#pragma once

#include <concepts>
#include <cstddef>
#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/kernels/softmax_regression/cpu.hpp>

namespace hocket::kernels::softmax_regression {

/// n rows, D features, K classes.
struct shape {
  std::size_t rows = 0, features = 0, classes = 0;
};

using softmax_regression_arm = arm<shape, decltype(&value_and_gradient)>;

inline bool any_shape(const shape& s) { return s.rows > 0 && s.classes > 1; }
/// A sum over the rows of terms that are sums over the features.
inline double sum_promise(const shape& s) { return static_cast<double>(s.rows + s.features); }
/// Two products with X: the logits and the gradient.
inline double product_flops(const shape& s) {
  return 4 * static_cast<double>(s.rows) * static_cast<double>(s.features + 1) * static_cast<double>(s.classes);
}
/// X, labels and row weights read once, W read and its gradient written.
inline double operand_bytes(const shape& s) {
  return static_cast<double>(s.rows * (sizeof(double) * (s.features + 1) + sizeof(std::uint32_t)) +
                             2 * sizeof(double) * s.classes * (s.features + 1));
}

template <std::same_as<double> T>
std::vector<softmax_regression_arm> arms() {
  return {
      {"own", backend::cpu, dtype::f64, &any_shape, &sum_promise, &product_flops, &operand_bytes, &value_and_gradient}};
}

}  // namespace hocket::kernels::softmax_regression
