#include <atomic>
#include <stdexcept>
#include <vector>

#include <hocket/core/parallel.hpp>

#include "catch.hpp"

using namespace hocket;

TEST_CASE("every tile runs once, on a worker in range", "[core][parallel]") {
  for (const int threads : {1, 2, 3, 8})
    for (const std::size_t tiles : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{17}})
      for (const bool dynamic : {false, true}) {
        std::vector<std::atomic<int>> runs(tiles);
        std::atomic<bool> in_range{true};
        for_each_tile(
            cpu{threads}, tiles,
            [&](std::size_t tile, std::size_t worker) {
              ++runs[tile];
              if (worker >= static_cast<std::size_t>(threads)) in_range = false;
            },
            dynamic);
        for (const auto& count : runs) CHECK(count == 1);
        CHECK(in_range);
      }
}

TEST_CASE("an exception of a tile reaches the caller", "[core][parallel]") {
  for (const int threads : {1, 2})
    CHECK_THROWS_AS(for_each_tile(cpu{threads}, 10,
                                  [](std::size_t tile, std::size_t) {
                                    if (tile == 7) throw std::runtime_error("tile 7");
                                  }),
                    std::runtime_error);
}

TEST_CASE("nested calls run on one thread", "[core][parallel]") {
  std::atomic<int> inner{0};
  std::atomic<bool> single{true};
  for_each_tile(cpu{2}, 4, [&](std::size_t, std::size_t) {
    for_each_tile(cpu{2}, 4, [&](std::size_t, std::size_t worker) {
      ++inner;
      if (worker != 0) single = false;
    });
  });
  CHECK(inner == 16);
  if (available_threads() > 1) CHECK(single);
}

TEST_CASE("devices are refused by name", "[core][device]") {
  CHECK_THROWS_AS(require_threads(cpu{0}), error);
  CHECK_THROWS_AS(require_threads(cpu{most_threads + 1}), error);
  CHECK_NOTHROW(require_threads(cpu{most_threads}));
  CHECK_NOTHROW(require_backend(backend::cpu));
  try {
    require_backend(backend::cuda);
    FAIL("a CUDA device was accepted");
  } catch (const error& e) {
    CHECK(e.kind() == (cuda_built ? errc::no_device : errc::not_built));
  }
}
