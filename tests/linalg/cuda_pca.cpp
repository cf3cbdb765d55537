// The CUDA PCA run end to end on the host executor: against f64 eigenvalues of the same data and against the CPU's
// solvers within the sum of the promises, the same bits in every order of threads, with a count of what answered.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/covariance/reference.hpp>
#include <hocket/kernels/dense/reference.hpp>
#include <hocket/linalg/cuda_pca.cuh>

#include "catch.hpp"
#include "cuda_host/vendors.hpp"
#include "error_kind.hpp"

namespace {

using namespace hocket;
using linalg::pca_eigenvalue_promise;
using linalg::pca_model;
using linalg::pca_options;
using linalg::pca_solver;
using tests::error_of, tests::starts;

/// (n,d) around an offset that differs by column; the spread of column j is (j + 1)^-exponent, mixed by a reflection.
std::vector<float> data_of(std::size_t n, std::size_t d, double exponent, double offset) {
  philox random(n + d), mix(n + d, 1);
  std::vector<double> v(d), row(d);
  double square = 0;
  for (double& x : v) {
    x = mix.next_normal();
    square += x * x;
  }
  std::vector<float> data(n * d);
  for (std::size_t i = 0; i < n; ++i) {
    double along = 0;
    for (std::size_t j = 0; j < d; ++j) {
      row[j] = std::pow(static_cast<double>(j + 1), -exponent) * random.next_normal();
      along += row[j] * v[j];
    }
    for (std::size_t j = 0; j < d; ++j)
      data[i * d + j] =
          static_cast<float>(row[j] - 2 * along / square * v[j] + offset * (1 + 0.1 * static_cast<double>(j)));
  }
  return data;
}

/// Squared singular values of the centred data, from long double sums.
std::vector<double> exact_squares(std::size_t n, std::size_t d, const std::vector<float>& data) {
  std::vector<double> centred(n * d), product(d * d), values(d), vectors(d * d);
  for (std::size_t j = 0; j < d; ++j) {
    long double mean = 0;
    for (std::size_t i = 0; i < n; ++i) mean += static_cast<long double>(data[i * d + j]);
    mean /= static_cast<long double>(n);
    for (std::size_t i = 0; i < n; ++i)
      centred[i * d + j] = static_cast<double>(static_cast<long double>(data[i * d + j]) - mean);
  }
  kernels::covariance::reference(n, d, d, centred.data(), centred.data(), product.data());
  kernels::dense::reference_eigen(d, product.data(), values.data(), vectors.data());
  return values;
}

pca_options options_of(pca_solver solver, const std::string& k, const std::string& gemm) {
  pca_options options;
  options.solver = solver;
  options.k = k;
  options.gemm = gemm;
  if (solver == pca_solver::randomized) options.n_iter = 6;
  return options;
}

pca_model<float> fit_on(cuda_host::machine& machine, const std::vector<float>& data, std::size_t n, std::size_t d,
                        const pca_options& options) {
  return linalg::pca_fit(view<const float, 2>(data.data(), {n, d}), options, machine.device());
}

void check_model(const pca_model<float>& model, const std::vector<double>& squares, double promise) {
  const std::size_t d = model.n_features;
  comparison values, vectors;
  for (std::size_t i = 0; i < model.n_components; ++i) {
    values.add(std::abs(static_cast<double>(model.explained_variance[i]) * static_cast<double>(model.n_samples - 1) -
                        squares[i]),
               promise * squares[0]);
    for (std::size_t j = 0; j <= i; ++j) {
      double dot = 0;
      for (std::size_t q = 0; q < d; ++q)
        dot += static_cast<double>(model.components[i * d + q]) * static_cast<double>(model.components[j * d + q]);
      vectors.add(std::abs(dot - (i == j ? 1 : 0)), 8 * rounding<float>(std::sqrt(static_cast<double>(d))));
    }
  }
  INFO("values " << values.message() << "; orthonormality " << vectors.message());
  CHECK((values.ok && values.count == model.n_components));
  CHECK((vectors.ok && vectors.count > 0));
}

/// Launches whose name starts so.
std::size_t launches(const std::string& stem) {
  std::size_t sum = 0;
  for (const auto& [name, count] : cuda_host::launch_counts)
    if (name.rfind(stem, 0) == 0) sum += count;
  return sum;
}

}  // namespace

TEST_CASE("CUDA eigenvalues under an offset of a million spreads, own products and cuBLAS", "[pca][cuda_host]") {
  struct trial {
    std::size_t n, d;
    double exponent;
    const char* k;
  };
  for (const auto& [n, d, exponent, k] : {trial{700, 24, 1.0, "5"}, {31, 57, 0.5, "31"}, {257, 13, 0.0, "13"}})
    for (const double offset : {0.0, 1e6}) {
      const auto data = data_of(n, d, exponent, offset);
      const auto squares = exact_squares(n, d, data);
      for (const auto solver : {pca_solver::covariance, pca_solver::randomized})
        for (const std::string gemm : {"own", "cublas"}) {
          INFO(n << " x " << d << ", offset " << offset << ", " << std::string(name_of(solver)) << ", gemm " << gemm);
          cuda_host::machine_with_vendors machine;
          cuda_host::launch_counts.clear();
          const auto model = fit_on(machine, data, n, d, options_of(solver, k, gemm));
          REQUIRE(text(model.n_components) == k);
          check_model(model, squares, pca_eigenvalue_promise);
          CHECK(std::abs(model.total_variance * static_cast<double>(n - 1) - [&] {
                  double sum = 0;
                  for (const double square : squares) sum += square;
                  return sum;
                }()) <= pca_eigenvalue_promise * squares[0]);
          CHECK(machine.memory_in_use() == 0);

          // what answered, and nothing else did
          CHECK(launches("hocket_centre_column_sums_f32") == 1);
          CHECK(launches("hocket_centre_means_f32") == 1);
          CHECK(launches("hocket_centre_subtract_f32") == 1);
          CHECK(launches("hocket_covariance_join_f64") >= 1);
          CHECK(launches("cusolverDnXsyevd") >= 1);
          CHECK((launches("hocket_gemm_tiled_tn_f32") > 0) == (gemm == "own"));
          CHECK((launches("cublas") > 0) == (gemm == "cublas"));
          if (solver == pca_solver::covariance) CHECK(launches("") == 6 + (n > 256 && n % 256 ? 2u : 0u));
          if (solver == pca_solver::randomized) {
            CHECK(model.products == 7);
            CHECK(launches("hocket_covariance_narrow_f32") == 7);
            CHECK((launches("hocket_gemm_tiled_nn_f32") >= 8) == (gemm == "own"));
          }
        }
    }
}

TEST_CASE("CUDA and CPU agree within the sum of their promises", "[pca][cuda_host]") {
  const std::size_t n = 430, d = 37, k = 6;
  const auto data = data_of(n, d, 0.8, 3);
  const view<const float, 2> x(data.data(), {n, d});
  cuda_host::machine_with_vendors machine;
  for (const auto solver : {pca_solver::covariance, pca_solver::randomized}) {
    const pca_options options = options_of(solver, text(k), "best");
    const auto ours = fit_on(machine, data, n, d, options);
    const auto cpu_model = linalg::pca_fit<float>(x, options);
    std::vector<double> squares;
    for (const float v : cpu_model.explained_variance)
      squares.push_back(static_cast<double>(v) * static_cast<double>(n - 1));
    check_model(ours, squares, 2 * pca_eigenvalue_promise);
    CHECK(compare(ours.mean.data(), cpu_model.mean.data(), d, 2 * rounding<float>(max_abs(data.data(), n * d))));
    CHECK(std::abs(ours.total_variance - cpu_model.total_variance) <=
          2 * pca_eigenvalue_promise * cpu_model.total_variance);
    // a component turns by at most the error of the matrix over its distance to the next eigenvalue (Davis and Kahan)
    for (std::size_t i = 0; i < k; ++i) {
      double dot = 0, gap = squares[0];
      for (std::size_t j = 0; j < d; ++j)
        dot += static_cast<double>(ours.components[i * d + j]) * static_cast<double>(cpu_model.components[i * d + j]);
      if (i > 0) gap = std::min(gap, squares[i - 1] - squares[i]);
      if (i + 1 < k) gap = std::min(gap, squares[i] - squares[i + 1]);
      if (i + 1 == k) gap = std::min(gap, squares[i] - *cpu_model.next_singular_value * *cpu_model.next_singular_value);
      const double angle = 2 * pca_eigenvalue_promise * static_cast<double>(d) * squares[0] / gap;
      CHECK(dot >= 1 - angle);
    }
  }
}

TEST_CASE("the CUDA PCA gives the same bits in every order of threads", "[pca][cuda_host]") {
  const std::size_t n = 300, d = 19;
  const auto data = data_of(n, d, 1.0, 100);
  for (const auto solver : {pca_solver::covariance, pca_solver::randomized}) {
    pca_model<float> first;
    for (const auto& how : {cuda_host::execution{}, {cuda_host::order::descending, 1}, {cuda_host::order::random, 2}}) {
      cuda_host::machine_with_vendors machine(how);
      auto options = options_of(solver, "3", "own");
      if (options.n_iter) options.n_iter = 1;
      const auto model = fit_on(machine, data, n, d, options);
      if (first.n_components == 0) first = model;
      CHECK(model.components == first.components);
      CHECK(model.explained_variance == first.explained_variance);
      CHECK(model.mean == first.mean);
      CHECK(model.total_variance == first.total_variance);
    }
    CHECK(first.n_components == 3);
  }
}

TEST_CASE("randomized on CUDA meets its tolerance and states Halko's bound", "[pca][cuda_host]") {
  const std::size_t n = 500, d = 60, k = 4;
  for (const double exponent : {0.3, 1.0, 2.0}) {
    const auto data = data_of(n, d, exponent, 0);
    const auto squares = exact_squares(n, d, data);
    double optimal = 0, total = 0;
    for (std::size_t i = 0; i < d; ++i) {
      total += squares[i];
      if (i >= k) optimal += squares[i];
    }
    cuda_host::machine_with_vendors machine;
    pca_options options = options_of(pca_solver::randomized, text(k), "best");
    options.n_iter.reset();
    const auto model = fit_on(machine, data, n, d, options);
    INFO("exponent " << exponent << ", " << model.products << " products");
    const double slack = pca_eigenvalue_promise * static_cast<double>(k) * squares[0];
    CHECK(model.converged);
    CHECK(model.residual * total <= optimal * (1 + options.tolerance) + slack);
    CHECK(model.residual * total >= optimal - slack);
    REQUIRE(model.error_bound.has_value());
    CHECK(*model.error_bound >= std::sqrt(squares[k]) * (1 - pca_eigenvalue_promise));
    options.n_iter = 0;
    const auto rough = fit_on(machine, data, n, d, options);
    CHECK(rough.products == 1);
    CHECK(rough.residual >= model.residual - pca_eigenvalue_promise);
  }
}

TEST_CASE("rank-deficient data, a constant column and no variance at all on CUDA", "[pca][cuda_host]") {
  const std::size_t n = 60, d = 17;
  auto data = data_of(n, d, 1.0, 0);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 5; j < d; ++j) data[i * d + j] = data[i * d + j % 5] * static_cast<float>(j);
    data[i * d + 3] = 7;
  }
  const std::vector<float> constant(n * d, 2.5f);
  const auto squares = exact_squares(n, d, data);
  for (const auto solver : {pca_solver::covariance, pca_solver::randomized, pca_solver::automatic}) {
    INFO(std::string(name_of(solver)));
    cuda_host::machine_with_vendors machine;
    const auto model = fit_on(machine, data, n, d, options_of(solver, "all", "best"));
    REQUIRE(model.n_components == d);
    check_model(model, squares, pca_eigenvalue_promise);
    const auto flat = fit_on(machine, constant, n, d, options_of(solver, "3", "best"));
    check_model(flat, std::vector<double>(3, 0.0), 0);
    CHECK(flat.total_variance == 0);
  }
  cuda_host::machine_with_vendors machine;
  const auto share = fit_on(machine, data, n, d, options_of(pca_solver::automatic, "0.9", "best"));
  CHECK(share.n_components < 6);
  CHECK(share.residual < 0.1);
}

TEST_CASE("about as many components as the rank on CUDA", "[pca][cuda_host]") {
  constexpr std::size_t n = 300, d = 64, constant = 3;
  auto data = data_of(n, d, 0.5, 0);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < constant; ++j) data[i * d + 20 * j] = 7;
  const auto squares = exact_squares(n, d, data);
  cuda_host::machine_with_vendors machine;
  for (const bool fixed : {false, true})
    for (const std::size_t k : {d - constant - 1, d - constant, d - constant + 1, d}) {
      INFO("k = " << k << (fixed ? ", a fixed number of products" : ""));
      auto options = options_of(pca_solver::randomized, text(k), "best");
      if (!fixed) options.n_iter.reset();
      check_model(fit_on(machine, data, n, d, options), squares, pca_eigenvalue_promise);
    }
  // rank 8 in 64 columns, one of the nine constant: most of what the random block holds is rounding
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 9; j < d; ++j) data[i * d + j] = data[i * d + j % 9] * static_cast<float>(1 + j % 5);
  const auto few = exact_squares(n, d, data);
  for (const std::size_t k : std::vector<std::size_t>{8, 9, 30}) {
    INFO("rank 8, k = " << k);
    check_model(fit_on(machine, data, n, d, options_of(pca_solver::randomized, text(k), "own")), few,
                pca_eigenvalue_promise);
  }
}

TEST_CASE("a padded view is fitted like a dense one", "[pca][cuda_host]") {
  const std::size_t n = 50, d = 7, ld = 10;
  const auto data = data_of(n, d, 0.5, 10);
  std::vector<float> padded(n * ld, std::numeric_limits<float>::quiet_NaN());
  for (std::size_t i = 0; i < n; ++i) std::copy_n(data.data() + i * d, d, padded.data() + i * ld);
  cuda_host::machine_with_vendors machine;
  const auto options = options_of(pca_solver::covariance, "all", "best");
  const auto model = linalg::pca_fit(view<const float, 2>(padded.data(), {n, d}, {ld, 1}), options, machine.device());
  CHECK(model.components == fit_on(machine, data, n, d, options).components);
}

TEST_CASE("what the CUDA PCA refuses, by name", "[pca][cuda_host]") {
  const std::size_t n = 40, d = 6;
  auto data = data_of(n, d, 1.0, 0);
  const auto refusal = [&](cuda_host::machine& machine, const pca_options& options) {
    return error_of([&] { fit_on(machine, data, n, d, options); });
  };
  const auto covariance = options_of(pca_solver::covariance, "2", "best");
  cuda_host::machine_with_vendors machine;
  CHECK(refusal(machine, covariance) == "");
  for (const auto solver : {pca_solver::full, pca_solver::gram, pca_solver::incremental})
    CHECK(starts(refusal(machine, options_of(solver, "2", "best")), "not_built: solver="));
  CHECK(starts(refusal(machine, options_of(pca_solver::covariance, "2", "onednn")), "not_built: gemm=onednn"));
  CHECK(starts(refusal(machine, options_of(pca_solver::randomized, "0.9", "best")), "bad_option"));
  CHECK(starts(refusal(machine, options_of(pca_solver::covariance, "7", "best")), "bad_option"));
  cuda_host::machine plain;
  CHECK(starts(refusal(plain, covariance), "not_built: this cuda_on_host machine has no stand-in for cuBLAS"));
  machine.limit_memory(1000);
  CHECK(refusal(machine, covariance) == "out_of_memory: means: the device cannot allocate 48 bytes");
  machine.limit_memory(900);
  CHECK(refusal(machine, covariance) == "out_of_memory: data: the device cannot allocate 960 bytes");
  CHECK(machine.memory_in_use() == 0);
  machine.limit_memory(std::size_t{1} << 30);
  CHECK(starts(error_of([&] {
                 linalg::pca_fit(view<const float, 2>(data.data(), {n, d}), covariance, cuda_on_host{});
               }),
               "no_device"));
  CHECK(starts(error_of([&] {
                 linalg::pca_fit(view<const float, 2>(nullptr, {n, d}), covariance, machine.device());
               }),
               "bad_pointer"));
  CHECK(starts(error_of([&] { fit_on(machine, data, 1, d, covariance); }), "unsupported_shape"));
  data[3 * d + 2] = std::numeric_limits<float>::quiet_NaN();
  CHECK(starts(refusal(machine, covariance), "bad_value: value at row 3, column 2"));
  data[3 * d + 2] = std::numeric_limits<float>::max();
  CHECK(starts(refusal(machine, covariance), "bad_value: "));
  CHECK(machine.memory_in_use() == 0);
}
