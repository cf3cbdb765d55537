// One row out of the rows of each item of a ragged batch: their mean, or the first (BERT's [CLS]); from the definition,
// in the next wider type. An item without rows gives zeros.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include <hocket/core/dtype.hpp>
#include <hocket/core/options.hpp>
#include <hocket/core/view.hpp>

namespace hocket::kernels::pooling {

enum class pool { mean, first };

struct shape {
  std::size_t items = 0, rows = 0, columns = 0;  ///< rows of all items together
};

/// Item b has rows starts[b] ... starts[b] + lengths[b] - 1.
struct ragged {
  std::span<const std::uint32_t> starts, lengths;
};

namespace reference {

template <Real T>
using wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

/// y (items, columns) of x (rows, columns).
template <Real T>
void forward(pool kind, const ragged& at, view<const T, 2> x, view<wide<T>, 2> y) {
  for (std::size_t b = 0; b < at.lengths.size(); ++b)
    for (std::size_t c = 0; c < x.extent(1); ++c) {
      y(b, c) = 0;
      const std::size_t count = kind == pool::mean ? at.lengths[b] : (at.lengths[b] > 0 ? 1 : 0);
      for (std::size_t t = 0; t < count; ++t)
        y(b, c) += static_cast<wide<T>>(x(at.starts[b] + t, c)) / static_cast<wide<T>>(count);
    }
}

/// dx (rows, columns) of dy (items, columns).
template <Real T>
void backward(pool kind, const ragged& at, view<const T, 2> dy, view<wide<T>, 2> dx) {
  for (std::size_t b = 0; b < at.lengths.size(); ++b)
    for (std::size_t t = 0; t < at.lengths[b]; ++t)
      for (std::size_t c = 0; c < dy.extent(1); ++c)
        dx(at.starts[b] + t, c) = kind == pool::mean ? static_cast<wide<T>>(dy(b, c)) / at.lengths[b]
                                  : t == 0           ? static_cast<wide<T>>(dy(b, c))
                                                     : wide<T>{0};
}

}  // namespace reference
}  // namespace hocket::kernels::pooling

template <>
struct hocket::enum_names<hocket::kernels::pooling::pool> {
  using enum hocket::kernels::pooling::pool;
  static constexpr std::array values = {std::pair{mean, std::string_view{"mean"}},
                                        std::pair{first, std::string_view{"cls"}}};
};
