// What the CUDA arms of bench/cuda/<op>.cuh share. They are templates on the device: hocket_bench times them on a GPU,
// tests/cuda_gpu checks them at awkward sizes on a GPU and, as the same code, on the host executor.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include <hocket/core/cuda/runtime.hpp>
#include <hocket/core/half.hpp>
#include <hocket/core/tolerance.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/cuda_kernels.hpp"

namespace hocket::bench {

/// Half a unit of T at `value`: what storing a result costs beside the promise in f32. Below f16's normal numbers the
/// unit is 2^-24.
template <class T>
double storage_rounding(double value) {
  if (std::is_same_v<T, float>) return 0;
  return std::is_same_v<T, f16> ? 0x1p-11 * std::abs(value) + 0x1p-25 : 0x1p-8 * std::abs(value);
}

/// `size` standard normal values times `scale`, rounded to T.
template <class T>
std::vector<T> stored_values(std::size_t size, std::uint64_t seed, float scale = 1, float offset = 0) {
  const std::vector<float> exact = normal_values<float>(size, seed);
  std::vector<T> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = from_f32<T>(exact[i] * scale + offset);
  return values;
}

/// The same values in f32, without a rounding.
template <class T>
std::vector<float> widened(const std::vector<T>& x) {
  std::vector<float> wide(x.size());
  std::transform(x.begin(), x.end(), wide.begin(), [](T v) { return to_f32(v); });
  return wide;
}

/// The bytes that device buffers hold, one after the other.
template <class... Buffers>
std::vector<unsigned char> bytes_of(const Buffers&... buffers) {
  std::vector<unsigned char> all;
  const auto add = [&](const auto& buffer) {
    const auto values = buffer.download();
    const auto* const first = reinterpret_cast<const unsigned char*>(values.data());
    all.insert(all.end(), first, first + values.size() * sizeof(values[0]));
  };
  (add(buffers), ...);
  return all;
}

/// Largest |x|; NaN if there is one.
template <class T>
double largest_of(const std::vector<T>& x) {
  double largest = 0;
  for (const T v : x)
    if (const double size = std::abs(to_f64(v)); !(size <= largest)) largest = size;
  return largest;
}

/// Calls run(T{}) with the storage type that the name means.
template <class Run>
ready with_type(std::string_view dtype, Run&& run) {
  if (dtype == "f32" || dtype == "tf32") return run(float{});
  if (dtype == "f16") return run(f16{});
  if (dtype == "bf16") return run(bf16{});
  fail(errc::bad_option, "no CUDA arm stores ", dtype);
}

/// Bytes of second-level cache.
inline std::size_t second_level_bytes(const cuda_on_host&) { return 0; }
#if defined(HOCKET_WITH_CUDA)
inline std::size_t second_level_bytes(const cuda&) {
  int device = 0, bytes = 0;
  check_cuda(cudaGetDevice(&device), "cudaGetDevice");
  check_cuda(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, device), "size of the second-level cache");
  return static_cast<std::size_t>(bytes);
}
#endif

/// Memory of twice the second-level cache, one for all arms of a device that live.
template <CudaDevice Device>
std::shared_ptr<device_buffer<unsigned char, Device>> cache_flush(const Device& device) {
  static std::mutex one_at_a_time;
  static std::weak_ptr<device_buffer<unsigned char, Device>> shared;
  const std::lock_guard lock(one_at_a_time);
  auto flush = shared.lock();
  if (!flush) {
    flush = std::make_shared<device_buffer<unsigned char, Device>>(device, "bench: cache flush",
                                                                   2 * second_level_bytes(device));
    shared = flush;
  }
  return flush;
}

/// Seconds of one run by events, after memory of twice the second-level cache was written: every run finds its inputs
/// in memory, none in a cache.
template <CudaDevice Device>
std::function<double()> timed_on(const Device& device, std::function<void()> run) {
  struct clock {
    explicit clock(const Device& on) : device(on), start(on), stop(on), flushed(cache_flush(on)) {}
    Device device;
    device_event<Device> start, stop;
    std::shared_ptr<device_buffer<unsigned char, Device>> flushed;
  };
  const auto by = std::make_shared<clock>(device);
  return [by, run = std::move(run)] {
    by->flushed->fill_zero();
    by->start.record(by->device);
    run();
    by->stop.record(by->device);
    by->stop.wait();
    return static_cast<double>(by->stop.milliseconds_since(by->start)) / 1000;
  };
}

}  // namespace hocket::bench
