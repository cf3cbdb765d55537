// The tests' device: kernels run on the executor, device memory is guarded memory.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <vector>

#include <hocket/core/cuda/launch.cuh>

#include "cuda_host/executor.hpp"
#include "cuda_host/guarded.hpp"

namespace hocket::cuda_host {

class machine final : public host_machine {
 public:
  explicit machine(execution how = {}) : how_(how) {}

  void run(const char* kernel, const launch_shape& shape, const std::function<void()>& body) override {
    executor_.launch(kernel, shape, how_, body);
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
    auto made = std::make_shared<guarded_buffer<T>>(size, name);
    owned_.emplace_back(reinterpret_cast<const char*>(made->data()), size * sizeof(T));
    T* const data = made->data();
    buffers_.push_back(std::move(made));
    return data;
  }
  template <class T>
  T* upload(const std::vector<T>& values, const std::string& name) {
    T* const data = allocate<T>(values.size(), name);
    if (!values.empty()) std::memcpy(static_cast<void*>(data), values.data(), values.size() * sizeof(T));
    return data;
  }

 private:
  execution how_;
  executor executor_;
  std::vector<std::shared_ptr<void>> buffers_;
  std::vector<std::pair<const char*, std::size_t>> owned_;
};

/// The orders that every kernel's test runs: results must be the same bits in all of them.
inline std::vector<execution> all_orders() {
  return {{order::ascending, 1}, {order::descending, 1}, {order::random, 1}, {order::random, 2}, {order::random, 3}};
}

}  // namespace hocket::cuda_host
