// tensor<T, Rank>: owning, dense, row-major, 64-byte aligned storage with a shape; what a view is a view of.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include <hocket/core/buffer.hpp>
#include <hocket/core/view.hpp>

namespace hocket {

template <class T, std::size_t Rank = 2>
class tensor {
 public:
  tensor() = default;

  /// Zeros. Throws out_of_memory with the number of bytes.
  explicit tensor(const shape<Rank>& extents) : values_(count(extents)), extents_(extents) {}

  /// A copy of `from`, without its padding.
  explicit tensor(const view<const T, Rank>& from) : tensor(from.extents()) { copy(from, as_view()); }

  const shape<Rank>& extents() const { return extents_; }
  std::size_t extent(std::size_t d) const { return extents_[d]; }
  std::size_t size() const { return values_.size(); }
  bool empty() const { return values_.empty(); }
  T* data() { return values_.data(); }
  const T* data() const { return values_.data(); }
  T* begin() { return values_.begin(); }
  T* end() { return values_.end(); }
  const T* begin() const { return values_.begin(); }
  const T* end() const { return values_.end(); }

  view<T, Rank> as_view() { return {values_.data(), extents_}; }
  view<const T, Rank> as_view() const { return {values_.data(), extents_}; }

 private:
  static std::size_t count(const shape<Rank>& extents) {
    std::size_t size = 1;
    for (const std::size_t n : extents) {
      expects(n == 0 || size <= static_cast<std::size_t>(-1) / n, errc::out_of_memory, "a tensor of ", to_text(extents),
              " cannot be addressed");
      size *= n;
    }
    return size;
  }

  static void copy(const view<const T, Rank>& from, const view<T, Rank>& to) {
    if constexpr (Rank == 1) {
      std::copy_n(from.data(), from.size(), to.data());
    } else {
      for (std::size_t i = 0; i < from.extent(0); ++i) tensor<T, Rank - 1>::copy(from[i], to[i]);
    }
  }
  template <class, std::size_t>
  friend class tensor;

  buffer<T> values_;
  shape<Rank> extents_{};
};

}  // namespace hocket
