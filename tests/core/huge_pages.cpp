#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include <hocket/core/buffer.hpp>

#include "catch.hpp"

using namespace hocket;

#if HOCKET_HAS_PAGE_POOL

namespace {

using detail::page_pool;

struct taken {
  std::uint8_t* data;
  std::size_t bytes;
  std::uint8_t mark;
};

taken fill(page_pool& pool, std::size_t bytes, std::uint8_t mark) {
  auto* const data = static_cast<std::uint8_t*>(pool.take(bytes));
  REQUIRE(data != nullptr);
  REQUIRE(reinterpret_cast<std::uintptr_t>(data) % alignment == 0);
  std::memset(data, mark, bytes);
  return {data, bytes, mark};
}
bool untouched(const taken& x) {
  return std::all_of(x.data, x.data + x.bytes, [&](std::uint8_t byte) { return byte == x.mark; });
}

/// Takes and gives back pieces of all sizes in a random order; no piece may lie over another.
void churn(page_pool& pool, std::uint32_t seed, int steps) {
  std::mt19937 random(seed);
  std::vector<taken> held;
  bool right = true;
  for (int i = 0; i < steps; ++i) {
    if (held.size() < 40 && random() % 3 != 0) {
      const std::size_t bytes = page_pool::smallest + random() % (random() % 8 == 0 ? 3'000'000 : 100'000);
      held.push_back(fill(pool, bytes, static_cast<std::uint8_t>(random())));
    } else if (!held.empty()) {
      std::swap(held[random() % held.size()], held.back());
      right = right && untouched(held.back());
      page_pool::give_back(held.back().data);
      held.pop_back();
    }
  }
  for (const taken& each : held) {
    right = right && untouched(each);
    page_pool::give_back(each.data);
  }
  CHECK(right);
}

}  // namespace

TEST_CASE("a pool's pieces do not lie over each other, and what is given back joins again", "[core][huge_pages]") {
  page_pool pool;
  churn(pool, 1, 400);
  CHECK(pool.mapped() <= page_pool::region_bytes);  // one empty region waits for the next
  // It is one piece again: nearly all of it fits.
  const std::size_t before = pool.mapped();
  const taken all = fill(pool, page_pool::region_bytes - alignment, 7);
  CHECK(pool.mapped() == std::max(before, page_pool::region_bytes));
  page_pool::give_back(all.data);
}

TEST_CASE("a pool goes back to the system where it is larger than one usual region", "[core][huge_pages]") {
  page_pool pool;
  const taken small = fill(pool, 100'000, 1), large = fill(pool, 3 * page_pool::region_bytes + 1, 2);
  CHECK(pool.mapped() > 4 * page_pool::region_bytes);
  CHECK((untouched(small) && untouched(large)));
  page_pool::give_back(large.data);
  CHECK(pool.mapped() == page_pool::region_bytes);
  page_pool::give_back(small.data);
  CHECK(pool.mapped() == page_pool::region_bytes);
}

TEST_CASE("a pool that is trimmed keeps what is used, and nothing else is resident", "[core][huge_pages]") {
  page_pool pool;
  const taken below = fill(pool, 5'000'001, 1), middle = fill(pool, 7'000'003, 2), above = fill(pool, 100'000, 3);
  page_pool::give_back(middle.data);
  pool.trim();
  CHECK(pool.mapped() == page_pool::region_bytes);
  CHECK((untouched(below) && untouched(above)));
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = (reinterpret_cast<std::uintptr_t>(middle.data) + page - 1) / page * page;
  std::vector<unsigned char> resident((middle.bytes - page) / page);
  REQUIRE(::mincore(reinterpret_cast<void*>(first), resident.size() * page, resident.data()) == 0);
  CHECK(std::none_of(resident.begin(), resident.end(), [](unsigned char each) { return (each & 1) != 0; }));
  const taken again = fill(pool, 7'000'003, 4);
  CHECK((untouched(below) && untouched(above) && untouched(again)));
  for (const taken& each : {below, above, again}) page_pool::give_back(each.data);
  CHECK(pool.mapped() == page_pool::region_bytes);
  pool.trim();
  CHECK(pool.mapped() == 0);
  churn(pool, 3, 50);
}

TEST_CASE("a pool without memory gives null and stays whole", "[core][huge_pages]") {
  page_pool pool;
  CHECK(pool.take(std::size_t{1} << 60) == nullptr);
  CHECK(pool.mapped() == 0);
  churn(pool, 2, 50);
}

TEST_CASE("threads share a pool, and a piece finds its own from any other", "[core][huge_pages]") {
  page_pool pool;
  std::vector<void*> made(8);
  {
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < made.size(); ++t)
      threads.emplace_back([&pool, &made, t] {
        std::mt19937 random(static_cast<std::uint32_t>(t));
        for (int i = 0; i < 100; ++i) page_pool::give_back(pool.take(page_pool::smallest + random() % 500'000));
        made[t] = pool.take(page_pool::smallest);
      });
    for (auto& each : threads) each.join();
  }
  for (void* const each : made) {
    REQUIRE(each != nullptr);
    page_pool::give_back(each);
  }
  CHECK(pool.mapped() <= page_pool::region_bytes);
}

#endif

TEST_CASE("buffers on both sides of the pool's smallest piece are zero, aligned and moved whole",
          "[core][huge_pages]") {
  for (const std::size_t size : {1UL, 8191UL, 8192UL, 8193UL, 600'000UL, 9'000'001UL}) {
    INFO(size);
    buffer<float> x(size);
    CHECK(reinterpret_cast<std::uintptr_t>(x.data()) % alignment == 0);
    CHECK(std::all_of(x.begin(), x.end(), [](float v) { return v == 0; }));
    std::fill(x.begin(), x.end(), 3.0F);
    buffer<float> copy = x, moved = std::move(x);
    x = buffer<float>(size);  // may lie where something lay before
    CHECK(std::all_of(x.begin(), x.end(), [](float v) { return v == 0; }));
    CHECK(std::equal(copy.begin(), copy.end(), moved.begin()));
    CHECK(std::all_of(moved.begin(), moved.end(), [](float v) { return v == 3; }));
  }
}
