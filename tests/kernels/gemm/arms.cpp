// Every product arm against the plain sum: awkward sizes, padded rows, padding full of NaN, all transposes.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/gemm/arms.hpp>
#include <hocket/kernels/gemm/engine.hpp>

#include "catch.hpp"
#include "machine_sets.hpp"

namespace {

using hocket::buffer;
using namespace hocket::kernels;

template <class T>
buffer<T> random_matrix(std::size_t rows, std::size_t columns, std::size_t ld, std::uint64_t seed) {
  buffer<T> m(rows * ld);
  hocket::philox random(seed);
  std::fill_n(m.data(), m.size(), std::numeric_limits<T>::quiet_NaN());
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j) m[i * ld + j] = static_cast<T>(random.next_uniform() - 0.5);
  return m;
}

template <class T>
void check(const gemm::gemm_arm<T>& arm, std::size_t m, std::size_t n, std::size_t k, bool ta, bool tb, T alpha,
           T beta) {
  gemm::shape s{m, n, k, ta, tb, (ta ? m : k) + 3, (tb ? k : n) + 5, n + 2};
  const auto a = random_matrix<T>(ta ? k : m, ta ? m : k, s.lda, 1 + m),
             b = random_matrix<T>(tb ? n : k, tb ? k : n, s.ldb, 2 + n);
  auto c = random_matrix<T>(m, n, s.ldc, 3 + k);
  if (beta == 0) std::fill_n(c.data(), c.size(), std::numeric_limits<T>::quiet_NaN());
  auto expected = c;
  buffer<T> workspace(gemm::workspace_size);
  gemm::reference<T>(s, alpha, a.data(), b.data(), beta, expected.data());
  arm.run(s, alpha, a.data(), b.data(), beta, c.data(), workspace.data());
  const double magnitude =
      std::abs(static_cast<double>(alpha)) * static_cast<double>(k) / 4 + std::abs(static_cast<double>(beta)) / 2;
  const double bound = arm.promise(s) * hocket::rounding<T>(magnitude);
  hocket::comparison result;
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < n; ++j)
      result.add(std::abs(static_cast<double>(c[i * s.ldc + j]) - static_cast<double>(expected[i * s.ldc + j])), bound);
    for (std::size_t j = n; j < s.ldc; ++j) CHECK(std::isnan(c[i * s.ldc + j]));  // padding is not written
  }
  INFO(arm.name << " " << m << " x " << n << " x " << k << " " << ta << tb << " alpha " << alpha << " beta " << beta);
  CHECK((result.ok && result.count == m * n));
}

template <class T>
void check_arm(const gemm::gemm_arm<T>& arm) {
  const std::size_t sizes[] = {0, 1, 2, 7, 12, 13, 31, 32, 33, 67};
  hocket::philox random(5);
  const auto pick = [&] { return sizes[random.next_below(std::size(sizes))]; };
  for (int draw = 0; draw < 120; ++draw) {
    const std::size_t m = pick(), n = pick(), k = pick();
    const T alpha = draw % 3 == 0 ? T(-0.5) : T(1), beta = draw % 4 == 0 ? T(0) : draw % 4 == 1 ? T(1) : T(0.25);
    check(arm, m, n, k, draw % 2 == 1, draw / 2 % 2 == 1, alpha, beta);
  }
  // across the borders of packed blocks
  for (int turn = 0; turn < 4; ++turn) check(arm, 29, 1061, 523, turn % 2 == 1, turn / 2 == 1, T(1), T(1));
}

}  // namespace

TEMPLATE_TEST_CASE("every product arm keeps its promise", "[gemm]", float, double) {
  for (const auto& arm : gemm::arms<TestType>()) check_arm(arm);
}

TEMPLATE_TEST_CASE("our product keeps its promise on every instruction set", "[gemm]", float, double) {
  for (const auto set : hocket::tests::machine_sets()) {
    const hocket::tests::on_isa guard(set);
    check_arm(gemm::make_arm<TestType>("own", &gemm::own<TestType>));
  }
}

TEST_CASE("engines are found by name, and an unknown one is refused with the known", "[gemm]") {
  CHECK(gemm::find_engine<float>("own").name == "own");
  CHECK_NOTHROW(gemm::find_engine<double>("best"));
  try {
    gemm::find_engine<float>("mystery");
    FAIL("an unknown engine was accepted");
  } catch (const hocket::error& problem) {
    CHECK(problem.kind() == hocket::errc::not_built);
    const std::string said = problem.what();
    CHECK(said.find("product engine \"mystery\" is not in this program (known: best, own") == 0);
    CHECK(said.find("<hocket/kernels/gemm/vendor_onednn.hpp> for \"onednn\"") != std::string::npos);
  }
}
