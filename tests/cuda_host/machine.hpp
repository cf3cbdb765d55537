// The tests' device: kernels run on the executor, device memory is guarded memory.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <hocket/core/cuda/launch.cuh>

#include "cuda_host/executor.hpp"
#include "cuda_host/guarded.hpp"

namespace hocket::cuda_host {

class machine : public host_machine {
 public:
  explicit machine(execution how = {}) : how_(how) {}

  void run(const char* kernel, const launch_shape& shape, const std::function<void()>& body) override {
    executor_.launch(kernel, shape, how_, body);
    for (std::size_t i = 0; i < buffers_.size(); ++i)  // a buffer's end and its guard page may be 15 bytes apart
      if (!buffers_[i]->tail_intact())
        throw kernel_error(text("out of bounds: ", kernel, " wrote past the end of ", names_[i]));
  }
  bool owns(const void* p, std::size_t bytes) const override {
    const char* first = static_cast<const char*>(p);
    for (const auto& [begin, size] : owned_)
      if (first >= begin && first + bytes <= begin + size) return true;
    return false;
  }
  cuda_on_host device() { return {this}; }

  /// Device memory, NaN-filled or a copy of host values; lives as long as the machine.
  template <class T>
  T* allocate(std::size_t size, const std::string& name) {
    return reinterpret_cast<T*>(add(size * sizeof(T), name));
  }
  template <class T>
  T* upload(const std::vector<T>& values, const std::string& name) {
    T* const data = allocate<T>(values.size(), name);
    if (!values.empty()) std::memcpy(static_cast<void*>(data), values.data(), values.size() * sizeof(T));
    return data;
  }

  /// From here on all allocations together may hold `bytes`.
  void limit_memory(std::size_t bytes) { limit_ = bytes; }
  /// Bytes allocated now, and the most there ever were.
  std::size_t memory_in_use() const { return in_use_; }
  std::size_t peak_memory() const { return peak_; }

  void* device_allocate(const char* what, std::size_t bytes) override {
    return bytes > limit_ - std::min(limit_, in_use_) ? nullptr : add(bytes, what);
  }
  void device_free(void* p) noexcept override {
    for (std::size_t i = 0; i < owned_.size(); ++i) {
      if (owned_[i].first != p) continue;
      in_use_ -= owned_[i].second;
      owned_.erase(owned_.begin() + static_cast<std::ptrdiff_t>(i));
      buffers_.erase(buffers_.begin() + static_cast<std::ptrdiff_t>(i));
      names_.erase(names_.begin() + static_cast<std::ptrdiff_t>(i));
      return;
    }
    std::fputs("cuda_host: device_free of memory that this machine does not own\n", stderr);
    std::abort();
  }

 private:
  char* add(std::size_t bytes, const std::string& name) {
    buffers_.push_back(std::make_unique<guarded_buffer<char>>(bytes, name));
    owned_.emplace_back(buffers_.back()->data(), bytes);
    names_.push_back(name);
    in_use_ += bytes;
    peak_ = std::max(peak_, in_use_);
    return buffers_.back()->data();
  }

  execution how_;
  executor executor_;
  std::vector<std::unique_ptr<guarded_buffer<char>>> buffers_;
  std::vector<std::pair<const char*, std::size_t>> owned_;  ///< first byte and size, as buffers_
  std::vector<std::string> names_;                          ///< as buffers_
  std::size_t limit_ = std::numeric_limits<std::size_t>::max(), in_use_ = 0, peak_ = 0;
};

/// The orders that every kernel's test runs: results must be the same bits in all of them.
inline std::vector<execution> all_orders() {
  return {{order::ascending, 1}, {order::descending, 1}, {order::random, 1}, {order::random, 2}, {order::random, 3}};
}

}  // namespace hocket::cuda_host
