// What a step of SGD or Adam computes with: the settings in the type of the weights, quotients of the step's number
// taken in f64. Every backend starts from the same constants.
#pragma once

#include <cmath>

#include <hocket/core/dtype.hpp>
#include <hocket/kernels/optimizer_step/reference.hpp>

namespace hocket::kernels::optimizer_step {

template <class T>
struct adam_constants {
  T keep, take1, beta2, take2, rate, inverse_root2, eps, coupled, scale;
};
template <class T>
struct sgd_constants {
  T rate, momentum, decay, scale;
  bool nesterov, first;
};

template <Real T>
adam_constants<T> constants_of(const adam_settings& s) {
  const double t = static_cast<double>(s.step);
  return {static_cast<T>(s.decoupled ? 1 - s.rate * s.decay : 1.0),
          static_cast<T>(1 - s.beta1),
          static_cast<T>(s.beta2),
          static_cast<T>(1 - s.beta2),
          static_cast<T>(s.rate / (1 - std::pow(s.beta1, t))),
          static_cast<T>(1 / std::sqrt(1 - std::pow(s.beta2, t))),
          static_cast<T>(s.eps),
          static_cast<T>(s.decoupled ? 0.0 : s.decay),
          static_cast<T>(s.gradient_scale)};
}
template <Real T>
sgd_constants<T> constants_of(const sgd_settings& s) {
  return {static_cast<T>(s.rate),
          static_cast<T>(s.momentum),
          static_cast<T>(s.decay),
          static_cast<T>(s.gradient_scale),
          s.nesterov,
          s.first};
}

}  // namespace hocket::kernels::optimizer_step
