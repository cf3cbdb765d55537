#include <limits>
#include <vector>

#include <hocket/core/simd.hpp>
#include <hocket/core/tolerance.hpp>

#include "catch.hpp"

using namespace hocket;

TEST_CASE("a comparison cannot lose a NaN", "[core][tolerance]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> good{1, 2, 3};
  for (const double bad : {nan, inf, -inf, 2.5}) {
    const std::vector<double> other{1, bad, 3};
    CHECK_FALSE(compare(other.data(), good.data(), 3, 0.25));
    CHECK_FALSE(compare(good.data(), other.data(), 3, 0.25));
    CHECK(compare(other.data(), good.data(), 3, 0.25).worst == 1);
  }
  CHECK(compare(good.data(), good.data(), 3, 0.0));
  CHECK(std::isnan(max_abs_difference(std::vector<double>{nan, 5}.data(), good.data(), 2)));
  CHECK(std::isnan(max_abs(std::vector<double>{1, nan, 5}.data(), 3)));
}

TEST_CASE("the 2x rule keeps a floor of epsilon x magnitude", "[core][tolerance]") {
  CHECK(peer_bound<float>(0, 10) == rounding<float>(10));
  CHECK(peer_bound<float>(1, 10) == 2);
  CHECK(peer_bound<float>(1, 10, 3) == 3);
  CHECK(rounding<double>(1) == std::numeric_limits<double>::epsilon());
}

TEST_CASE("the instruction set can be lowered, never raised", "[core][simd]") {
  const isa before = best_isa();
  limit_isa(isa::baseline);
  CHECK(best_isa() == isa::baseline);
  limit_isa(isa::avx512);
  CHECK(best_isa() == machine_isa());
  limit_isa(before);
}

TEST_CASE("messages print numbers that read back", "[core][error]") {
  CHECK(text("a ", 1, ' ', 0.1, ' ', true, ' ', std::size_t{7}) == "a 1 0.1 true 7");
  CHECK_NOTHROW(expects(true, errc::bad_option, "never built"));
  try {
    expects(false, errc::misaligned, "row ", 3, " of ", 2);
  } catch (const error& e) {
    CHECK(std::string(e.what()) == "row 3 of 2");
    CHECK(e.kind() == errc::misaligned);
  }
  for (int kind = 0; kind <= static_cast<int>(errc::bad_value); ++kind)
    CHECK(name_of(static_cast<errc>(kind)) != "unknown");
}
