// The canary: two threads hand a token back and forth. When both run on cores of their own an exchange takes some
// hundred nanoseconds; when a slow phase of the machine makes them share one core's time it takes many times that,
// although a single thread would notice nothing. A round of measurements whose canary was slow is dropped
// (sampler.hpp).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <limits>
#include <thread>

#include <hocket/measure/machine.hpp>
#include <hocket/measure/timer.hpp>

namespace hocket::measure {

/// Nanoseconds per exchange, the best of five short runs; about 0.2 ms when all is well, at most about 50 ms otherwise.
/// On a single core: nanoseconds per step of a fixed arithmetic loop.
inline double canary_ns() {
  constexpr int runs = 5, exchanges = 200;
  constexpr double patience_ns = 10e6;  // of one run: a slow phase shows at once
  double best = std::numeric_limits<double>::infinity();
  if (usable_cores() < 2) {
    for (int run = 0; run < runs; ++run) {
      const timer clock;
      unsigned state = 1;
      for (int i = 0; i < 100 * exchanges; ++i) {
        state = state * 1664525u + 1013904223u;
        keep(state);
      }
      best = std::min(best, clock.ns() / (100 * exchanges));
    }
    return best;
  }
  // token: even while it is this thread's turn, odd while it is the partner's; -1 ends.
  alignas(64) std::atomic<int> token{0};
  std::thread partner([&] {
    for (int turn = 1;; turn += 2) {
      int seen;
      while ((seen = token.load(std::memory_order_acquire)) != turn)
        if (seen < 0) return;
      token.store(turn + 1, std::memory_order_release);
    }
  });
  int turn = 0;
  const auto exchange = [&] {
    token.store(turn + 1, std::memory_order_release);
    turn += 2;
    while (token.load(std::memory_order_acquire) != turn) {
    }
  };
  exchange();  // the partner has started
  for (int run = 0; run < runs; ++run) {
    const timer clock;
    int done = 0;
    while (done < exchanges && clock.ns() < patience_ns) {
      exchange();
      ++done;
    }
    best = std::min(best, clock.ns() / done);
  }
  token.store(-1, std::memory_order_release);
  partner.join();
  return best;
}

}  // namespace hocket::measure
