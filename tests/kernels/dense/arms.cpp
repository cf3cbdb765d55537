// Every dense solver against Jacobi's rotations in long double: values, residuals, orthogonality; degenerate spectra.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/dense/arms.hpp>

#include "catch.hpp"
#include "machine_sets.hpp"

namespace {

namespace dense = hocket::kernels::dense;
using matrix = std::vector<double>;

/// H diag(values) H with a random reflector H: symmetric with known eigenvalues.
matrix with_spectrum(const std::vector<double>& values, std::uint64_t seed) {
  const std::size_t n = values.size();
  hocket::philox random(seed);
  std::vector<double> v(n);
  double square = 0;
  for (double& x : v) {
    x = random.next_normal();
    square += x * x;
  }
  matrix a(n * n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t q = 0; q < n; ++q)
        a[i * n + j] +=
            ((i == q ? 1 : 0) - 2 * v[i] * v[q] / square) * values[q] * ((j == q ? 1 : 0) - 2 * v[j] * v[q] / square);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < i; ++j) a[i * n + j] = a[j * n + i];
  return a;
}

std::vector<std::pair<std::string, matrix>> symmetric_matrices(std::size_t n) {
  std::vector<std::pair<std::string, matrix>> list;
  std::vector<double> power(n), repeated(n), graded(n), identity(n, 1.0), rank_one(n, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    power[i] = 1 / static_cast<double>(i + 1);
    repeated[i] = i < n / 3 ? 2.0 : i < n / 2 ? 1.0 : 0.0;
    graded[i] = std::pow(10.0, -static_cast<double>(i) / 3);
  }
  rank_one[0] = 3;
  list.emplace_back("power law", with_spectrum(power, n));
  list.emplace_back("repeated", with_spectrum(repeated, n + 1));
  list.emplace_back("graded", with_spectrum(graded, n + 2));
  list.emplace_back("rank one", with_spectrum(rank_one, n + 3));
  list.emplace_back("identity", with_spectrum(identity, n + 4));
  list.emplace_back("zero", matrix(n * n, 0.0));
  matrix diagonal(n * n), wilkinson(n * n), random_signs(n * n);
  hocket::philox random(9);
  for (std::size_t i = 0; i < n; ++i) {
    diagonal[i * n + i] = static_cast<double>((i * 7) % n);
    wilkinson[i * n + i] = std::abs(static_cast<double>(i) - static_cast<double>(n / 2));  // pairs of close eigenvalues
    if (i + 1 < n) wilkinson[i * n + i + 1] = wilkinson[(i + 1) * n + i] = 1;
    for (std::size_t j = 0; j <= i; ++j)
      random_signs[i * n + j] = random_signs[j * n + i] = random.next_normal() * 1e150;
  }
  list.emplace_back("diagonal", diagonal);
  list.emplace_back("Wilkinson", wilkinson);
  list.emplace_back("indefinite, huge", random_signs);
  return list;
}

template <class T>
hocket::comparison orthonormal(std::size_t r, std::size_t n, const std::vector<T>& rows, double bound) {
  hocket::comparison result;
  for (std::size_t i = 0; i < r; ++i)
    for (std::size_t j = 0; j <= i; ++j) {
      double dot = 0;
      for (std::size_t q = 0; q < n; ++q)
        dot += static_cast<double>(rows[i * n + q]) * static_cast<double>(rows[j * n + q]);
      result.add(std::abs(dot - (i == j ? 1 : 0)), bound);
    }
  return result;
}

template <class T>
void check_eigen(const dense::dense_arm<T>& arm, std::size_t n, std::size_t k, const std::string& name,
                 const matrix& exact) {
  INFO(arm.name << ", " << name << ", n = " << n << ", k = " << k);
  const double shrink = std::is_same_v<T, float> && name == "indefinite, huge" ? 1e-130 : 1.0;
  std::vector<T> a(n * n), values(k), vectors(k * n), workspace(arm.run.eigen_workspace(n, k)), wanted(n), all(n * n);
  for (std::size_t e = 0; e < n * n; ++e) a[e] = static_cast<T>(exact[e] * shrink);
  dense::reference_eigen(n, a.data(), wanted.data(), all.data());
  std::vector<T> kept = a, again = a, only(k);
  REQUIRE(arm.run.eigen(n, k, a.data(), values.data(), vectors.data(), workspace.data()));
  REQUIRE(arm.run.eigen(n, k, again.data(), only.data(), nullptr, workspace.data()));
  const double largest =
      std::max(std::abs(static_cast<double>(wanted[0])), std::abs(static_cast<double>(wanted[n - 1])));
  const double unit = arm.promise({n, n}) * hocket::rounding<T>(largest);
  CHECK(hocket::compare(values.data(), wanted.data(), k, unit));
  CHECK(hocket::compare(only.data(), wanted.data(), k, unit));
  CHECK(orthonormal(k, n, vectors, arm.promise({n, n}) * hocket::rounding<T>(1)));
  hocket::comparison residual;
  for (std::size_t v = 0; v < k; ++v)
    for (std::size_t i = 0; i < n; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < n; ++j)
        sum += static_cast<double>(kept[i * n + j]) * static_cast<double>(vectors[v * n + j]);
      residual.add(std::abs(sum - static_cast<double>(values[v]) * static_cast<double>(vectors[v * n + i])), unit);
    }
  CHECK(residual);
}

template <class T>
void check_svd(const dense::dense_arm<T>& arm, std::size_t m, std::size_t n, std::size_t rank) {
  INFO(arm.name << ", " << m << " x " << n << " of rank " << rank);
  hocket::philox random(m * 100 + n);
  std::vector<double> left(m * rank), right(rank * n);
  for (double& x : left) x = random.next_normal();
  for (double& x : right) x = random.next_normal();
  const std::size_t r = std::min(m, n);
  std::vector<T> a(m * n), values(r), rows(r * n), workspace(arm.run.svd_workspace(m, n)), wanted(r);
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::size_t q = 0; q < rank; ++q)
        sum += left[i * rank + q] * right[q * n + j] / static_cast<double>(q * q + 1);
      a[i * n + j] = static_cast<T>(sum);
    }
  dense::reference_singular_values(m, n, a.data(), wanted.data());
  const std::vector<T> kept = a;
  REQUIRE(arm.run.svd(m, n, a.data(), values.data(), rows.data(), workspace.data()));
  const double unit = arm.promise({m, n}) * hocket::rounding<T>(std::max(static_cast<double>(wanted[0]), 0.0));
  CHECK(hocket::compare(values.data(), wanted.data(), r, unit));
  CHECK(orthonormal(r, n, rows, arm.promise({m, n}) * hocket::rounding<T>(1)));
  // A v is as long as the singular value
  for (std::size_t v = 0; v < r; ++v) {
    double square = 0;
    for (std::size_t i = 0; i < m; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < n; ++j)
        sum += static_cast<double>(kept[i * n + j]) * static_cast<double>(rows[v * n + j]);
      square += sum * sum;
    }
    CHECK(std::abs(std::sqrt(square) - static_cast<double>(values[v])) <= unit);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("every symmetric eigensolver keeps its promise", "[dense]", float, double) {
  for (const auto& arm : dense::arms<TestType>())
    for (const std::size_t n : std::vector<std::size_t>{1, 2, 3, 7, 21, 32, 53})
      for (const auto& [name, exact] : symmetric_matrices(n))
        for (const std::size_t k : {n, std::min<std::size_t>(n, 5)}) check_eigen<TestType>(arm, n, k, name, exact);
}

TEMPLATE_TEST_CASE("every singular value solver keeps its promise", "[dense]", float, double) {
  for (const auto& arm : dense::arms<TestType>())
    for (const auto& [m, n] : std::vector<std::pair<std::size_t, std::size_t>>{
             {1, 1}, {1, 9}, {9, 1}, {2, 3}, {31, 31}, {64, 17}, {17, 64}, {97, 40}})
      for (const std::size_t rank : {std::min(m, n), std::size_t{1}, std::size_t{0}, std::min(m, n) / 2})
        check_svd<TestType>(arm, m, n, rank);
}

TEMPLATE_TEST_CASE("our solvers keep their promise on every instruction set", "[dense]", float, double) {
  for (const auto set : hocket::tests::machine_sets()) {
    const hocket::tests::on_isa guard(set);
    const auto arm = dense::arms<TestType>().front();
    REQUIRE(arm.name == "own");
    for (const auto& [name, exact] : symmetric_matrices(37)) check_eigen<TestType>(arm, 37, 37, name, exact);
    check_svd<TestType>(arm, 45, 38, 38);
  }
}

TEST_CASE("what is not finite does not converge", "[dense]") {
  const auto arm = dense::arms<double>().front();
  matrix a(9, std::numeric_limits<double>::quiet_NaN()), values(3), vectors(9), workspace(200);
  CHECK_FALSE(arm.run.svd(3, 3, a.data(), values.data(), vectors.data(), workspace.data()));
}
