// Work on the host before anything is timed: inputs and references of many arms, on all processors.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace hocket::bench {

/// work(i) for every i below `count`, in no order, on all processors. work does not throw.
template <class Work>
void side_by_side(std::size_t count, const Work& work) {
  std::atomic<std::size_t> next = 0;
  std::vector<std::jthread> threads;
  const std::size_t most = std::max<std::size_t>(1, std::min<std::size_t>(std::thread::hardware_concurrency(), count));
  for (std::size_t t = 0; t < most; ++t)
    threads.emplace_back([&] {
      for (std::size_t i = next++; i < count; i = next++) work(i);
    });
}

}  // namespace hocket::bench
