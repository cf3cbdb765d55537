// Peak memory of a part of a program: seen whatever was used and freed before, whatever else is held.
#include "experiments/support/peak_memory.hpp"

#include <cstddef>
#include <cstring>

#include <hocket/core/buffer.hpp>

#include "catch.hpp"

using hocket::buffer;
using hocket::experiments::peak_bytes_of;

#if HOCKET_HAS_PAGE_POOL  // an address sanitizer counts its own memory too

TEST_CASE("the peak of a part of a program is what it needs, whatever was freed before", "[experiments][memory]") {
  const auto use = [](std::size_t bytes) {
    buffer<std::byte> made(bytes);
    std::memset(made.data(), 1, bytes);
  };
  constexpr double mib = 1048576;
  for (const std::size_t before : {0U, 1U, 3U, 5U, 40U, 90U}) {
    buffer<std::byte> held((before + 1) << 19);  // shares its region with what comes
    std::memset(held.data(), 1, (before + 1) << 19);
    use(before << 20);
    for (const std::size_t size : {1U, 3U, 10U, 33U, 70U}) {
      const double peak = peak_bytes_of([&] { use(size << 20); }) / mib, expected = static_cast<double>(size);
      INFO(size << " MiB behind " << before << ": " << peak);
      CHECK(peak > expected - 0.2);
      CHECK(peak < expected + 0.3);
    }
  }
}

#endif
