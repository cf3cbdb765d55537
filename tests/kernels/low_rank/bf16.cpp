// The products in bf16 with matrices that are kept in bf16, in rows or in tiles, and with several terms at once. What
// they share with those of f32 is tested with the arms.
#include <array>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include <hocket/core/half.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/low_rank/arms.hpp>

#include "catch.hpp"

namespace {

using hocket::bf16;
using hocket::comparison;
using hocket::rounding;
using hocket::view;
namespace low_rank = hocket::kernels::low_rank;
using low_rank::kept_elements;
using low_rank::product;

/// Numbers that are bf16, as f32.
std::vector<float> numbers(std::size_t count, std::uint64_t seed) {
  const hocket::philox random(seed);
  std::vector<float> made(count);
  for (std::size_t i = 0; i < count; ++i)
    made[i] = to_f32(hocket::to_bf16(static_cast<float>(2 * random.uniform_at(i) - 1)));
  return made;
}
std::vector<bf16> narrow(const std::vector<float>& wide) {
  std::vector<bf16> made;
  for (const float x : wide) made.push_back(hocket::to_bf16(x));
  return made;
}
view<const float, 2> matrix(const std::vector<float>& x, std::size_t rows, std::size_t columns) {
  return {x.data(), {rows, columns}, {columns, 1}};
}
std::vector<const float*> lines_of(const std::vector<float>& a, std::size_t rank, std::size_t in) {
  std::vector<const float*> made;
  for (std::size_t j = 0; j < rank; ++j) made.push_back(a.data() + j * in);
  return made;
}
struct masks {
  std::vector<std::byte> bits;
  kept_elements keep;
  masks(std::size_t rows, std::size_t columns, double p, std::uint64_t stream = 1) {
    if (p == 0) return;
    const auto drop = low_rank::make_dropout(p, 5, stream);
    keep = {nullptr, low_rank::mask_bytes(columns), drop.scale};
    bits.resize(rows * keep.apart + 1);
    low_rank::make_masks(drop, columns, 0, rows, bits.data(), keep.apart);
    keep.bits = bits.data();
  }
};
double promise(std::size_t rows, std::size_t in, std::size_t rank, product which) {
  return low_rank::promise_of({rows, in, rank, which, 0});
}
bool runs() {
  if (low_rank::multiplies_bf16()) return true;
  WARN("this machine has no matrix unit");
  return false;
}

}  // namespace

TEST_CASE("u of x in bf16 has the bits of u of the same numbers in f32", "[low_rank][bf16]") {
  if (!runs()) return;
  for (const std::size_t in : {1U, 31U, 32U, 96U, 200U, 384U, 512U, 544U})
    for (const std::size_t rank : {1U, 8U, 16U, 21U})
      for (const std::size_t rows : {1U, 16U, 63U, 64U, 65U, 150U})
        for (const double p : {0.0, 0.3}) {
          const auto x = numbers(rows * in, 1), a = numbers(rank * in, 2);
          const auto xb = narrow(x);
          const auto lines = lines_of(a, rank, in);
          const masks made(rows, in, p);
          std::vector<float> wide(rows * rank), u = wide;
          low_rank::project_bf16(rows, in, x.data(), in, made.keep, lines, wide.data(), rank);
          low_rank::project_bf16(rows, in, xb.data(), in, made.keep, lines, u.data(), rank);
          comparison result;
          for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t j = 0; j < rank; ++j) {
              const auto wanted =
                  low_rank::reference::project<float>(matrix(x, rows, in), made.keep, matrix(a, rank, in), r, j);
              result.add(std::abs(u[r * rank + j] - wanted.value),
                         rounding<float>(promise(rows, in, rank, product::project) * wanted.magnitude));
            }
          INFO(rows << " x " << in << ", rank " << rank << ", p " << p << ": " << result.message());
          CHECK(result.ok);
          CHECK(std::memcmp(wide.data(), u.data(), u.size() * sizeof(float)) == 0);
        }
}

TEST_CASE("C += A' B for some columns of B, in rows and in tiles", "[low_rank][bf16]") {
  if (!runs()) return;
  for (const std::size_t m : {1U, 8U, 16U, 20U, 33U})
    for (const std::size_t all : {40U, 200U})
      for (const std::size_t first : {0U, 5U, 32U, 39U})
        for (const std::size_t n : {0U, 1U, 27U, 32U, 64U, 161U})
          for (const std::size_t rows : {1U, 15U, 16U, 31U, 33U, 100U, 390U}) {
            if (first + n > all) continue;
            const auto a = numbers(rows * m, 3), b = numbers(rows * all, 4), start = numbers(m * n, 5);
            const auto in_rows = narrow(b);
            const std::size_t strips = (all + 31) / 32, band = strips * 512;
            std::vector<bf16> in_tiles((rows + 15) / 16 * band, hocket::to_bf16(std::nanf("")));
            for (std::size_t r = 0; r < rows; ++r)
              for (std::size_t c = 0; c < all; ++c)
                in_tiles[r / 16 * band + c / 32 * 512 + r % 16 * 32 + c % 32] = in_rows[r * all + c];
            std::vector<float> c = start, tiled = start;
            low_rank::add_outer_bf16(rows, m, a.data(), m, first, n, low_rank::in_rows(in_rows.data(), all), {},
                                     c.data(), n);
            low_rank::add_outer_bf16(rows, m, a.data(), m, first, n,
                                     low_rank::tiled_matrix<bf16>{in_tiles.data(), 32, band, 512}, {}, tiled.data(), n);
            comparison result;
            for (std::size_t i = 0; i < m; ++i)
              for (std::size_t j = 0; j < n; ++j) {
                auto wanted =
                    low_rank::reference::outer<float>(matrix(a, rows, m), matrix(b, rows, all), {}, i, first + j);
                wanted.add(start[i * n + j]);
                result.add(std::abs(c[i * n + j] - wanted.value),
                           rounding<float>(promise(rows, n, m, product::outer) * wanted.magnitude));
              }
            INFO(m << " x [" << first << ", " << first + n << ") over " << rows << ": " << result.message());
            CHECK(result.ok);
            CHECK((n == 0 || std::memcmp(c.data(), tiled.data(), c.size() * sizeof(float)) == 0));
          }
}

TEMPLATE_TEST_CASE("dx = or += the sum of several terms, each with masks of its own or none", "[low_rank][bf16]", float,
                   bf16) {
  using X = TestType;
  if (!runs()) return;
  const std::vector<std::vector<std::size_t>> ranks_of = {{}, {1}, {8, 8}, {40}, {3, 33, 2}, {8, 8, 8, 8, 8}, {150}};
  for (const std::size_t in : {1U, 16U, 63U, 128U, 130U, 300U})
    for (const auto& ranks : ranks_of)
      for (const std::size_t rows : {0U, 1U, 16U, 17U, 50U})
        for (const bool add : {false, true})
          for (const std::size_t masked :
               {0U, 1U, 2U, 3U}) {  // no term, each, every other one from the first or second
            std::size_t columns = 0;
            for (const std::size_t rank : ranks) columns += rank;
            const auto du = numbers(rows * columns + 1, 6), a = numbers(columns * in + 1, 7),
                       start = numbers(rows * in, 8);
            const auto all_lines = lines_of(a, columns, in);
            std::vector<masks> made;
            std::vector<low_rank::back_term> terms;
            std::size_t column = 0;
            for (std::size_t i = 0; i < ranks.size(); ++i)
              made.emplace_back(rows, in, masked == 1 || (masked > 1 && i % 2 == masked - 2) ? 0.4 : 0.0, i);
            for (std::size_t i = 0; i < ranks.size(); column += ranks[i++])
              terms.push_back({du.data() + column, std::span(all_lines).subspan(column, ranks[i]), made[i].keep});
            std::vector<X> dx, part;
            for (const float x : start) {
              if constexpr (std::is_same_v<X, float>)
                dx.push_back(x);
              else
                dx.push_back(hocket::to_bf16(x));
            }
            part = dx;
            low_rank::add_back_bf16(rows, columns, in, terms, add, dx.data(), in);
            // Half a unit in the last place of bf16 whenever dx is stored: every four pieces of 32 ranks.
            std::size_t pieces = 0;
            for (const std::size_t rank : ranks) pieces += (rank + 31) / 32;
            const double stored =
                std::is_same_v<X, bf16> ? std::max(1.0, std::ceil(static_cast<double>(pieces) / 4)) : 0;
            comparison result;
            bool same = true;
            for (std::size_t r = 0; r < rows; ++r) {
              for (auto& term : terms) {
                term.du += r * columns;
                term.keep = from_row(term.keep, r);
              }
              low_rank::add_back_bf16(1, columns, in, terms, add, part.data() + r * in, in);
              same = same && std::memcmp(part.data() + r * in, dx.data() + r * in, in * sizeof(X)) == 0;
              for (auto& term : terms) term.du -= r * columns;
              for (std::size_t i = 0; i < terms.size(); ++i) terms[i].keep = made[i].keep;
              for (std::size_t c = 0; c < in; ++c) {
                low_rank::reference::element<float> wanted;
                if (add) wanted.add(start[r * in + c]);
                for (std::size_t i = 0, at = 0; i < ranks.size(); at += ranks[i++])
                  for (std::size_t j = at; j < at + ranks[i] && stays(made[i].keep, r, c); ++j)
                    wanted.add(made[i].keep.scale * static_cast<double>(du[r * columns + j]) *
                               static_cast<double>(a[j * in + c]));
                const X got = dx[r * in + c];
                double value = 0;
                if constexpr (std::is_same_v<X, float>)
                  value = got;
                else
                  value = to_f32(got);
                result.add(std::abs(value - wanted.value),
                           rounding<float>(promise(rows, in, columns, product::back) * wanted.magnitude) +
                               stored * std::ldexp(wanted.magnitude, -8));
              }
            }
            INFO(rows << " x " << in << ", " << ranks.size() << " terms, masks " << masked << ", add " << add << ": "
                      << result.message());
            CHECK(result.ok);
            CHECK(same);
          }
}
