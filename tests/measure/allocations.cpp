#define HOCKET_COUNT_ALLOCATIONS
#include <memory>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/measure/allocations.hpp>

#include "catch.hpp"

using namespace hocket;

TEST_CASE("every operator new is counted", "[measure][allocations]") {
  std::vector<double> kept(10);
  CHECK(measure::allocations_of([&] { kept[0] = 1; }) == 0);
  CHECK(measure::allocations_of([&] { kept.reserve(kept.capacity() + 1); }) == 1);
  CHECK(measure::allocations_of([&] { const buffer<float> aligned(100); }) == 1);
  const buffer<float> region(1'000'000);  // which the next one finds
  CHECK(measure::allocations_of([&] { const buffer<float> of_large_pages(100'000); }) >= 1);
  CHECK(measure::allocations_of([&] { const auto many = std::make_unique<int[]>(5); }) == 1);
}
