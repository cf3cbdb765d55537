// Rows brought to length 1, y = x / max(|x|, least), and the gradient, from the definitions in the next wider type.
//   dx = (dy - y (y . dy)) / |x|;   a row shorter than `least` is scaled by a constant: dx = dy / least
#pragma once

#include <cmath>
#include <cstddef>
#include <type_traits>

#include <hocket/core/dtype.hpp>
#include <hocket/core/view.hpp>

namespace hocket::kernels::unit_rows {

struct shape {
  std::size_t rows = 0, columns = 0;
};

namespace reference {

template <Real T>
using wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

template <Real T>
wide<T> length_of(view<const T, 1> x) {
  wide<T> sum = 0;
  for (const T v : x) sum += static_cast<wide<T>>(v) * static_cast<wide<T>>(v);
  return std::sqrt(sum);
}

template <Real T>
void forward(view<const T, 2> x, T least, view<wide<T>, 2> y) {
  for (std::size_t r = 0; r < x.extent(0); ++r) {
    const wide<T> length = length_of(x[r]),
                  by = length < static_cast<wide<T>>(least) ? static_cast<wide<T>>(least) : length;
    for (std::size_t c = 0; c < x.extent(1); ++c) y(r, c) = static_cast<wide<T>>(x(r, c)) / by;
  }
}

template <Real T>
void backward(view<const T, 2> x, T least, view<const T, 2> dy, view<wide<T>, 2> dx) {
  for (std::size_t r = 0; r < x.extent(0); ++r) {
    const wide<T> length = length_of(x[r]);
    const bool moves = !(length < static_cast<wide<T>>(least));
    const wide<T> by = moves ? length : static_cast<wide<T>>(least);
    wide<T> dot = 0;
    for (std::size_t c = 0; c < x.extent(1); ++c)
      dot += static_cast<wide<T>>(x(r, c)) / by * static_cast<wide<T>>(dy(r, c));
    for (std::size_t c = 0; c < x.extent(1); ++c)
      dx(r, c) =
          (static_cast<wide<T>>(dy(r, c)) - (moves ? static_cast<wide<T>>(x(r, c)) / by * dot : wide<T>{0})) / by;
  }
}

}  // namespace reference
}  // namespace hocket::kernels::unit_rows
