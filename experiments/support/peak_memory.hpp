// Peak memory of a part of a program, by Linux: the high-water mark of the resident set, which can be set back.
#pragma once

#include <cstddef>
#include <cstdio>
#include <fstream>
#include <limits>
#include <string>

#include <malloc.h>
#include <sys/prctl.h>

#include <hocket/core/error.hpp>
#include <hocket/core/huge_pages.hpp>

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

/// While it lives the system gives this process no more large pages: what is resident is counted in small ones.
class small_pages {
 public:
  small_pages() { ::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); }
  ~small_pages() { ::prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0); }
  small_pages(const small_pages&) = delete;
  small_pages& operator=(const small_pages&) = delete;
};

/// Bytes that body() needs at its peak beyond what was resident before, in small pages: with large ones every region of
/// buffers takes up to 2 MiB more. What it makes it must also free. Linux counts pages in batches: a few hundred KiB
/// may be missing.
template <class Body>
double peak_bytes_of(Body&& body) {
  const small_pages counted;
  malloc_trim(0);  // what was freed must not hide what is asked for
  trim_buffers();
  std::ofstream("/proc/self/clear_refs") << "5";  // the mark is now what is resident
  const double before = detail::status_bytes("VmRSS");
  body();
  return detail::status_bytes("VmHWM") - before;
}

}  // namespace hocket::experiments
