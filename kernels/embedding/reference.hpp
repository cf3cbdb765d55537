// A sum of table rows by index, and its gradient, from their definitions in the next wider type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include <hocket/core/dtype.hpp>
#include <hocket/core/view.hpp>

namespace hocket::kernels::embedding {

/// One table and the row that each row of the output takes from it; every id is below the table's number of rows.
template <Real T>
struct lookup {
  view<const T, 2> table;
  std::span<const std::uint32_t> ids;
};

struct shape {
  std::size_t rows = 0, columns = 0, tables = 0;
};

namespace reference {

template <Real T>
using wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

/// y[r] = sum over tables of table[ids[r]].
template <Real T>
void forward(std::span<const lookup<T>> tables, view<wide<T>, 2> y) {
  for (std::size_t r = 0; r < y.extent(0); ++r)
    for (std::size_t c = 0; c < y.extent(1); ++c) {
      y(r, c) = 0;
      for (const auto& each : tables) y(r, c) += static_cast<wide<T>>(each.table(each.ids[r], c));
    }
}

/// dtable[ids[r]] += dy[r].
template <Real T>
void backward(view<const T, 2> dy, std::span<const std::uint32_t> ids, view<wide<T>, 2> dtable) {
  for (std::size_t r = 0; r < dy.extent(0); ++r)
    for (std::size_t c = 0; c < dy.extent(1); ++c) dtable(ids[r], c) += static_cast<wide<T>>(dy(r, c));
}

}  // namespace reference
}  // namespace hocket::kernels::embedding
