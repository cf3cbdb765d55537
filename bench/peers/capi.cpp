// libhocket_capi: the parts of every comparison that do not depend on what is compared: running a handle, the canary.
#include "capi.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include <pthread.h>

#include <hocket/core/config.hpp>

namespace {

using hocket::capi::last_error;
using hocket::capi::runnable;

/// Two threads, each pinned to its processor, meet at a spinning barrier `meetings` times and do the same short
/// dependent arithmetic in between. When the host runs both processors on one core, or takes time away, this takes a
/// multiple.
double canary_ns(int first_cpu, int second_cpu) {
  constexpr int meetings = 40;
  constexpr int work = 3000;  // multiply-adds in a chain between two meetings: about 10 us
  static volatile double unknown_to_the_compiler = 0.5;
  const double start = unknown_to_the_compiler;
  std::atomic<int> arrived{0};
  std::array<double, 2> sink{};
  std::array<std::chrono::steady_clock::time_point, 2> begin, end;
  const auto body = [&](std::size_t who, int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(processor), &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    double value = start;
    for (int meeting = 0; meeting <= meetings; ++meeting) {
      arrived.fetch_add(1, std::memory_order_acq_rel);
      while (arrived.load(std::memory_order_acquire) < 2 * (meeting + 1)) {
      }
      if (meeting == 0) begin[who] = std::chrono::steady_clock::now();
      for (int i = 0; i < work; ++i) value = value * 0.999999 + 1e-6;
    }
    end[who] = std::chrono::steady_clock::now();
    sink[who] = value;
  };
  std::thread other(body, std::size_t{1}, second_cpu);
  std::thread one(body, std::size_t{0}, first_cpu);
  one.join();
  other.join();
  if (sink[0] != sink[1]) return -1;
  const auto longest = std::max(end[0] - begin[0], end[1] - begin[1]);
  return static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(longest).count());
}

}  // namespace

HOCKET_CAPI const char* hocket_version() { return hocket::version; }

HOCKET_CAPI const char* hocket_last_error() { return last_error().c_str(); }

HOCKET_CAPI double hocket_canary_ns(int first_cpu, int second_cpu) { return canary_ns(first_cpu, second_cpu); }

HOCKET_CAPI std::size_t hocket_rows(const void* handle) { return static_cast<const runnable*>(handle)->rows; }

HOCKET_CAPI std::size_t hocket_columns(const void* handle) { return static_cast<const runnable*>(handle)->columns; }

/// 0, or 1 with hocket_last_error().
HOCKET_CAPI int hocket_run(void* handle, const float* input, float* output) {
  try {
    static_cast<runnable*>(handle)->run(input, output);
    return 0;
  } catch (const std::exception& failure) {
    last_error() = failure.what();
    return 1;
  }
}

HOCKET_CAPI void hocket_free(void* handle) { delete static_cast<runnable*>(handle); }
