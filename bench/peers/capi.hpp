// What the C functions of libhocket_capi share: a runnable object behind an opaque handle, and errors as text.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace hocket::capi {

/// One prepared computation: everything that may allocate has happened when it exists.
struct runnable {
  std::size_t rows = 0, columns = 0;  ///< shape of the output, C order; elements are f32, or pairs of f32 when complex
  virtual ~runnable() = default;
  virtual void run(const float* input, float* output) = 0;
};

/// The text of the calling thread's last failure.
inline std::string& last_error() {
  thread_local std::string message;
  return message;
}

/// Hands `make()`'s object out as a handle; null and last_error() when it throws.
template <class Make>
void* guarded(Make&& make) noexcept {
  try {
    last_error().clear();
    std::unique_ptr<runnable> made = std::forward<Make>(make)();
    return made.release();
  } catch (const std::exception& failure) {
    last_error() = failure.what();
  } catch (...) {
    last_error() = "unknown failure";
  }
  return nullptr;
}

}  // namespace hocket::capi

#define HOCKET_CAPI extern "C" __attribute__((visibility("default")))
