// PCA against eigenvalues in f64 of the same rounded input, under offsets of a million spreads; degenerate data;
// options.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/dense/arms.hpp>
#include <hocket/kernels/dense/reference.hpp>
#include <hocket/kernels/dense/vendor_lapack.hpp>
#include <hocket/kernels/gemm/vendor_blas.hpp>
#include <hocket/kernels/gemm/vendor_onednn.hpp>
#include <hocket/linalg/pca.hpp>

#include "catch.hpp"

namespace {

using namespace hocket::linalg;
using hocket::errc;
using hocket::name_of;
using hocket::view;

/// The gate of the project: |eigenvalue - f64 eigenvalue of the same rounded input| in units of the largest, f32.
constexpr double eigenvalue_gate = 1e-6;

/// rows (n,d) with standard deviations spread[j] in mixed directions, around offset.
template <class T>
std::vector<T> mixed_data(std::size_t n, std::size_t d, const std::vector<double>& spread, double offset,
                          std::uint64_t seed) {
  hocket::philox random(seed), mix(seed, 1);
  std::vector<double> v(d);
  double square = 0;
  for (double& x : v) {
    x = mix.next_normal();
    square += x * x;
  }
  std::vector<T> data(n * d);
  std::vector<double> row(d);
  for (std::size_t i = 0; i < n; ++i) {
    double along = 0;
    for (std::size_t j = 0; j < d; ++j) {
      row[j] = spread[j] * random.next_normal();
      along += row[j] * v[j];
    }
    for (std::size_t j = 0; j < d; ++j)
      data[i * d + j] =
          static_cast<T>(row[j] - 2 * along / square * v[j] + offset * (1 + 0.1 * static_cast<double>(j)));
  }
  return data;
}

std::vector<double> power_law(std::size_t d, double exponent) {
  std::vector<double> spread(d);
  for (std::size_t j = 0; j < d; ++j) spread[j] = std::pow(static_cast<double>(j + 1), -exponent);
  return spread;
}

/// Squared singular values of the centred data: the smaller of the two products, in long double.
template <class T>
std::vector<double> exact_squares(std::size_t n, std::size_t d, const std::vector<T>& data) {
  std::vector<long double> centred(data.begin(), data.end());
  for (std::size_t j = 0; j < d; ++j) {
    long double mean = 0;
    for (std::size_t i = 0; i < n; ++i) mean += centred[i * d + j];
    mean /= static_cast<long double>(n);
    for (std::size_t i = 0; i < n; ++i) centred[i * d + j] -= mean;
  }
  const std::size_t r = std::min(n, d), depth = std::max(n, d);
  std::vector<double> product(r * r), values(r), vectors(r * r);
  for (std::size_t i = 0; i < r; ++i)
    for (std::size_t j = 0; j <= i; ++j) {
      long double sum = 0;
      for (std::size_t q = 0; q < depth; ++q)
        sum += d <= n ? centred[q * d + i] * centred[q * d + j] : centred[i * d + q] * centred[j * d + q];
      product[i * r + j] = product[j * r + i] = static_cast<double>(sum);
    }
  hocket::kernels::dense::reference_eigen(r, product.data(), values.data(), vectors.data());
  return values;
}

template <class T>
pca_model<T> fit(const std::vector<T>& data, std::size_t n, std::size_t d, const pca_options& options,
                 int threads = 1) {
  return pca_fit<T>(view<const T, 2>(data.data(), {n, d}), options, hocket::cpu{threads});
}

/// `eigen` is what the eigensolver of the small problem may be off by.
template <class T>
void check_orthonormal(const pca_model<T>& model, double eigen = 0) {
  const std::size_t d = model.n_features;
  hocket::comparison result;
  for (std::size_t i = 0; i < model.n_components; ++i)
    for (std::size_t j = 0; j <= i; ++j) {
      double dot = 0;
      for (std::size_t q = 0; q < d; ++q)
        dot += static_cast<double>(model.components[i * d + q]) * static_cast<double>(model.components[j * d + q]);
      result.add(std::abs(dot - (i == j ? 1 : 0)), 8 * hocket::rounding<T>(std::sqrt(static_cast<double>(d))) + eigen);
    }
  INFO(result.message());
  CHECK(result);
}

template <class T>
void check_values(const pca_model<T>& model, const std::vector<double>& squares, double bound) {
  hocket::comparison result;
  const double degrees = static_cast<double>(model.n_samples - 1);
  for (std::size_t i = 0; i < model.n_components; ++i)
    result.add(std::abs(static_cast<double>(model.explained_variance[i]) * degrees - squares[i]), bound * squares[0]);
  INFO(std::string(name_of(model.solver)) << " " << result.message());
  CHECK((result.ok && result.count == model.n_components));
  double kept = 0;
  for (const T value : model.explained_variance) kept += static_cast<double>(value);
  const double left =
      model.noise_variance * static_cast<double>(std::min(model.n_samples, model.n_features) - model.n_components);
  CHECK(std::abs(kept + left - model.total_variance) <=
        4 * static_cast<double>(std::min(model.n_samples, model.n_features)) *
            hocket::rounding<T>(model.total_variance));
}

pca_options options_of(pca_solver solver, const std::string& k) {
  pca_options options;
  options.solver = solver;
  options.k = k;
  if (solver == pca_solver::randomized) options.n_iter = 9;
  return options;
}

constexpr pca_solver every_solver[] = {pca_solver::full,       pca_solver::covariance,  pca_solver::gram,
                                       pca_solver::randomized, pca_solver::incremental, pca_solver::automatic};

}  // namespace

TEST_CASE("f32 eigenvalues under an offset of a million spreads", "[pca]") {
  struct shape_case {
    std::size_t n, d;
    double exponent;
  };
  for (const auto& [n, d, exponent] : {shape_case{700, 24, 1.0}, {31, 57, 0.5}, {1501, 13, 0.0}, {40, 40, 2.0}})
    for (const double offset : {0.0, 1e3, 1e6}) {
      const auto data = mixed_data<float>(n, d, power_law(d, exponent), offset, n + d);
      const auto squares = exact_squares(n, d, data);
      for (const auto solver : every_solver) {
        pca_options options = options_of(solver, "all");
        options.batch_rows = 100;
        const auto model = fit(data, n, d, options);
        INFO("offset " << offset << ", " << n << " x " << d << ", " << std::string(name_of(solver)));
        REQUIRE(model.n_components == std::min(n, d));
        check_values(model, squares, eigenvalue_gate);
        check_orthonormal(model);
      }
    }
}

TEST_CASE("f32 eigenvalues where products are made in f32", "[pca]") {
  constexpr std::size_t n = 5003, d = 311;  // above the limit below which products are f64
  REQUIRE(static_cast<double>(n * d * d) > hocket::linalg::detail::wide_product_limit);
  for (const double offset : {0.0, 1e6}) {
    const auto data = mixed_data<float>(n, d, power_law(d, 0.7), offset, 3);
    const std::vector<double> wide(data.begin(), data.end());
    const auto exact = fit(wide, n, d, options_of(pca_solver::covariance, "20"));
    std::vector<double> squares;
    for (const double value : exact.explained_variance) squares.push_back(value * static_cast<double>(n - 1));
    for (const auto solver : {pca_solver::covariance, pca_solver::randomized}) {
      const auto model = fit(data, n, d, options_of(solver, "20"), 2);
      check_values(model, squares, eigenvalue_gate);
      check_orthonormal(model);
    }
  }
}

TEMPLATE_TEST_CASE("every solver, thread count and engine", "[pca]", float, double) {
  constexpr std::size_t n = 613, d = 71;
  const auto data = mixed_data<TestType>(n, d, power_law(d, 1.0), 5, 11);
  const auto squares = exact_squares(n, d, data);
  for (const auto solver : every_solver)
    for (const std::string engine : {"best", "own"}) {
      pca_options options = options_of(solver, "7");
      options.gemm = options.dense = engine;
      options.batch_rows = 200;
      if (solver == pca_solver::incremental) options.k = "all";
      const auto one = fit(data, n, d, options, 1);
      INFO(std::string(name_of(solver)) << ", engine " << engine);
      check_values(one, squares, std::is_same_v<TestType, float> ? eigenvalue_gate : hocket::rounding<double>(100));
      for (const int threads : {2, 3}) {
        const auto more = fit(data, n, d, options, threads);
        CHECK(more.components == one.components);
        CHECK(more.explained_variance == one.explained_variance);
        CHECK(more.noise_variance == one.noise_variance);
        CHECK(more.mean == one.mean);
      }
    }
}

TEST_CASE("signs: the element of largest absolute value is positive", "[pca]") {
  const auto data = mixed_data<double>(90, 11, power_law(11, 0.5), 0, 8);
  for (const auto solver : every_solver) {
    const auto model = fit(data, 90, 11, options_of(solver, "all"));
    for (std::size_t i = 0; i < model.n_components; ++i) {
      const double* row = model.components.data() + i * 11;
      CHECK(*std::max_element(row, row + 11, [](double a, double b) { return std::abs(a) < std::abs(b); }) > 0);
    }
  }
}

TEST_CASE("repeated eigenvalues: the subspace is found, whatever the vectors", "[pca]") {
  // columns of a two-level orthogonal design: centred, all of the same length
  constexpr std::size_t n = 64, d = 6, group = 4;
  std::vector<double> data(n * d);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < d; ++j) data[i * d + j] = ((i >> j) & 1 ? 1.0 : -1.0) * (j < group ? 3.0 : 1.0);
  for (const auto solver : every_solver) {
    pca_options options = options_of(solver, std::to_string(group));
    options.batch_rows = n;  // incremental cuts to k after each batch: exact for one batch alone
    const auto model = fit(data, n, d, options);
    INFO(std::string(name_of(solver)));
    for (std::size_t a = 0; a < d; ++a)
      for (std::size_t b = 0; b < d; ++b) {
        double projector = 0;
        for (std::size_t i = 0; i < group; ++i) projector += model.components[i * d + a] * model.components[i * d + b];
        CHECK(std::abs(projector - (a == b && a < group ? 1 : 0)) <= hocket::rounding<double>(64));
      }
  }
}

TEMPLATE_TEST_CASE("rank-deficient data, a constant column, no variance at all", "[pca]", float, double) {
  constexpr std::size_t n = 60, d = 17;
  auto spread = power_law(d, 1);
  for (std::size_t j = 5; j < d; ++j) spread[j] = 0;
  auto data = mixed_data<TestType>(n, d, spread, 0, 4);
  for (std::size_t i = 0; i < n; ++i) data[i * d + 3] = TestType(7);  // now at most rank 6
  const std::vector<TestType> constant(n * d, TestType(2.5));
  for (const auto solver : every_solver) {
    INFO(std::string(name_of(solver)));
    const auto model = fit(data, n, d, options_of(solver, "all"));
    check_orthonormal(model);
    CHECK(static_cast<double>(model.explained_variance[8]) <=
          64 * hocket::rounding<TestType>(static_cast<double>(model.explained_variance[0])));
    CHECK(std::abs(static_cast<double>(model.components[3])) <= 64 * hocket::rounding<TestType>(1));
    const auto flat = fit(constant, n, d, options_of(solver, "3"));
    check_orthonormal(flat);
    CHECK(flat.explained_variance == std::vector<TestType>(3, TestType(0)));
    CHECK(flat.explained_variance_ratio == std::vector<TestType>(3, TestType(0)));
    CHECK(flat.total_variance == 0);
  }
}

TEMPLATE_TEST_CASE("about as many components as the rank, which takes several blocks", "[pca]", float, double) {
  constexpr std::size_t n = 300, d = 64, constant = 3;
  auto data = mixed_data<TestType>(n, d, power_law(d, 0.5), 0, 9);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < constant; ++j) data[i * d + 20 * j] = TestType(7);
  const auto squares = exact_squares(n, d, data);
  double total = 0;
  for (const double square : squares) total += square;
  const double eigen = hocket::rounding<double>(hocket::kernels::dense::robust_promise({d, d}));
  for (const auto solver : every_solver)
    for (const std::size_t k : {d - constant - 1, d - constant, d - constant + 1, d}) {
      INFO(std::string(name_of(solver)) << ", k = " << k);
      const auto model = fit(data, n, d, options_of(solver, hocket::text(k)));
      check_orthonormal(model, eigen);
      double left = total, expected = total;
      for (std::size_t c = 0; c < k; ++c) {
        left -= static_cast<double>(model.explained_variance[c]) * (n - 1);
        expected -= squares[c];
      }
      CHECK(std::abs(left - expected) <= 64 * hocket::rounding<TestType>(total) + pca_options{}.tolerance * expected);
    }
}

TEST_CASE("k as a count, a share or all", "[pca]") {
  constexpr std::size_t n = 200, d = 12;
  const auto data = mixed_data<double>(n, d, power_law(d, 1.0), 1, 21);
  const auto squares = exact_squares(n, d, data);
  double total = 0;
  for (const double square : squares) total += square;
  for (const auto solver : {pca_solver::automatic, pca_solver::full, pca_solver::covariance, pca_solver::incremental})
    for (const double share : {0.05, 0.5, 0.9, 0.999}) {
      std::size_t count = 0;
      double sum = 0;
      while (count < d && sum <= share * total) sum += squares[count++];
      CHECK(fit(data, n, d, options_of(solver, hocket::text(share))).n_components == count);
    }
  CHECK(fit(data, n, d, options_of(pca_solver::automatic, "all")).n_components == d);
  CHECK(fit(data, n, d, options_of(pca_solver::automatic, "1")).n_components == 1);
  for (const std::string bad : {"0", "13", "1.0", "-1", "1.5", "0.0", "", "most", "nan", "3x"}) {
    INFO("k=" << bad);
    try {
      fit(data, n, d, options_of(pca_solver::automatic, bad));
      FAIL("accepted");
    } catch (const hocket::error& problem) {
      CHECK(problem.kind() == errc::bad_option);
    }
  }
  CHECK_THROWS_AS(fit(data, n, d, options_of(pca_solver::randomized, "0.9")), hocket::error);
}

TEMPLATE_TEST_CASE("scores, whitening and the way back", "[pca]", float, double) {
  constexpr std::size_t n = 301, d = 19;
  const auto data = mixed_data<TestType>(n, d, power_law(d, 0.8), 3, 5);
  const view<const TestType, 2> x(data.data(), {n, d});
  for (const bool whiten : {false, true}) {
    pca_options options = options_of(pca_solver::automatic, "all");
    options.whiten = whiten;
    const auto model = fit(data, n, d, options);
    std::vector<TestType> scores(n * d), back(n * d), again(n * d);
    pca_transform(model, x, view<TestType, 2>(scores.data(), {n, d}));
    pca_transform(model, x, view<TestType, 2>(again.data(), {n, d}), {}, hocket::cpu{2});
    CHECK(scores == again);
    pca_inverse_transform(model, view<const TestType, 2>(scores.data(), {n, d}),
                          view<TestType, 2>(back.data(), {n, d}));
    const double largest = hocket::max_abs(data.data(), data.size());
    CHECK(hocket::compare(back.data(), data.data(), data.size(), 32 * hocket::rounding<TestType>(largest)));
    for (std::size_t j = 0; j < d; ++j) {
      double square = 0;
      for (std::size_t i = 0; i < n; ++i)
        square += static_cast<double>(scores[i * d + j]) * static_cast<double>(scores[i * d + j]);
      const double wanted = whiten ? 1.0 : static_cast<double>(model.explained_variance[j]);
      const double first = whiten ? static_cast<double>(model.explained_variance[0] / model.explained_variance[j])
                                  : static_cast<double>(model.explained_variance[0]);
      CHECK(std::abs(square / static_cast<double>(n - 1) - wanted) <= 64 * hocket::rounding<TestType>(first));
    }
  }
}

TEST_CASE("incremental in any batches equals the whole when nothing is cut", "[pca]") {
  constexpr std::size_t n = 157, d = 14;
  const auto data = mixed_data<double>(n, d, power_law(d, 0.5), 1e6, 2);
  const auto whole = fit(data, n, d, options_of(pca_solver::full, "all"));
  for (const std::size_t batch : std::vector<std::size_t>{1, 2, 13, 100, 157}) {
    incremental_pca<double> steps(options_of(pca_solver::incremental, "all"));
    for (std::size_t first = 0; first < n; first += batch)
      steps.partial_fit(view<const double, 2>(data.data(), {n, d}).rows(first, std::min(batch, n - first)));
    const auto model = steps.model();
    INFO("batches of " << batch);
    const double unit = static_cast<double>(whole.explained_variance[0]);
    CHECK(hocket::compare(model.explained_variance.data(), whole.explained_variance.data(), d,
                          hocket::rounding<double>(1e4 * unit)));
    CHECK(hocket::compare(model.mean.data(), whole.mean.data(), d, hocket::rounding<double>(4 * 1e7)));
    CHECK(std::abs(model.total_variance - whole.total_variance) <=
          hocket::rounding<double>(1e4 * whole.total_variance));
  }
}

TEST_CASE("randomized: measured error between the optimum and Halko's bound; the tolerance is met", "[pca]") {
  constexpr std::size_t n = 400, d = 120, k = 9;
  for (const double exponent : {0.3, 0.5, 1.0, 2.0}) {
    const auto data = mixed_data<double>(n, d, power_law(d, exponent), 0, 77);
    const auto exact = fit(data, n, d, options_of(pca_solver::full, "all"));
    double optimal = 0;
    for (std::size_t i = k; i < d; ++i) optimal += exact.explained_variance[i];
    for (std::size_t q = 0; q <= 5; ++q) {
      pca_options options = options_of(pca_solver::randomized, std::to_string(k));
      options.n_iter = q;
      const auto model = fit(data, n, d, options);
      CHECK(model.products == q + 1);
      // spectral error: the largest singular value of what is left
      std::vector<double> scores(n * k), left(n * d);
      const view<const double, 2> x(data.data(), {n, d});
      pca_transform(model, x, view<double, 2>(scores.data(), {n, k}));
      pca_inverse_transform(model, view<const double, 2>(scores.data(), {n, k}), view<double, 2>(left.data(), {n, d}));
      for (std::size_t e = 0; e < left.size(); ++e) left[e] = data[e] - left[e];
      const double error = static_cast<double>(fit(left, n, d, options_of(pca_solver::full, "1")).singular_values[0]);
      const double least = static_cast<double>(exact.singular_values[k]);
      INFO("exponent " << exponent << ", q " << q << ": optimum " << least << ", error " << error << ", bound "
                       << model.error_bound.value_or(-1));
      REQUIRE(model.error_bound.has_value());
      CHECK(error <= *model.error_bound);
      CHECK(error >= least * (1 - hocket::rounding<double>(1e3)));
    }
    pca_options options;
    options.solver = pca_solver::randomized;
    options.k = std::to_string(k);
    for (const double tolerance : {1e-2, 1e-4, 1e-7})
      for (std::uint64_t seed = 0; seed < 5; ++seed) {
        options.tolerance = tolerance;
        options.seed = seed;
        const auto model = fit(data, n, d, options);
        INFO("exponent " << exponent << ", tolerance " << tolerance << ", products " << model.products);
        CHECK(model.converged);
        const double residual = model.residual * model.total_variance;
        CHECK(residual <= optimal * (1 + tolerance) + hocket::rounding<double>(model.total_variance * 100));
      }
  }
}

TEST_CASE("auto: the choice is stated and can be overridden", "[pca]") {
  CHECK(choose_pca_solver(20000, 512, 32).solver == pca_solver::covariance);
  CHECK(choose_pca_solver(5000, 5000, 50).solver == pca_solver::randomized);
  CHECK(choose_pca_solver(2000, 2048, 64).solver == pca_solver::randomized);
  CHECK(choose_pca_solver(1797, 64, 0).solver == pca_solver::full);
  CHECK(choose_pca_solver(500, 4000, 0).solver == pca_solver::gram);
  CHECK(choose_pca_solver(100000, 300, 0).solver == pca_solver::covariance);
  // small: exact, however few components are asked for
  CHECK(choose_pca_solver(100, 100, 5).solver == pca_solver::full);
  CHECK(choose_pca_solver(400, 400, 5).solver == pca_solver::covariance);
  CHECK(choose_pca_solver(100, 5000, 3).solver == pca_solver::gram);
  const auto data = mixed_data<double>(50, 8, power_law(8, 1), 0, 1);
  CHECK_FALSE(fit(data, 50, 8, {}).why.empty());
  // forcing another solver gives the same answer
  const auto chosen = fit(data, 50, 8, options_of(pca_solver::automatic, "2"));
  const auto forced = fit(data, 50, 8, options_of(pca_solver::covariance, "2"));
  CHECK(hocket::compare(chosen.components.data(), forced.components.data(), 16, hocket::rounding<double>(64)));
}

TEST_CASE("auto: small data get the eigenvalues of the full solver", "[pca]") {
  for (const std::size_t n : {std::size_t{100}, std::size_t{173}}) {
    const std::size_t d = 200 - n;
    const auto data = mixed_data<double>(n, d, power_law(d, 0.3), 2, n);
    const auto chosen = fit(data, n, d, options_of(pca_solver::automatic, "5"));
    const auto full = fit(data, n, d, options_of(pca_solver::full, "5"));
    CHECK(hocket::compare(chosen.explained_variance.data(), full.explained_variance.data(), 5,
                          hocket::rounding<double>(static_cast<double>(n + d) * full.explained_variance[0])));
  }
}

TEST_CASE("auto: on a flat spectrum the randomized solver gives way to an exact one", "[pca]") {
  const std::size_t n = 1200;
  REQUIRE(choose_pca_solver(n, n, 4).solver == pca_solver::randomized);
  const auto data = mixed_data<double>(n, n, power_law(n, 0), 0, 9);
  auto options = options_of(pca_solver::automatic, "4");
  options.tolerance = hocket::rounding<double>(1);  // out of reach of 20 products
  const auto chosen = fit(data, n, n, options);
  CHECK(chosen.solver == pca_solver::covariance);
  CHECK(chosen.converged);
}

TEST_CASE("what a PCA refuses", "[pca]") {
  auto data = mixed_data<float>(20, 5, power_law(5, 1), 0, 1);
  const auto refused = [](auto&& call, errc kind, const std::string& words) {
    try {
      call();
      FAIL("accepted");
    } catch (const hocket::error& problem) {
      CHECK(problem.kind() == kind);
      INFO(problem.what());
      CHECK(std::string(problem.what()).find(words) != std::string::npos);
    }
  };
  refused([&] { fit(data, 1, 5, {}); }, errc::unsupported_shape, "1 x 5");
  refused([&] { fit(data, 20, 5, {}, 0); }, errc::bad_option, "threads");
  refused([&] { fit(data, 20, 5, options_of(pca_solver::full, "6")); }, errc::bad_option, "5");
  pca_options unknown;
  unknown.gemm = "mystery";
  refused([&] { fit(data, 20, 5, unknown); }, errc::not_built, "mystery");
  const auto model = fit(data, 20, 5, {});
  std::vector<float> scores(20 * 5);
  refused(
      [&] {
        pca_transform(model, view<const float, 2>(data.data(), {20, 4}), view<float, 2>(scores.data(), {20, 5}));
      },
      errc::unsupported_shape, "4");
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    auto broken = data;
    broken[13 * 5 + 2] = value;
    for (const auto solver : every_solver)
      refused([&] { fit(broken, 20, 5, options_of(solver, "2")); }, errc::bad_value, "column 2");
    refused([&] { fit(broken, 20, 5, {}); }, errc::bad_value, "row 13");
    refused(
        [&] {
          pca_transform(model, view<const float, 2>(broken.data(), {20, 5}), view<float, 2>(scores.data(), {20, 5}));
        },
        errc::bad_value, "row 13, column 2");
  }
}

TEST_CASE("padded rows: what lies between them is not read", "[pca]") {
  constexpr std::size_t n = 33, d = 10, ld = 13;
  const auto dense = mixed_data<double>(n, d, power_law(d, 1), 2, 6);
  std::vector<double> padded(n * ld, std::numeric_limits<double>::quiet_NaN());
  for (std::size_t i = 0; i < n; ++i) std::copy_n(dense.data() + i * d, d, padded.data() + i * ld);
  for (const auto solver : every_solver) {
    const auto options = options_of(solver, "4");
    const auto model = pca_fit<double>(view<const double, 2>(padded.data(), {n, d}, {ld, 1}), options);
    CHECK(model.components == fit(dense, n, d, options).components);
  }
}
