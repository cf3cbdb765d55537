#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/io/npy.hpp>
#include <hocket/io/tsv.hpp>
#include <hocket/nn/logistic_regression.hpp>

#include "catch.hpp"

using namespace hocket;

namespace {

const std::filesystem::path oracles = std::filesystem::path(HOCKET_SOURCE_DIR) / "tests/oracles/nn";

struct random_set {
  std::vector<double> x;
  std::vector<std::uint32_t> labels;
  std::size_t rows, features, classes;
  view<const double, 2> values() const { return {x.data(), {rows, features}}; }
};

random_set make_set(std::size_t rows, std::size_t features, std::size_t classes, std::uint64_t seed) {
  random_set set{std::vector<double>(rows * features), std::vector<std::uint32_t>(rows), rows, features, classes};
  philox random(seed);
  for (std::size_t i = 0; i < rows; ++i) {
    set.labels[i] = static_cast<std::uint32_t>(random.next_below(classes));
    for (std::size_t j = 0; j < features; ++j)
      set.x[i * features + j] = random.next_normal() + (j % classes == set.labels[i] ? 1.0 : 0.0);
  }
  return set;
}

}  // namespace

TEST_CASE("the fit is scikit-learn's optimum", "[nn][logistic]") {
  const auto table = io::read_tsv(oracles / "cases.tsv");
  REQUIRE(table.rows.size() == 5);
  for (const auto& row : table.rows) {
    const std::string& name = row[table.column("name")];
    INFO(name);
    nn::logistic_options options;
    const double c = std::stod(row[table.column("C")]);
    const std::size_t classes = std::stoul(row[table.column("classes")]);
    options.l2 = (classes == 2 ? 2 : 1) / c;  // scikit-learn fits one weight vector for two classes
    set_option(options, "standardize", row[table.column("standardize")]);
    set_option(options, "class_weight", row[table.column("class_weight")]);
    options.tolerance = 1e-12;
    const auto x = io::read_npy(oracles / (name + "_x.npy"));
    const auto rows = x.as_view<double, 2>();
    const auto truth = io::read_npy_values<double>(oracles / (name + "_y.npy"), rows.extent(0));
    const std::vector<std::uint32_t> labels(truth.begin(), truth.end());
    const auto expected = io::read_npy_values<double>(oracles / (name + "_p.npy"), rows.extent(0) * classes);

    const auto model = nn::fit_logistic_regression(cpu{}, rows, labels, classes, options);
    CHECK(model.fit().stop != nn::lbfgs_stop::max_iterations);
    // The mean objective is strongly convex in W with modulus l2 / n: |W - optimum| <= |gradient| n / l2. A logit is
    // off by at most that times |x|, a probability by at most half of it; the same again for scikit-learn's own stop.
    double longest = 0;
    for (std::size_t i = 0; i < rows.extent(0); ++i) {
      double squares = 1;
      for (std::size_t j = 0; j < rows.extent(1); ++j) {
        const double z = (rows(i, j) - model.mean()[j]) / model.scale()[j];
        squares += z * z;
      }
      longest = std::max(longest, std::sqrt(squares));
    }
    const double parameters = static_cast<double>(model.weights().size());
    const double gradient = std::max(model.fit().largest_gradient, options.tolerance) * std::sqrt(parameters);
    const double bound = gradient * static_cast<double>(rows.extent(0)) / options.l2 * longest;
    const auto ours = model.probabilities(rows);
    const auto outcome = compare(ours.data(), expected.data(), ours.size(), bound);
    INFO(outcome.message());
    CHECK(outcome);
    CHECK(bound < 1.0 / static_cast<double>(rows.extent(0)));  // the bound itself says something
  }
}

TEST_CASE("the gradient is that of finite differences", "[nn][logistic]") {
  const auto set = make_set(301, 7, 5, 3);
  nn::logistic_options options;
  options.class_weight = nn::class_weighting::balanced;
  const nn::logistic_problem problem(set.values(), set.labels, set.classes, options);
  auto work = problem.make_workspace(cpu{});
  philox random(4);
  std::vector<double> w(5 * 8), gradient(w.size()), ignored(w.size());
  for (double& value : w) value = random.next_normal();
  const auto at = [&](const std::vector<double>& weights, std::vector<double>& into) {
    return problem.value_and_gradient(cpu{}, work, 0.7, {weights.data(), {5, 8}}, {into.data(), {5, 8}});
  };
  const double value = at(w, gradient);
  // Central differences err by h^2 times a third derivative and by epsilon |f| / h; h = epsilon^(1/3) balances both.
  const double h = std::cbrt(std::numeric_limits<double>::epsilon());
  double scale = 0;
  for (const double x : set.x) scale = std::max(scale, std::abs(x));
  const double bound = h * h * std::max(std::abs(value), 1.0) * scale * scale * scale;
  for (std::size_t i = 0; i < w.size(); ++i) {
    std::vector<double> above = w, below = w;
    above[i] += h;
    below[i] -= h;
    CHECK(std::abs((at(above, ignored) - at(below, ignored)) / (2 * h) - gradient[i]) <= bound);
  }
}

TEST_CASE("one and two threads give the same bits", "[nn][logistic]") {
  for (const std::size_t rows :
       {std::size_t{1}, std::size_t{255}, std::size_t{256}, std::size_t{257}, std::size_t{1500}}) {
    const auto set = make_set(rows, 13, 3, rows);
    const auto one = nn::fit_logistic_regression(cpu{1}, set.values(), set.labels, 3);
    const auto two = nn::fit_logistic_regression(cpu{2}, set.values(), set.labels, 3);
    CHECK(std::equal(one.weights().data(), one.weights().data() + one.weights().size(), two.weights().data()));
    CHECK(one.fit().evaluations == two.fit().evaluations);
  }
}

TEST_CASE("a warm start changes the path, not the optimum", "[nn][logistic]") {
  const auto set = make_set(400, 10, 4, 9);
  nn::logistic_options options;
  nn::logistic_problem path(set.values(), set.labels, 4, options);
  path.fit(cpu{}, 100);
  const auto warm = path.fit(cpu{}, 1);
  options.l2 = 1;
  const auto cold = nn::fit_logistic_regression(cpu{}, set.values(), set.labels, 4, options);
  CHECK(warm.predict(set.values()) == cold.predict(set.values()));
  CHECK(std::abs(warm.fit().value - cold.fit().value) <= options.tolerance);
}

TEST_CASE("constant features, one row per class and empty classes are no trouble", "[nn][logistic]") {
  std::vector<double> x = {1e9, 1, 1e9, 2, 1e9, 3};
  const std::vector<std::uint32_t> labels = {0, 1, 3};
  const auto model = nn::fit_logistic_regression(cpu{}, view<const double, 2>(x.data(), {3, 2}), labels, 4);
  CHECK(model.scale()[0] == 1);
  for (const double p : model.probabilities(view<const double, 2>(x.data(), {3, 2}))) CHECK((p >= 0 && p <= 1));
  const auto predicted = model.predict(view<const double, 2>(x.data(), {3, 2}));
  for (const std::uint32_t label : predicted) CHECK(label != 2);
}

TEST_CASE("wrong arguments are refused by name", "[nn][logistic]") {
  auto set = make_set(10, 3, 2, 1);
  const auto fit = [&](std::size_t classes = 2) {
    return nn::fit_logistic_regression(cpu{}, set.values(), set.labels, classes);
  };
  CHECK_THROWS_WITH(fit(1), Catch::Contains("at least 2 classes"));
  const auto model = fit();
  CHECK_THROWS_WITH(model.predict(view<const double, 2>(set.x.data(), {2, 4})), Catch::Contains("fitted on 3"));
  nn::logistic_problem problem(set.values(), set.labels, 2);
  CHECK_THROWS_WITH(problem.fit(cpu{}, -1), Catch::Contains("l2"));
  CHECK_THROWS_AS(problem.fit(cpu{0}, 1), error);
  set.labels[4] = 2;
  CHECK_THROWS_WITH(fit(), Catch::Contains("label 2 of row 4"));
  set.labels.pop_back();
  CHECK_THROWS_AS(fit(), error);
  set.labels = std::vector<std::uint32_t>(10, 1);
  set.x[7] = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(fit(), Catch::Contains("row 2, feature 1"));
}
