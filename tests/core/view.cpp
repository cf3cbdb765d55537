#include <numeric>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/core/view.hpp>

#include "catch.hpp"

using namespace hocket;

TEST_CASE("a dense view addresses row-major elements", "[core][view]") {
  std::vector<int> data(24);
  std::iota(data.begin(), data.end(), 0);
  const view<int, 3> v(data.data(), {2, 3, 4});
  CHECK(v.size() == 24);
  CHECK(v.dense());
  CHECK(v(1, 2, 3) == 23);
  CHECK(v[1][2][3] == 23);
  CHECK(v[1].extents() == shape<2>{3, 4});
  v(0, 1, 2) = -1;
  CHECK(data[6] == -1);
}

TEST_CASE("a padded view skips the padding", "[core][view]") {
  std::vector<int> data(15);
  std::iota(data.begin(), data.end(), 0);
  const view<int, 2> v(data.data() + 1, {3, 4}, {5, 1});
  CHECK_FALSE(v.dense());
  CHECK(v(2, 3) == 14);
  CHECK(v.rows(1, 2)(0, 0) == 6);
  CHECK(v.rows(1, 2).extent(0) == 2);
  const view<const int, 2> readable = v;
  CHECK(readable(2, 3) == 14);
}

TEST_CASE("views of nothing are empty and dense", "[core][view]") {
  const view<double, 2> none(nullptr, {0, 7});
  CHECK(none.empty());
  CHECK(none.dense());
  CHECK(to_text(none.extents()) == "0 x 7");
}

TEST_CASE("make_view refuses a vector that is too short", "[core][view]") {
  std::vector<float> five(5);
  CHECK_THROWS_AS(make_view(five, 2, 3), error);
  CHECK_NOTHROW(make_view(five, 1, 5));
}

TEST_CASE("a buffer is aligned, zeroed, copied and moved", "[core][buffer]") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{17}, std::size_t{4096}}) {
    buffer<float> a(size);
    CHECK(reinterpret_cast<std::uintptr_t>(a.data()) % alignment == 0);
    for (const float x : a) CHECK(x == 0.0f);
    if (size) a[size - 1] = 3;
    buffer<float> b = a;
    const buffer<float> c = std::move(a);
    CHECK(b.size() == size);
    CHECK(c.size() == size);
    CHECK(a.data() == nullptr);  // NOLINT: the moved-from state is part of the contract
    if (size) CHECK(b[size - 1] == c[size - 1]);
  }
}

TEST_CASE("an allocation that cannot succeed names its size", "[core][buffer]") {
  try {
    const buffer<double> huge(std::size_t{1} << 60);
    FAIL("2^60 doubles were allocated");
  } catch (const error& e) {
    CHECK(e.kind() == errc::out_of_memory);
  }
  CHECK_THROWS_AS(buffer<float>(1).as_matrix(1, 2), error);
}
