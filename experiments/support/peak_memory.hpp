// Peak memory of a part of a program, by Linux: the high-water mark of the resident set, which can be set back.
#pragma once

#include <cstddef>
#include <cstdio>
#include <fstream>
#include <limits>
#include <string>

#include <malloc.h>

#include <hocket/core/error.hpp>

namespace hocket::experiments {

namespace detail {

/// A line of /proc/self/status in bytes.
inline double status_bytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string key; status >> key;) {
    double kib = 0;
    if (key == name + ":" && status >> kib) return kib * 1024;
    status.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  fail(errc::not_built, "/proc/self/status has no ", name, ": peak memory is not measured on this system");
}

}  // namespace detail

/// Bytes that body() needs at its peak beyond what was resident before. What it makes it must also free.
template <class Body>
double peak_bytes_of(Body&& body) {
  malloc_trim(0);                                 // what was freed must not hide what is asked for
  std::ofstream("/proc/self/clear_refs") << "5";  // the mark is now what is resident
  const double before = detail::status_bytes("VmRSS");
  body();
  return detail::status_bytes("VmHWM") - before;
}

}  // namespace hocket::experiments
