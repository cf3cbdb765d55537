// One step of stochastic gradient descent or Adam for a run of weights, from the definitions in the next wider type.
//   SGD    g += decay p;  buffer = momentum buffer + g (the first time g);  p -= rate (nesterov ? g + momentum buffer :
//          buffer)                                              Sutskever et al., "On the importance of initialization
//                                                               and momentum in deep learning", 2013, as PyTorch has it
//   Adam   m += (g - m)(1 - beta1);  v = beta2 v + (1 - beta2) g^2;
//          p -= rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)      Kingma, Ba, "Adam", 2015
//          decay: decoupled p -= rate decay p before (Loshchilov, Hutter, "Decoupled weight decay", 2019), else
//          g += decay p
// g is the stored gradient times `gradient_scale` (clipping, loss scaling).
#pragma once

#include <cmath>
#include <cstddef>
#include <type_traits>

#include <hocket/core/dtype.hpp>

namespace hocket::kernels::optimizer_step {

struct sgd_settings {
  double rate = 0.1, momentum = 0, decay = 0, gradient_scale = 1;
  bool nesterov = false;
  bool first = false;  ///< the momentum buffer holds nothing yet
};
struct adam_settings {
  double rate = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, decay = 0, gradient_scale = 1;
  bool decoupled = true;
  std::size_t step = 1;  ///< t, from 1
};

namespace reference {

template <Real T>
using wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

/// p and buffer (n) are of the wide type; buffer may be null without momentum.
template <Real T>
void sgd(const sgd_settings& s, std::size_t n, const T* g, wide<T>* p, wide<T>* buffer) {
  using W = wide<T>;
  for (std::size_t i = 0; i < n; ++i) {
    W slope = static_cast<W>(g[i]) * static_cast<W>(s.gradient_scale) + static_cast<W>(s.decay) * p[i];
    if (s.momentum != 0) {
      buffer[i] = s.first ? slope : static_cast<W>(s.momentum) * buffer[i] + slope;
      slope = s.nesterov ? slope + static_cast<W>(s.momentum) * buffer[i] : buffer[i];
    }
    p[i] -= static_cast<W>(s.rate) * slope;
  }
}

template <Real T>
void adam(const adam_settings& s, std::size_t n, const T* g, wide<T>* p, wide<T>* m, wide<T>* v) {
  using W = wide<T>;
  const W one = 1, b1 = static_cast<W>(s.beta1), b2 = static_cast<W>(s.beta2), t = static_cast<W>(s.step);
  for (std::size_t i = 0; i < n; ++i) {
    W slope = static_cast<W>(g[i]) * static_cast<W>(s.gradient_scale);
    if (s.decoupled)
      p[i] -= static_cast<W>(s.rate) * static_cast<W>(s.decay) * p[i];
    else
      slope += static_cast<W>(s.decay) * p[i];
    m[i] = b1 * m[i] + (one - b1) * slope;
    v[i] = b2 * v[i] + (one - b2) * slope * slope;
    p[i] -= static_cast<W>(s.rate) * (m[i] / (one - std::pow(b1, t))) /
            (std::sqrt(v[i] / (one - std::pow(b2, t))) + static_cast<W>(s.eps));
  }
}

}  // namespace reference
}  // namespace hocket::kernels::optimizer_step
