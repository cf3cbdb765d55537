#include <algorithm>
#include <numeric>
#include <vector>

#include <hocket/core/rng.hpp>

#include "catch.hpp"

using namespace hocket;

// Known answers published with the reference implementation of the SC 2011 paper (Random123, kat_vectors).
TEST_CASE("philox4x32-10 gives the published vectors", "[core][rng]") {
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) ==
        std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("sequential and random access agree", "[core][rng]") {
  philox r(7, 3);
  for (std::uint64_t i = 0; i < 100; ++i) CHECK(r.next_bits() == philox(7, 3).bits_at(i));
  philox again(7, 3);
  again.seek(57);
  CHECK(again.next_bits() == philox(7, 3).bits_at(57));
  CHECK(philox(7, 3).bits_at(0) != philox(7, 4).bits_at(0));
  CHECK(philox(7, 3).bits_at(0) != philox(8, 3).bits_at(0));
}

TEST_CASE("moments of the draws lie within five standard errors", "[core][rng]") {
  constexpr int n = 200000;
  philox r(11);
  double sum = 0, square = 0, normal = 0, normal_square = 0;
  for (int i = 0; i < n; ++i) {
    const double u = r.next_uniform();
    REQUIRE(u >= 0);
    REQUIRE(u < 1);
    sum += u;
    square += u * u;
    const double z = r.next_normal();
    normal += z;
    normal_square += z * z;
  }
  CHECK(std::abs(sum / n - 0.5) < 5 * std::sqrt(1.0 / 12 / n));
  CHECK(std::abs(square / n - 1.0 / 3) < 5 * std::sqrt(4.0 / 45 / n));
  CHECK(std::abs(normal / n) < 5 / std::sqrt(n));
  CHECK(std::abs(normal_square / n - 1) < 5 * std::sqrt(2.0 / n));
}

TEST_CASE("bounded draws are unbiased and a shuffle is a permutation", "[core][rng]") {
  philox r(3);
  std::array<int, 7> counts{};
  constexpr int n = 70000;
  for (int i = 0; i < n; ++i) ++counts[static_cast<std::size_t>(r.next_below(7))];
  double chi_square = 0;
  for (const int c : counts) chi_square += (c - n / 7.0) * (c - n / 7.0) / (n / 7.0);
  CHECK(chi_square < 33.1);  // the 1 - 1e-5 quantile of chi-square with 6 degrees of freedom
  std::vector<int> deck(52), sorted(52);
  std::iota(deck.begin(), deck.end(), 0);
  r.shuffle(deck);
  sorted = deck;
  std::sort(sorted.begin(), sorted.end());
  CHECK_FALSE(std::is_sorted(deck.begin(), deck.end()));
  for (int i = 0; i < 52; ++i) CHECK(sorted[static_cast<std::size_t>(i)] == i);
}
