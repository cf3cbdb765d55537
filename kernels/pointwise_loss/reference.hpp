// Losses that are sums over elements, from their definitions in the next wider type.
//   squared    (x - t)^2                                       slope 2 (x - t)
//   logistic   -t ln s(x) - (1 - t) ln(1 - s(x)), s the logistic function; slope s(x) - t
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

#include <hocket/core/dtype.hpp>
#include <hocket/core/options.hpp>
#include <hocket/core/view.hpp>

namespace hocket::kernels::pointwise_loss {

enum class loss { squared, logistic };

struct shape {
  std::size_t rows = 0, columns = 0;
};

namespace reference {

template <Real T>
using wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

template <Real T>
wide<T> value_of(loss kind, T x, T t) {
  const wide<T> a = static_cast<wide<T>>(x), b = static_cast<wide<T>>(t);
  if (kind == loss::squared) return (a - b) * (a - b);
  return (a > 0 ? a : wide<T>{0}) - a * b + std::log1p(std::exp(-std::abs(a)));
}
template <Real T>
wide<T> slope_of(loss kind, T x, T t) {
  const wide<T> a = static_cast<wide<T>>(x), b = static_cast<wide<T>>(t);
  return kind == loss::squared ? 2 * (a - b) : 1 / (1 + std::exp(-a)) - b;
}

/// Sum over all elements.
template <Real T>
wide<T> forward(loss kind, view<const T, 2> x, view<const T, 2> t) {
  wide<T> sum = 0;
  for (std::size_t r = 0; r < x.extent(0); ++r)
    for (std::size_t c = 0; c < x.extent(1); ++c) sum += value_of(kind, x(r, c), t(r, c));
  return sum;
}

}  // namespace reference
}  // namespace hocket::kernels::pointwise_loss

template <>
struct hocket::enum_names<hocket::kernels::pointwise_loss::loss> {
  using enum hocket::kernels::pointwise_loss::loss;
  static constexpr std::array values = {std::pair{squared, std::string_view{"squared"}},
                                        std::pair{logistic, std::string_view{"logistic"}}};
};
