// Every packed product against the plain sum over operands rounded as it rounds them: awkward sizes, several weights
// side by side and one below the other, padded rows full of NaN, with and without the matrix unit; the same bits
// however the rows are cut.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tensor.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/packed_gemm/arms.hpp>

#include "catch.hpp"
#include "machine_sets.hpp"

namespace {

using hocket::buffer;
using hocket::view;
namespace packed_gemm = hocket::kernels::packed_gemm;
using packed_gemm::precision;

/// f() on every instruction set, and once more on the best one without the matrix unit.
template <class F>
void on_every_machine(F&& f) {
  for (const auto set : hocket::tests::machine_sets()) {
    const hocket::tests::on_isa guard(set);
    f();
  }
  const hocket::tests::on_unit none(hocket::matrix_unit::none);
  f();
}

/// Dense, between -1 and 1; every seventh row ten times as large, so that scales differ.
template <class T>
hocket::tensor<T> random_matrix(std::size_t rows, std::size_t columns, std::uint64_t seed) {
  hocket::tensor<T> m({rows, columns});
  const hocket::philox random(seed);
  for (std::size_t i = 0; i < m.size(); ++i) {
    const double x = 2 * random.uniform_at(i) - 1;
    m.data()[i] = static_cast<T>(columns > 0 && i / columns % 7 == 3 ? 10 * x : x);
  }
  return m;
}

template <class T>
using wide = packed_gemm::reference::wide<T>;

/// The reference of A times the turned weight.
template <class T>
hocket::tensor<wide<T>> expected_of(precision p, const hocket::tensor<T>& a, const hocket::tensor<T>& weight) {
  hocket::tensor<T> b({weight.extent(1), weight.extent(0)});
  for (std::size_t j = 0; j < weight.extent(0); ++j)
    for (std::size_t q = 0; q < weight.extent(1); ++q) b.as_view()(q, j) = weight.as_view()(j, q);
  hocket::tensor<wide<T>> c({a.extent(0), weight.extent(0)});
  packed_gemm::reference::product<T>(p, a.as_view(), b.as_view(), c.as_view());
  return c;
}

/// In the arm's magnitude; a baseline machine rounds x / scale before it rounds to a step, which may choose the other
/// neighbour of a tie.
template <class T>
double bound_of(precision p, const hocket::tensor<T>& a, const hocket::tensor<T>& weight, double promise) {
  const double most = hocket::max_abs(a.data(), a.size()) * hocket::max_abs(weight.data(), weight.size());
  const double bound = promise * hocket::rounding<T>(static_cast<double>(a.extent(1)) * most);
  return p == precision::int8 && hocket::best_isa() == hocket::isa::baseline ? bound + most / 127 : bound;
}

template <class T>
void check(const packed_gemm::packed_arm<T>& arm, std::size_t m, std::size_t n, std::size_t k) {
  const auto a = random_matrix<T>(m, k, 1 + m), weight = random_matrix<T>(n, k, 2 + n);
  const auto expected = expected_of(arm.kind, a, weight);
  const auto plan = arm.run({m, n, k}, weight.data());
  buffer<T> c(m * n + 1);
  std::fill_n(c.data(), c.size(), std::numeric_limits<T>::quiet_NaN());
  plan->run(a.data(), c.data());
  const auto result =
      hocket::compare(c.data(), expected.data(), m * n, bound_of(arm.kind, a, weight, arm.promise({m, n, k})));
  INFO(arm.name << " " << m << " x " << n << " x " << k << ": " << result.message());
  CHECK(result.ok);
  CHECK(std::isnan(c[m * n]));  // nothing past the end is written
}

template <class T>
void check_arm(const packed_gemm::packed_arm<T>& arm) {
  const std::size_t sizes[] = {0, 1, 2, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 67};
  hocket::philox random(5);
  const auto pick = [&] { return sizes[random.next_below(std::size(sizes))]; };
  for (int draw = 0; draw < 60; ++draw) {
    const std::size_t m = pick(), n = pick(), k = pick();
    check(arm, m, n, k);
  }
  check(arm, 75, 97, 523);  // across pieces of k
  check(arm, 129, 33, 1031);
}

/// As linear layers call it: `parts` of B, row blocks of any height, A with rows apart.
template <class T>
std::vector<T> in_blocks(precision p, const hocket::tensor<T>& a, const std::vector<packed_gemm::part<T>>& parts,
                         bool turned, std::size_t n, std::size_t height) {
  const std::size_t m = a.extent(0), k = a.extent(1), lda = k + 3;
  buffer<std::byte> packed(packed_gemm::packed_bytes<T>(p, n, k));
  const std::size_t strips = packed_gemm::strips_of<T>(n);
  packed_gemm::pack<T>(p, k, n, parts, turned, strips / 2, strips, packed.data());  // in two calls
  packed_gemm::pack<T>(p, k, n, parts, turned, 0, strips / 2, packed.data());
  std::vector<T> apart(m * lda, std::numeric_limits<T>::quiet_NaN()), c(m * n);
  for (std::size_t i = 0; i < m; ++i) std::copy_n(a.data() + i * k, k, apart.data() + i * lda);
  for (std::size_t i = 0; i < m; i += height) {
    const std::size_t rows = std::min(height, m - i);
    buffer<std::byte> workspace(packed_gemm::workspace_bytes<T>(p, rows, k));
    packed_gemm::multiply<T>(p, rows, n, k, apart.data() + i * lda, lda, packed.data(), c.data() + i * n, n,
                             workspace.data());
  }
  return c;
}

template <class T>
void check_blocks(precision p) {
  // Three weights that share an input, side by side; and one below the other, as their input's gradient takes them.
  const std::size_t k = 70, counts[] = {33, 1, 40};
  std::vector<hocket::tensor<T>> weights;
  for (const std::size_t count : counts) weights.push_back(random_matrix<T>(count, k, 7 + count));
  hocket::tensor<T> whole({74, k}), turned({k, 74});
  std::size_t row = 0;
  std::vector<packed_gemm::part<T>> parts;
  for (const auto& w : weights) {
    parts.push_back({w.data(), k, w.extent(0), 0, packed_gemm::all_of_line, T{1}});
    std::copy_n(w.data(), w.size(), whole.data() + row * k);
    row += w.extent(0);
  }
  for (std::size_t i = 0; i < 74; ++i)
    for (std::size_t j = 0; j < k; ++j) turned.as_view()(j, i) = whole.as_view()(i, j);
  for (const bool forward : {true, false}) {
    const auto a = random_matrix<T>(61, forward ? k : 74, 3);
    const auto expected = expected_of(p, a, forward ? whole : turned);
    const std::size_t n = forward ? 74 : k;
    const auto one = in_blocks<T>(p, a, parts, forward, n, 61);
    const auto result = hocket::compare(one.data(), expected.data(), one.size(), bound_of(p, a, whole, 1));
    INFO(hocket::name_of(p) << (forward ? " forward: " : " backward: ") << result.message());
    CHECK(result.ok);
    for (const std::size_t height : {1u, 13u, 16u, 60u}) {
      const auto cut = in_blocks<T>(p, a, parts, forward, n, height);
      CHECK(std::memcmp(cut.data(), one.data(), one.size() * sizeof(T)) == 0);
    }
  }
}

}  // namespace

TEMPLATE_TEST_CASE("every packed product keeps its promise", "[packed_gemm]", float, double) {
  for (const auto& arm : packed_gemm::arms<TestType>()) on_every_machine([&] { check_arm(arm); });
}

TEMPLATE_TEST_CASE("parts of B, rows apart and any cut into rows give one result", "[packed_gemm]", float, double) {
  on_every_machine([] {
    check_blocks<TestType>(precision::native);
    if constexpr (std::is_same_v<TestType, float>) {
      check_blocks<TestType>(precision::bf16);
      check_blocks<TestType>(precision::int8);
      check_blocks<TestType>(precision::split);
    }
  });
}

TEST_CASE("A in bf16 is taken as it is", "[packed_gemm]") {
  const auto a = random_matrix<float>(37, 70, 1), weight = random_matrix<float>(50, 70, 2);
  buffer<hocket::bf16> stored(a.size());
  hocket::tensor<float> rounded({37, 70});
  for (std::size_t i = 0; i < a.size(); ++i) {
    stored[i] = hocket::to_bf16(a.data()[i]);
    rounded.data()[i] = hocket::to_f32(stored[i]);
  }
  for (const precision p : {precision::bf16, precision::int8})
    on_every_machine([&] {
      const std::size_t bytes = packed_gemm::left_bytes(p, 37, 70);
      buffer<std::byte> one(bytes), two(bytes);
      packed_gemm::pack_left<hocket::bf16>({p, 37, 70, one.data()}, 0, 37, stored.data(), 70);
      packed_gemm::pack_left<float>({p, 37, 70, two.data()}, 16, 21, rounded.data() + 16 * 70, 70);  // in two calls
      packed_gemm::pack_left<float>({p, 37, 70, two.data()}, 0, 16, rounded.data(), 70);
      CHECK(std::memcmp(one.data(), two.data(), bytes) == 0);
    });
}

TEMPLATE_TEST_CASE("pieces of B that fill a part of their lines, times a factor", "[packed_gemm]", float, double) {
  using T = TestType;
  // Two terms of rank 3 and 2 behind the columns 0 ... 39 and 50 ... 69 of an output of 75; u has 3 + 2 columns.
  const auto b1 = random_matrix<T>(40, 3, 1), b2 = random_matrix<T>(20, 2, 2), u = random_matrix<T>(21, 5, 3),
             dy = random_matrix<T>(21, 75, 4);
  const std::vector<packed_gemm::part<T>> parts = {
      {b1.data(), 3, 40, 0, 3, T{2}}, {nullptr, 0, 10}, {b2.data(), 2, 20, 3, 2, T{-0.5}}, {nullptr, 0, 5}};
  hocket::tensor<T> b({75, 5}), turned({5, 75});
  for (std::size_t i = 0; i < 40; ++i)
    for (std::size_t r = 0; r < 3; ++r) b.as_view()(i, r) = 2 * b1.as_view()(i, r);
  for (std::size_t i = 0; i < 20; ++i)
    for (std::size_t r = 0; r < 2; ++r) b.as_view()(50 + i, 3 + r) = T(-0.5) * b2.as_view()(i, r);
  for (std::size_t i = 0; i < 75; ++i)
    for (std::size_t r = 0; r < 5; ++r) turned.as_view()(r, i) = b.as_view()(i, r);
  for (const precision p : {precision::native, precision::bf16, precision::split}) {
    if (p != precision::native && !std::is_same_v<T, float>) continue;
    on_every_machine([&] {
      const auto forward = in_blocks<T>(p, u, parts, true, 75, 21), backward = in_blocks<T>(p, dy, parts, false, 5, 21);
      const auto y = expected_of(p, u, b), du = expected_of(p, dy, turned);
      CHECK(hocket::compare(forward.data(), y.data(), y.size(), bound_of(p, u, b, 1)));
      CHECK(hocket::compare(backward.data(), du.data(), du.size(), bound_of(p, dy, b, 1)));
    });
  }
}

TEST_CASE("NaN and infinity reach the result", "[packed_gemm]") {
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto& arm : packed_gemm::arms<float>()) {
    if (arm.kind == precision::int8) continue;  // it has no such numbers
    on_every_machine([&] {
      hocket::tensor<float> a({3, 40}), weight({2, 40});
      std::fill_n(a.data(), a.size(), 1.0F);
      std::fill_n(weight.data(), weight.size(), 1.0F);
      a.as_view()(0, 39) = nan;
      a.as_view()(1, 7) = infinity;
      float c[6];
      arm.run({3, 2, 40}, weight.data())->run(a.data(), c);
      CHECK((std::isnan(c[0]) && std::isnan(c[1])));
      if (arm.kind == precision::split)  // infinity times a part that is zero
        CHECK((std::isnan(c[2]) && std::isnan(c[3])));
      else
        CHECK((c[2] == infinity && c[3] == infinity));
      CHECK((c[4] == 40 && c[5] == 40));
    });
  }
}

TEST_CASE("f32 in three parts of bf16 is as exact as f32, also near the ends of its range", "[packed_gemm]") {
  const std::size_t m = 33, n = 40;
  for (const std::size_t k : {1u, 36u, 384u, 1000u}) {
    const auto random = [&](std::size_t rows, std::uint64_t seed) {
      hocket::tensor<float> x({rows, k});
      const hocket::philox draws(seed);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double size = std::exp(3 * draws.normal_at(2 * i));
        x.data()[i] = static_cast<float>(draws.normal_at(2 * i + 1) * size);
      }
      return x;
    };
    const auto a = random(m, 1 + k), weight = random(n, 2 + k);
    const auto exact = expected_of(precision::native, a, weight);
    on_every_machine([&] {
      double errors[2] = {}, magnitude = 0;
      for (const auto& arm : packed_gemm::arms<float>()) {
        if (arm.kind != precision::native && arm.kind != precision::split) continue;
        std::vector<float> c(m * n);
        arm.run({m, n, k}, weight.data())->run(a.data(), c.data());
        errors[arm.kind == precision::split] = hocket::max_abs_difference(c.data(), exact.data(), c.size());
        magnitude = hocket::max_abs(exact.data(), exact.size());
      }
      INFO("k " << k << ": " << errors[1] << " beside " << errors[0]);
      CHECK(errors[1] <= hocket::peer_bound<float>(errors[0], magnitude));
    });
  }
  // The largest f32 would round up to infinity as bf16; parts of the smallest normal ones lie below what the unit tells
  // from zero.
  for (const auto& arm : packed_gemm::arms<float>()) {
    if (arm.kind != precision::split) continue;
    on_every_machine([&] {
      constexpr float largest = std::numeric_limits<float>::max();
      const float a[3] = {largest, -largest, 0x1.fffffep-100F}, weight[3] = {0x1p-3F, 0x1.fffffep-4F, 0x1p90F};
      float c = 0;
      arm.run({1, 1, 3}, weight)->run(a, &c);
      const double wanted = static_cast<double>(a[0]) * weight[0] + static_cast<double>(a[1]) * weight[1] +
                            static_cast<double>(a[2]) * weight[2];
      CHECK(std::abs(c - wanted) <= hocket::rounding<float>(static_cast<double>(largest) / 8));
    });
  }
}

TEST_CASE("a product in three parts may go over k in pieces", "[packed_gemm]") {
  const std::size_t m = 70, n = 32, k = 330, steps = packed_gemm::steps_of(precision::split, k);
  const auto a = random_matrix<float>(m, k, 1), weight = random_matrix<float>(n, k, 2);
  buffer<std::byte> strip(packed_gemm::packed_bytes<float>(precision::split, n, k)),
      left(packed_gemm::left_bytes(precision::split, m, k));
  const packed_gemm::part<float> whole{weight.data(), k, n};
  packed_gemm::pack<float>(precision::split, k, n, {&whole, 1}, true, 0, 1, strip.data());
  const packed_gemm::left packed{precision::split, m, k, left.data()};
  packed_gemm::pack_left<float>(packed, 0, m, a.data(), k);
  on_every_machine([&] {
    const packed_gemm::tile_scope scope(precision::split);
    buffer<float> one(packed_gemm::block_rows(m) * n), two(packed_gemm::block_rows(m) * n);
    packed_gemm::product_tiles<float>(packed, 0, m, strip.data(), one.data(), false, strip.data());
    for (const std::size_t cut : {std::size_t{1}, std::size_t{5}, steps}) {
      packed_gemm::product_steps<float>(packed, 0, m, strip.data(), 0, cut, two.data(), false, strip.data());
      packed_gemm::product_steps<float>(packed, 0, m, strip.data(), cut, steps - cut, two.data(), true, strip.data());
      if (hocket::best_matrix_unit() == hocket::matrix_unit::amx)
        CHECK(std::equal(one.begin(), one.begin() + m * n, two.begin()));
      else
        CHECK(hocket::compare(two.data(), one.data(), m * n, bound_of(precision::split, a, weight, 1)));
    }
  });
}
