// The narrow products of low-rank terms against their definitions: awkward sizes, rows apart with NaN between them,
// with and without masks; the same bits however rows and columns of u are cut. Masks against the definition of one
// element.
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tensor.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/low_rank/arms.hpp>

#include "catch.hpp"
#include "error_kind.hpp"
#include "machine_sets.hpp"

namespace {

using hocket::comparison;
using hocket::rounding;
using hocket::view;
namespace low_rank = hocket::kernels::low_rank;
using low_rank::kept_elements;
template <class T>
using wide = low_rank::reference::wide<T>;

template <class F>
void on_every_machine(F&& f) {
  for (const auto set : hocket::tests::machine_sets()) {
    const hocket::tests::on_isa guard(set);
    f();
  }
}

/// (rows, columns) between -1 and 1, rows `gap` further apart, NaN in the gap.
template <class T>
struct matrix {
  std::size_t rows, columns, ld;
  std::vector<T> data;

  matrix(std::size_t r, std::size_t c, std::size_t gap, std::uint64_t seed)
      : rows(r), columns(c), ld(c + gap), data(r * ld + 1, std::numeric_limits<T>::quiet_NaN()) {
    const hocket::philox random(seed);
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j)
        data[i * ld + j] = static_cast<T>(2 * random.uniform_at(i * columns + j) - 1);
  }
  view<const T, 2> as_view() const { return {data.data(), {rows, columns}, {ld, 1}}; }
  T& at(std::size_t i, std::size_t j) { return data[i * ld + j]; }
  const T& at(std::size_t i, std::size_t j) const { return data[i * ld + j]; }
  bool gap_is_untouched() const {
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = columns; j < ld; ++j)
        if (data[i * ld + j] == data[i * ld + j]) return false;
    return data.back() != data.back();
  }
};

/// What an arm multiplies: x, or x rounded to bf16.
template <class T>
matrix<T> operand(const low_rank::low_rank_arm<T>& arm, matrix<T> x) {
  low_rank::round_operands<T>(arm, x.data);
  return x;
}

/// Masks of `rows` rows of `columns` columns, and what stays of them.
struct masks {
  std::vector<std::byte> bits;
  kept_elements keep;

  masks(std::size_t rows, std::size_t columns, double p) {
    if (p == 0) return;
    const auto drop = low_rank::make_dropout(p, 3, 9);
    keep.apart = low_rank::mask_bytes(columns) + 8;
    keep.scale = drop.scale;
    bits.resize(rows * keep.apart + 1);
    low_rank::make_masks(drop, columns, 17, rows, bits.data(), keep.apart);
    keep.bits = bits.data();
  }
};

template <class T>
void add(comparison& result, T got, const low_rank::reference::element<T>& wanted, double promise) {
  result.add(static_cast<double>(std::abs(static_cast<wide<T>>(got) - wanted.value)),
             rounding<T>(promise * static_cast<double>(wanted.magnitude)));
}

}  // namespace

TEST_CASE("masks are those of the definition", "[low_rank]") {
  on_every_machine([] {
    for (const std::size_t columns : {1U, 63U, 64U, 65U, 127U, 128U, 129U, 200U, 384U})
      for (const double p : {0.1, 0.5, 0.97})
        for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{5}, (std::uint64_t{3} << 32) + 7}) {
          const auto drop = low_rank::make_dropout(p, 0x123456789ab, std::uint64_t{3} << 33 | 1);
          const std::size_t rows = 5, used = low_rank::mask_bytes(columns), apart = used + 8;
          std::vector<std::byte> bits(rows * apart, std::byte{0x5a});
          low_rank::make_masks(drop, columns, first, rows, bits.data(), apart);
          const kept_elements keep{bits.data(), apart, drop.scale};
          std::size_t wrong = 0;
          for (std::size_t r = 0; r < rows; ++r) {
            for (std::size_t c = 0; c < columns; ++c) wrong += stays(keep, r, c) != stays(drop, columns, first + r, c);
            for (std::size_t i = used; i < apart; ++i) wrong += bits[r * apart + i] != std::byte{0x5a};
          }
          INFO(columns << " columns, " << p);
          CHECK(wrong == 0);
        }
  });
}

TEST_CASE("the share of what is dropped, its scale, and probabilities that are none", "[low_rank]") {
  const std::size_t rows = 2000, columns = 384;
  for (const double p : {0.05, 0.1, 0.5, 0.9}) {
    const masks made(rows, columns, p);
    double stay = 0, beside = 0;
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t c = 0; c < columns; ++c) {
        stay += stays(made.keep, r, c);
        beside += c >= 64 && stays(made.keep, r, c) && stays(made.keep, r, c - 64);  // two halves of one word
      }
    const double n = static_cast<double>(rows * columns), pairs = n * (columns - 64) / columns, q = 1 - p;
    CHECK(std::abs(stay - n * q) < 5 * std::sqrt(n * q * p));
    CHECK(std::abs(beside - pairs * q * q) < 5 * std::sqrt(3 * pairs * q * q));
    CHECK(std::abs(made.keep.scale * q - 1) < 1e-4);
  }
  CHECK(low_rank::make_dropout(0, 1, 2).none());
  CHECK(low_rank::make_dropout(0.25, 1, 2).scale == 1 / 0.75);
  CHECK(low_rank::make_dropout(0.999999999, 1, 2).threshold == 0xffff);
  for (const double p : {-0.1, 1.0, std::numeric_limits<double>::quiet_NaN()})
    CHECK(hocket::tests::kind_of([&] { low_rank::make_dropout(p, 0, 0); }) == "bad_option");
}

TEMPLATE_TEST_CASE("u = keep(x) A', in the same bits however it is cut", "[low_rank]", float, double) {
  using T = TestType;
  for (const auto& arm : low_rank::arms<T>())
    for (const std::size_t in : {1U, 3U, 16U, 31U, 64U, 65U, 200U, 384U, 530U})
      for (const std::size_t rank : {1U, 2U, 3U, 5U, 8U, 9U, 17U, 70U})
        for (const std::size_t rows : {0U, 1U, 2U, 5U, 37U, 67U})
          for (const double p : {0.0, 0.3})
            on_every_machine([&] {
              const matrix<T> x(rows, in, 2, 1), a(rank, in, 3, 2);
              if (!arm.accepts({rows, in, rank, low_rank::product::project, p})) return;
              const masks made(rows, in, p);
              const matrix<T> taken = operand(arm, x), by = operand(arm, a);
              matrix<T> u(rows, rank, 4, 3), part = u;
              arm.run.project(rows, in, x.data.data(), x.ld, made.keep, rank, a.data.data(), a.ld, u.data.data(), u.ld);
              comparison result;
              for (std::size_t r = 0; r < rows; ++r)
                for (std::size_t j = 0; j < rank; ++j) {
                  const auto wanted = low_rank::reference::project<T>(taken.as_view(), made.keep, by.as_view(), r, j);
                  add(result, u.at(r, j), wanted, arm.promise({rows, in, rank, low_rank::product::project, p}));
                }
              INFO(arm.name << ", " << rows << " x " << in << ", rank " << rank << ", p " << p << ": "
                            << result.message());
              CHECK(result.ok);
              CHECK(u.gap_is_untouched());
              bool same = true;
              for (std::size_t r = 0; r < rows; ++r)
                for (std::size_t j = 0; j < rank; ++j) {
                  arm.run.project(1, in, x.data.data() + r * x.ld, x.ld, from_row(made.keep, r), 1,
                                  a.data.data() + j * a.ld, a.ld, &part.at(r, j), part.ld);
                  same = same && std::memcmp(&part.at(r, j), &u.at(r, j), sizeof(T)) == 0;
                }
              CHECK(same);
            });
}

TEMPLATE_TEST_CASE("C += A' keep(B)", "[low_rank]", float, double) {
  using T = TestType;
  for (const auto& arm : low_rank::arms<T>())
    for (const std::size_t m : {0U, 1U, 3U, 8U, 13U, 16U, 17U, 35U})
      for (const std::size_t n : {0U, 1U, 15U, 32U, 33U, 70U, 384U})
        for (const std::size_t rows : {0U, 1U, 37U, 66U})
          for (const double p : {0.0, 0.3})
            on_every_machine([&] {
              const matrix<T> a(rows, m, 2, 1), b(rows, n, 3, 2);
              if (!arm.accepts({rows, n, m, low_rank::product::outer, p})) return;
              const masks made(rows, n, p);
              const matrix<T> left = operand(arm, a), right = operand(arm, b);
              matrix<T> c(m, n, 1, 3);
              const matrix<T> before = c;
              arm.run.add_outer(rows, m, a.data.data(), a.ld, n, b.data.data(), b.ld, made.keep, c.data.data(), c.ld);
              comparison result;
              for (std::size_t i = 0; i < m; ++i)
                for (std::size_t j = 0; j < n; ++j) {
                  auto wanted = low_rank::reference::outer<T>(left.as_view(), right.as_view(), made.keep, i, j);
                  wanted.add(static_cast<wide<T>>(before.at(i, j)));
                  add(result, c.at(i, j), wanted, arm.promise({rows, n, m, low_rank::product::outer, p}));
                }
              INFO(arm.name << ", " << m << " x " << n << " over " << rows << ", p " << p << ": " << result.message());
              CHECK(result.ok);
              CHECK(c.gap_is_untouched());
            });
}

TEMPLATE_TEST_CASE("dx += keep(du A), in the same bits however rows are cut", "[low_rank]", float, double) {
  using T = TestType;
  for (const auto& arm : low_rank::arms<T>())
    for (const std::size_t in : {1U, 15U, 32U, 63U, 64U, 65U, 200U, 384U})
      for (const std::size_t rank : {0U, 1U, 3U, 8U, 17U, 40U})
        for (const std::size_t rows : {0U, 1U, 5U, 6U, 13U, 33U})
          for (const double p : {0.0, 0.3})
            on_every_machine([&] {
              const matrix<T> du(rows, rank, 2, 1), a(rank, in, 3, 2);
              if (!arm.accepts({rows, in, rank, low_rank::product::back, p})) return;
              const masks made(rows, in, p);
              const matrix<T> left = operand(arm, du), right = operand(arm, a);
              matrix<T> dx(rows, in, 4, 3), part = dx;
              const matrix<T> before = dx;
              arm.run.add_back(rows, rank, du.data.data(), du.ld, in, a.data.data(), a.ld, made.keep, dx.data.data(),
                               dx.ld);
              comparison result;
              bool same = true;
              for (std::size_t r = 0; r < rows; ++r) {
                arm.run.add_back(1, rank, du.data.data() + r * du.ld, du.ld, in, a.data.data(), a.ld,
                                 from_row(made.keep, r), &part.at(r, 0), part.ld);
                same = same && std::memcmp(&part.at(r, 0), &dx.at(r, 0), in * sizeof(T)) == 0;
                for (std::size_t c = 0; c < in; ++c) {
                  auto wanted = low_rank::reference::back<T>(left.as_view(), right.as_view(), made.keep, r, c);
                  wanted.add(static_cast<wide<T>>(before.at(r, c)));
                  add(result, dx.at(r, c), wanted, arm.promise({rows, in, rank, low_rank::product::back, p}));
                  if (!stays(made.keep, r, c)) same = same && dx.at(r, c) == before.at(r, c);
                }
              }
              INFO(arm.name << ", " << rows << " x " << in << ", rank " << rank << ", p " << p << ": "
                            << result.message());
              CHECK(result.ok);
              CHECK(same);
              CHECK(dx.gap_is_untouched());
            });
}

TEST_CASE("what is dropped is not looked at, what is not finite elsewhere arrives", "[low_rank]") {
  // PyTorch multiplies by 0, so that NaN and infinity survive being dropped; here an element that is dropped is none.
  on_every_machine([] {
    const std::size_t in = 70, rows = 3;
    matrix<float> x(rows, in, 0, 1);
    const matrix<float> a(2, in, 0, 2);
    const masks made(rows, in, 0.5);
    std::size_t dropped = 0, kept = 0;
    while (stays(made.keep, 0, dropped)) ++dropped;
    while (kept <= dropped || !stays(made.keep, 1, kept)) ++kept;
    x.at(0, dropped) = std::numeric_limits<float>::infinity();
    x.at(1, kept) = std::numeric_limits<float>::quiet_NaN();
    float u[rows][2], da[2 * 70] = {};
    low_rank::project<float>(rows, in, x.data.data(), in, made.keep, 2, a.data.data(), in, u[0], 2);
    CHECK(std::isfinite(u[0][0]));
    CHECK(std::isnan(u[1][1]));
    CHECK(std::isfinite(u[2][0]));
    const float du[rows][2] = {{1, 1}, {0, 0}, {1, 1}};
    low_rank::add_outer<float>(rows, 2, du[0], 2, in, x.data.data(), in, made.keep, da, in);
    CHECK(std::isfinite(da[dropped]));
    CHECK(std::isnan(da[kept]));
  });
}
