#include <cmath>
#include <cstdint>
#include <limits>

#include <hocket/core/half.hpp>

#include "catch.hpp"

using namespace hocket;

namespace {

/// The f16 nearest to x, ties to even, found by search over all finite values: the definition.
std::uint16_t nearest_f16(double x) {
  std::uint16_t best = 0;
  double distance = std::numeric_limits<double>::infinity();
  for (std::uint32_t bits = 0; bits < 0x7c00u; ++bits) {
    const double d = std::abs(static_cast<double>(to_f32(f16{static_cast<std::uint16_t>(bits)})) - std::abs(x));
    if (d < distance || (d == distance && bits % 2 == 0)) {
      distance = d;
      best = static_cast<std::uint16_t>(bits);
    }
  }
  return static_cast<std::uint16_t>(best | (std::signbit(x) ? 0x8000u : 0u));
}

}  // namespace

TEST_CASE("every f16 and bf16 survives the way through f32", "[core][half]") {
  std::size_t wrong = 0;
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const f16 h{static_cast<std::uint16_t>(bits)};
    const bf16 b{static_cast<std::uint16_t>(bits)};
    if (!std::isnan(to_f32(h)) && to_f16(to_f32(h)).bits != h.bits) ++wrong;
    if (!std::isnan(to_f32(b)) && to_bf16(to_f32(b)).bits != b.bits) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("f32 to f16 rounds to nearest even", "[core][half]") {
  for (const float x :
       {0.0f,    -0.0f,    1.0f,     -1.5f,    0.1f,    3.14159f, 65504.0f,   65519.0f,   2049.0f,      2051.0f,
        6.1e-5f, 5.96e-8f, 2.98e-8f, 2.99e-8f, 8.9e-8f, 1e-9f,    0x1.002p0f, 0x1.006p0f, 0x1.ffcp-15f, 0x1.ffep-15f}) {
    INFO(x);
    CHECK(to_f16(x).bits == nearest_f16(x));
  }
  CHECK(to_f16(65520.0f).bits == 0x7c00u);
  CHECK(to_f16(-1e30f).bits == 0xfc00u);
  CHECK(std::isnan(to_f32(to_f16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST_CASE("f32 to bf16 rounds to nearest even", "[core][half]") {
  CHECK(to_f32(to_bf16(1.00390625f)) == 1.0f);       // a tie goes to the even neighbour below
  CHECK(to_f32(to_bf16(1.01171875f)) == 1.015625f);  // and to the even neighbour above
  CHECK(to_f32(to_bf16(1.0039065f)) == 1.0078125f);  // just above a tie
  CHECK(std::isinf(to_f32(to_bf16(3.4e38f))));
  CHECK(std::isnan(to_f32(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
  CHECK(std::isnan(to_f32(to_bf16(detail::float_of(0x7f800001u)))));  // a NaN whose payload lies in the lost half
}
