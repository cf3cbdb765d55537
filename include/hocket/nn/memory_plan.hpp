// Where buffers with known lifetimes lie in one arena. Placing intervals so that the arena is smallest is NP-hard
// (dynamic storage allocation); largest first into the lowest gap that is free for the whole lifetime comes within a
// few percent of the bound, which is the largest sum of sizes alive at one step. (Pisarchyk, Lee, "Efficient memory
// management for deep neural net inference", 2020, "greedy by size".)
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

#include <hocket/core/config.hpp>

namespace hocket::nn {

/// Steps [first, last], both included.
struct lifetime {
  std::size_t first, last;
};

struct planned_buffer {
  std::size_t bytes = 0;
  std::vector<lifetime> alive;
  std::size_t offset = 0;  ///< bytes, a multiple of hocket::alignment; set by plan_memory
};

inline bool overlap(const planned_buffer& a, const planned_buffer& b) {
  for (const lifetime& x : a.alive)
    for (const lifetime& y : b.alive)
      if (x.first <= y.last && y.first <= x.last) return true;
  return false;
}

/// Sets the offsets; returns the size of the arena in bytes.
inline std::size_t plan_memory(std::vector<planned_buffer>& buffers) {
  std::vector<std::size_t> order(buffers.size()), placed;
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  const auto rounded = [](std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; };
  std::size_t total = 0;
  for (const std::size_t each : order) {
    std::vector<std::size_t> rivals;  // buffers in the way, by offset
    for (const std::size_t other : placed)
      if (overlap(buffers[each], buffers[other])) rivals.push_back(other);
    std::sort(rivals.begin(), rivals.end(),
              [&](std::size_t a, std::size_t b) { return buffers[a].offset < buffers[b].offset; });
    const std::size_t size = rounded(buffers[each].bytes);
    std::size_t at = 0;
    for (const std::size_t other : rivals) {
      if (at + size <= buffers[other].offset) break;
      at = std::max(at, buffers[other].offset + rounded(buffers[other].bytes));
    }
    buffers[each].offset = at;
    total = std::max(total, at + size);
    placed.push_back(each);
  }
  return total;
}

/// Bytes alive at a step: the least that any plan needs is the maximum of this over all steps.
inline std::size_t bytes_alive(const std::vector<planned_buffer>& buffers, std::size_t step) {
  std::size_t sum = 0;
  for (const auto& each : buffers)
    for (const lifetime& life : each.alive)
      if (life.first <= step && step <= life.last) {
        sum += each.bytes;
        break;
      }
  return sum;
}

}  // namespace hocket::nn
