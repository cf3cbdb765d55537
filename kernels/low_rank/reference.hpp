// The three products of shape.hpp from their definitions, in the next wider type. Never optimised; everything in this
// room is measured against it. `magnitude` is the sum of what the sum adds, each without its sign.
#pragma once

#include <cmath>
#include <cstddef>
#include <type_traits>

#include <hocket/core/dtype.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/low_rank/shape.hpp>

namespace hocket::kernels::low_rank::reference {

template <Real T>
using wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

template <Real T>
struct element {
  wide<T> value = 0, magnitude = 0;
  void add(wide<T> term) {
    value += term;
    magnitude += std::abs(term);
  }
};
template <Real T>
wide<T> kept(view<const T, 2> x, const kept_elements& keep, std::size_t row, std::size_t column) {
  return stays(keep, row, column) ? static_cast<wide<T>>(keep.scale) * static_cast<wide<T>>(x(row, column)) : 0;
}

/// Element (row, j) of keep(x) A'.
template <Real T>
element<T> project(view<const T, 2> x, const kept_elements& keep, view<const T, 2> a, std::size_t row, std::size_t j) {
  element<T> sum;
  for (std::size_t c = 0; c < x.extent(1); ++c) sum.add(kept(x, keep, row, c) * static_cast<wide<T>>(a(j, c)));
  return sum;
}
/// Element (i, column) of A' keep(B).
template <Real T>
element<T> outer(view<const T, 2> a, view<const T, 2> b, const kept_elements& keep, std::size_t i, std::size_t column) {
  element<T> sum;
  for (std::size_t r = 0; r < b.extent(0); ++r) sum.add(static_cast<wide<T>>(a(r, i)) * kept(b, keep, r, column));
  return sum;
}
/// Element (row, column) of keep(du A).
template <Real T>
element<T> back(view<const T, 2> du, view<const T, 2> a, const kept_elements& keep, std::size_t row,
                std::size_t column) {
  element<T> sum;
  for (std::size_t j = 0; stays(keep, row, column) && j < a.extent(0); ++j)
    sum.add(static_cast<wide<T>>(keep.scale) * static_cast<wide<T>>(du(row, j)) * static_cast<wide<T>>(a(j, column)));
  return sum;
}

}  // namespace hocket::kernels::low_rank::reference
