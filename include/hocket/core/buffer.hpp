// buffer<T>: owning, 64-byte aligned storage of trivial elements. It is what plans and workspaces allocate.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <type_traits>
#include <utility>

#include <hocket/core/config.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/huge_pages.hpp>
#include <hocket/core/view.hpp>

namespace hocket {

template <class T>
class buffer {
  static_assert(std::is_trivially_copyable_v<T>, "a buffer holds trivial elements");

 public:
  buffer() = default;

  /// `size` elements, all zero. Throws out_of_memory with the number of bytes.
  explicit buffer(std::size_t size) : size_(size) {
    if (size == 0) return;
    expects(size <= std::numeric_limits<std::size_t>::max() / 2 / sizeof(T), errc::out_of_memory, "a buffer of ", size,
            " elements of ", sizeof(T), " bytes cannot be addressed");
    data_ = static_cast<T*>(take(size * sizeof(T)));
    expects(data_ != nullptr, errc::out_of_memory, "cannot allocate ", size * sizeof(T), " bytes");
    std::fill_n(data_, size, T{});
  }
  buffer(const buffer& other) : buffer(other.size_) { std::copy_n(other.data_, size_, data_); }
  buffer(buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  buffer& operator=(buffer other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~buffer() {
    if (data_) give_back(data_, size_ * sizeof(T));
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }

  view<T, 1> as_view() { return {data_, {size_}}; }
  view<const T, 1> as_view() const { return {data_, {size_}}; }
  /// The first rows * columns elements as a dense matrix.
  view<T, 2> as_matrix(std::size_t rows, std::size_t columns) {
    expects(rows * columns <= size_, errc::unsupported_shape, rows, " x ", columns, " does not fit ", size_,
            " elements");
    return {data_, {rows, columns}};
  }
  view<const T, 2> as_matrix(std::size_t rows, std::size_t columns) const {
    expects(rows * columns <= size_, errc::unsupported_shape, rows, " x ", columns, " does not fit ", size_,
            " elements");
    return {data_, {rows, columns}};
  }

 private:
  static void* take(std::size_t bytes) noexcept {
#if HOCKET_HAS_PAGE_POOL
    if (bytes >= detail::page_pool::smallest) return detail::page_pool::common().take(bytes);
#endif
    return ::operator new (bytes, std::align_val_t{alignment}, std::nothrow);
  }
  static void give_back(void* data, [[maybe_unused]] std::size_t bytes) noexcept {
#if HOCKET_HAS_PAGE_POOL
    if (bytes >= detail::page_pool::smallest) return detail::page_pool::give_back(data);
#endif
    ::operator delete (data, std::align_val_t{alignment});
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace hocket
