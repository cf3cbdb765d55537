// view<T, Rank>: a pointer with its shape. Row-major; the innermost dimension is contiguous, outer dimensions may be
// padded (a row of a larger matrix, a misaligned slice). Views never own and never allocate. They stay on the host: a
// CUDA launcher validates views and hands the kernel pointers and sizes.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

#include <hocket/core/config.hpp>
#include <hocket/core/error.hpp>

namespace hocket {

template <std::size_t Rank>
using shape = std::array<std::size_t, Rank>;

/// `data` addresses element (0, ..., 0); element (i, j) of a matrix lies at data[i * stride(0) + j].
template <class T, std::size_t Rank>
class view {
  static_assert(Rank >= 1, "a view has at least one dimension");

 public:
  using value_type = std::remove_cv_t<T>;

  constexpr view() = default;

  /// A dense view: every row follows the one before.
  constexpr view(T* data, const shape<Rank>& extents) : data_(data), extents_(extents) {
    std::size_t step = 1;
    for (std::size_t d = Rank; d-- > 0;) {
      strides_[d] = step;
      step *= extents_[d];
    }
  }

  /// A view with padded outer dimensions; `strides[Rank - 1]` is 1.
  constexpr view(T* data, const shape<Rank>& extents, const shape<Rank>& strides)
      : data_(data), extents_(extents), strides_(strides) {}

  /// view<T> converts to view<const T>.
  template <class U>
  requires(std::is_same_v<const U, T>) constexpr view(const view<U, Rank>& other)
      : data_(other.data()), extents_(other.extents()), strides_(other.strides()) {}

  constexpr T* data() const { return data_; }
  constexpr const shape<Rank>& extents() const { return extents_; }
  constexpr const shape<Rank>& strides() const { return strides_; }
  constexpr std::size_t extent(std::size_t d) const { return extents_[d]; }
  constexpr std::size_t stride(std::size_t d) const { return strides_[d]; }

  /// Number of elements.
  constexpr std::size_t size() const {
    std::size_t n = 1;
    for (std::size_t d = 0; d < Rank; ++d) n *= extents_[d];
    return n;
  }
  constexpr bool empty() const { return size() == 0; }

  /// Whether all elements lie in one run without padding.
  constexpr bool dense() const {
    std::size_t step = 1;
    for (std::size_t d = Rank; d-- > 0;) {
      if (extents_[d] > 1 && strides_[d] != step) return false;
      step *= extents_[d];
    }
    return true;
  }

  template <class... Index>
  requires(sizeof...(Index) == Rank) constexpr T& operator()(Index... index) const {
    const std::size_t at[Rank] = {static_cast<std::size_t>(index)...};
    std::size_t offset = 0;
    for (std::size_t d = 0; d < Rank; ++d) offset += at[d] * strides_[d];
    return data_[offset];
  }

  /// Row i: one dimension fewer, or the element itself for a vector.
  constexpr decltype(auto) operator[](std::size_t i) const {
    if constexpr (Rank == 1) {
      return (data_[i]);
    } else {
      shape<Rank - 1> extents{}, strides{};
      for (std::size_t d = 1; d < Rank; ++d) {
        extents[d - 1] = extents_[d];
        strides[d - 1] = strides_[d];
      }
      return view<T, Rank - 1>(data_ + i * strides_[0], extents, strides);
    }
  }

  /// Rows first .. first + count of the outermost dimension.
  constexpr view rows(std::size_t first, std::size_t count) const {
    shape<Rank> extents = extents_;
    extents[0] = count;
    return view(data_ + first * strides_[0], extents, strides_);
  }

  constexpr T* begin() const requires(Rank == 1) { return data_; }
  constexpr T* end() const requires(Rank == 1) { return data_ + extents_[0]; }
  constexpr std::span<T> as_span() const requires(Rank == 1) { return {data_, extents_[0]}; }

 private:
  T* data_ = nullptr;
  shape<Rank> extents_{};
  shape<Rank> strides_{};
};

template <class T>
using vector_view = view<T, 1>;
template <class T>
using matrix_view = view<T, 2>;  // (rows, columns)

/// Views over a standard container; the container must outlive the view.
template <class T>
view<T, 1> make_view(std::vector<T>& v) {
  return {v.data(), {v.size()}};
}
template <class T>
view<const T, 1> make_view(const std::vector<T>& v) {
  return {v.data(), {v.size()}};
}
template <class T>
view<T, 2> make_view(std::vector<T>& v, std::size_t rows, std::size_t columns) {
  expects(v.size() >= rows * columns, errc::unsupported_shape, "make_view: ", rows, " x ", columns, " needs ",
          rows * columns, " elements, the vector has ", v.size());
  return {v.data(), {rows, columns}};
}
template <class T>
view<const T, 2> make_view(const std::vector<T>& v, std::size_t rows, std::size_t columns) {
  expects(v.size() >= rows * columns, errc::unsupported_shape, "make_view: ", rows, " x ", columns, " needs ",
          rows * columns, " elements, the vector has ", v.size());
  return {v.data(), {rows, columns}};
}

/// "3 x 4": for messages.
template <std::size_t Rank>
std::string to_text(const shape<Rank>& extents) {
  std::string out;
  for (std::size_t d = 0; d < Rank; ++d) out += text(d ? " x " : "", extents[d]);
  return out;
}

}  // namespace hocket
