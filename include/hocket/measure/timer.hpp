// Wall time from the steady clock, in nanoseconds.
#pragma once

#include <chrono>

namespace hocket::measure {

class timer {
 public:
  double ns() const {
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start_).count();
  }
  void restart() { start_ = std::chrono::steady_clock::now(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Makes the compiler assume that `value` is read: keeps a timed result from being optimised away.
template <class T>
inline void keep(const T& value) {
#if defined(__GNUC__)
  asm volatile("" : : "g"(&value) : "memory");
#else
  static volatile const void* sink;
  sink = &value;
#endif
}

}  // namespace hocket::measure
