// Peak memory of a part of a program: seen whatever was used and freed before, whatever else is held.
#include "experiments/support/peak_memory.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include <sched.h>
#include <unistd.h>

#include <hocket/core/buffer.hpp>

#include "catch.hpp"

using hocket::buffer;
using hocket::experiments::peak_bytes_of;

#if HOCKET_HAS_PAGE_POOL  // an address sanitizer counts its own memory too

namespace {

/// Keeps this thread on the processor it is on.
class on_one_processor {
 public:
  on_one_processor() {
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(static_cast<std::size_t>(::sched_getcpu()), &here);
    ::sched_setaffinity(0, sizeof here, &here);
  }
  ~on_one_processor() { ::sched_setaffinity(0, sizeof before_, &before_); }
  on_one_processor(const on_one_processor&) = delete;
  on_one_processor& operator=(const on_one_processor&) = delete;

 private:
  cpu_set_t before_;
};

/// Linux sums up pages once a processor has counted a batch of them (percpu_counter): what a thread on one processor
/// reads before and after may each lack nearly one.
double uncounted_bytes() {
  const auto processors = static_cast<double>(::sysconf(_SC_NPROCESSORS_CONF));
  return 2 * std::max(32.0, 2 * processors) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

TEST_CASE("the peak of a part of a program is what it needs, whatever was freed before", "[experiments][memory]") {
  const auto use = [](std::size_t bytes) {
    buffer<std::byte> made(bytes);
    std::memset(made.data(), 1, bytes);
  };
  constexpr double mib = 1048576;
  const on_one_processor counted;
  const double uncounted = uncounted_bytes() / mib;
  for (const std::size_t before : {0U, 1U, 3U, 5U, 40U, 90U}) {
    buffer<std::byte> held((before + 1) << 19);  // shares its region with what comes
    std::memset(held.data(), 1, (before + 1) << 19);
    use(before << 20);
    for (const std::size_t size : {1U, 3U, 10U, 33U, 70U}) {
      const double peak = peak_bytes_of([&] { use(size << 20); }) / mib, expected = static_cast<double>(size);
      INFO(size << " MiB behind " << before << ": " << peak);
      CHECK(peak > expected - uncounted);
      CHECK(peak < expected + uncounted + 0.1);
    }
  }
}

#endif
