// Against scipy and scikit-learn: tests/oracles/eval/make_statistics.py made the values.
#include <fstream>

#include <nlohmann/json.hpp>

#include <hocket/core/tolerance.hpp>
#include <hocket/eval/metrics.hpp>
#include <hocket/eval/statistics.hpp>

#include "catch.hpp"

using namespace hocket;
using namespace hocket::eval;

namespace {

const nlohmann::json& oracle() {
  static const nlohmann::json values = [] {
    std::ifstream in(HOCKET_SOURCE_DIR "/tests/oracles/eval/statistics.json");
    return nlohmann::json::parse(in);
  }();
  return values;
}

double normal_density(double z) { return std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi); }

/// What log-gamma's own rounding does to a Student probability: terms of this size are subtracted in an exponent.
/// scipy's value carries the same once more.
double student_error(double dof) {
  const double terms = std::abs(std::lgamma(dof / 2 + 0.5)) + std::abs(std::lgamma(dof / 2)) + dof + 16;
  return 2 * rounding<double>(terms);
}

}  // namespace

TEST_CASE("quantiles are scipy's", "[eval][statistics]") {
  for (const auto& row : oracle().at("normal_quantile")) {
    const double p = row[0], z = row[1];
    INFO(p);
    CHECK(std::abs(normal_quantile(p) - z) <=
          4 * rounding<double>(std::abs(z) + std::max(p, 1e-16) / normal_density(z)));
  }
  for (const auto& row : oracle().at("student_cdf")) {
    const double t = row[0], dof = row[1], p = row[2];
    INFO(t << " " << dof);
    CHECK(std::abs(student_cdf(t, dof) - p) <= student_error(dof));
  }
  for (const auto& row : oracle().at("student_quantile")) {
    const double p = row[0], dof = row[1], t = row[2];
    // An error e of the probability moves the quantile by e / density; the slope is measured on the function itself.
    const double step = 1e-4 * std::abs(t);
    const double slope = (student_cdf(t + step, dof) - student_cdf(t - step, dof)) / (2 * step);
    INFO(p << " " << dof);
    CHECK(std::abs(student_quantile(p, dof) - t) <= 2 * student_error(dof) / slope + rounding<double>(std::abs(t)));
  }
  CHECK_THROWS_AS(normal_quantile(0), error);
  CHECK_THROWS_AS(student_quantile(1, 3), error);
}

TEST_CASE("Wilson's interval is scipy's", "[eval][statistics]") {
  for (const auto& row : oracle().at("wilson")) {
    const interval ours = wilson(row.at("k"), row.at("n"), row.at("level"));
    INFO(row.dump());
    CHECK(std::abs(ours.low - row.at("low").get<double>()) <= 16 * rounding<double>(1));
    CHECK(std::abs(ours.high - row.at("high").get<double>()) <= 16 * rounding<double>(1));
  }
  CHECK_THROWS_AS(wilson(3, 2), error);
  CHECK_THROWS_AS(wilson(0, 0), error);
}

TEST_CASE("McNemar's exact p is scipy's binomial test", "[eval][statistics]") {
  for (const auto& row : oracle().at("mcnemar")) {
    const std::size_t b = row[0], c = row[1];
    const double p = row[2];
    const double terms = std::lgamma(static_cast<double>(b + c) + 1) + 4;  // subtracted in exponents
    INFO(b << " " << c);
    CHECK(std::abs(mcnemar_exact(b, c) - p) <= 8 * rounding<double>(terms) * p + rounding<double>(1));
  }
}

TEST_CASE("t intervals, sign flips, TOST and bootstrap are scipy's", "[eval][statistics]") {
  for (const auto& row : oracle().at("samples")) {
    const auto x = row.at("x").get<std::vector<double>>();
    const sample_moments m = moments(x);
    const interval t = t_interval(x);
    const double error = (student_error(static_cast<double>(x.size() - 1)) + 32 * rounding<double>(1)) * 100 * m.sd;
    CHECK(std::abs(t.low - row.at("t_interval")[0].get<double>()) <= error);
    CHECK(std::abs(t.high - row.at("t_interval")[1].get<double>()) <= error);
    CHECK(sign_flip_test(x) == row.at("sign_flip").get<double>());  // both count patterns
    for (const auto& [margin, p] : row.at("tost").items())
      CHECK(std::abs(tost(x, std::stod(margin)) - p.get<double>()) <=
            100 * student_error(static_cast<double>(x.size() - 1)));
    for (const auto kind : {bootstrap_kind::percentile, bootstrap_kind::bca}) {
      const auto& expected = row.at("bootstrap").at(std::string(name_of(kind)));
      bootstrap_options options;
      options.kind = kind;
      const std::vector<double> ones(x.size(), 1);
      const interval ours = bootstrap_ratio(x, ones, options);
      // One draw of ours against the mean of 60 of theirs, ends of equal spread: four standard deviations.
      INFO(name_of(kind) << " n " << x.size());
      CHECK(std::abs(ours.low - expected.at("mean")[0].get<double>()) <= 4 * expected.at("sd")[0].get<double>());
      CHECK(std::abs(ours.high - expected.at("mean")[1].get<double>()) <= 4 * expected.at("sd")[1].get<double>());
    }
  }
}

TEST_CASE("Holm's p values", "[eval][statistics]") {
  const auto p = oracle().at("holm").at("p").get<std::vector<double>>();
  const auto expected = oracle().at("holm").at("adjusted").get<std::vector<double>>();
  const auto ours = holm(p);
  REQUIRE(ours.size() == expected.size());
  for (std::size_t i = 0; i < ours.size(); ++i) CHECK(std::abs(ours[i] - expected[i]) <= rounding<double>(1));
  CHECK(holm(std::vector<double>{}).empty());
  CHECK_THROWS_AS(holm(std::vector<double>{0.1, std::nan("")}), error);
}

TEST_CASE("classification metrics are scikit-learn's", "[eval][metrics]") {
  for (const auto& row : oracle().at("classification")) {
    const auto truth = row.at("truth").get<std::vector<std::int64_t>>();
    const auto predicted = row.at("predicted").get<std::vector<std::int64_t>>();
    for (const auto& m : classification_metrics) {
      INFO(m.name);
      const double ours = m.function(truth, predicted, row.at("classes"));
      CHECK(std::abs(ours - row.at(std::string(m.name)).get<double>()) <= 16 * rounding<double>(1));
    }
  }
  const std::vector<std::int64_t> two = {0, 1}, one = {0}, wrong = {0, 7};
  CHECK_THROWS_AS(accuracy(two, one, 2), error);
  CHECK_THROWS_AS(accuracy(two, wrong, 2), error);
  CHECK_THROWS_AS(accuracy({}, {}, 2), error);
}

TEST_CASE("reconstruction metrics are scikit-learn's", "[eval][metrics]") {
  const auto& row = oracle().at("reconstruction");
  const auto original = row.at("original").get<std::vector<double>>();
  const auto reconstructed = row.at("reconstructed").get<std::vector<double>>();
  const auto a = make_view(original, row.at("rows"), row.at("columns"));
  const auto b = make_view(reconstructed, row.at("rows"), row.at("columns"));
  for (const auto& m : reconstruction_metrics) {
    INFO(m.name);
    const double expected = row.at(std::string(m.name)).get<double>();
    CHECK(std::abs(m.function(a, b) - expected) <= rounding<double>(static_cast<double>(4 * original.size())));
    CHECK(m.function(a, a) == 0);
  }
  const std::vector<double> constant(6, 2.0), other(6, 3.0);
  CHECK(unexplained_variance(make_view(constant, 3, 2), make_view(constant, 3, 2)) == 0);
  CHECK(std::isinf(unexplained_variance(make_view(constant, 3, 2), make_view(other, 3, 2))));
}

TEST_CASE("equal methods come out different in at most 5 % of 2,000 simulations", "[eval][statistics]") {
  // 12 units of 8 items whose answers share the unit's luck; both methods are right equally often.
  const std::size_t runs = 2000, units = 12;
  std::size_t flips = 0, missed = 0, t_missed = 0;
  sign_flip_options exact;
  for (std::size_t run = 0; run < runs; ++run) {
    philox random(run, 5);
    std::vector<double> difference(units), right(units), items(units, 8);
    for (std::size_t u = 0; u < units; ++u) {
      const double luck = 0.2 * random.next_normal();
      for (std::size_t i = 0; i < 8; ++i) {
        const bool a = random.next_uniform() < 0.7 + luck, b = random.next_uniform() < 0.7 + luck;
        difference[u] += static_cast<double>(a) - static_cast<double>(b);
        right[u] += a;
      }
    }
    flips += sign_flip_test(difference, exact) < 0.05;
    missed += !bootstrap_ratio(difference, items, {bootstrap_kind::expanded, 400, 0.95, run}).contains(0);
    t_missed += !t_interval(difference).contains(0);
  }
  const double share = static_cast<double>(flips) / runs, boot = static_cast<double>(missed) / runs;
  const double t_share = static_cast<double>(t_missed) / runs;
  INFO("sign flip " << share << ", bootstrap " << boot << ", t " << t_share);
  CHECK(share <= 0.065);
  CHECK(share >= 0.02);  // discrete: at or below 5 %
  CHECK(boot <= 0.065);
  CHECK(boot >= 0.035);
  CHECK(t_share <= 0.065);
  CHECK(t_share >= 0.035);
}

TEST_CASE("what plan promises is found as often as promised", "[eval][statistics]") {
  const std::size_t runs = 2000, units = 30;
  const double sd = 0.1;
  const double difference = detectable_difference(sd / std::sqrt(static_cast<double>(units)), units - 1);
  std::size_t found = 0;
  for (std::size_t run = 0; run < runs; ++run) {
    philox random(run, 6);
    std::vector<double> d(units);
    for (double& x : d) x = difference + sd * random.next_normal();
    found += t_interval(d).low > 0;
  }
  const double share = static_cast<double>(found) / runs;
  INFO("found in " << share);
  CHECK(share >= 0.8 - 0.04);
  CHECK(share <= 0.8 + 0.04);
  // 1,000 independent items of which 10 % discord, and the same items in 100 units.
  CHECK(detectable_accuracy_difference(1000, 1000) < detectable_accuracy_difference(1000, 100));
  CHECK(detectable_accuracy_difference(1000, 100, 0.1, 0.5, 10) > detectable_accuracy_difference(1000, 100));
  CHECK_THROWS_AS(detectable_accuracy_difference(5, 10), error);
}

TEST_CASE("random draws are fixed: the same numbers in every run", "[eval][statistics]") {
  std::vector<double> x(40), ones(40, 1);
  const philox random(1);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = random.normal_at(i) + 0.4;
  const double p = sign_flip_test(x);
  CHECK(p == sign_flip_test(x));
  CHECK(p > 0);
  sign_flip_options other;
  other.seed = 2;
  const double again = sign_flip_test(x, other);
  CHECK(std::abs(p - again) <= 6 * std::sqrt(p / static_cast<double>(other.draws)));
  const interval a = bootstrap_ratio(x, ones), b = bootstrap_ratio(x, ones);
  CHECK((a.low == b.low && a.high == b.high));
  CHECK_THROWS_AS(bootstrap(2, [](std::span<const std::size_t>) { return 1.0; }), error);
  CHECK_THROWS_AS(bootstrap(5, [](std::span<const std::size_t>) { return std::nan(""); }), error);
}

TEST_CASE("items are grouped by unit", "[eval][statistics]") {
  const std::vector<std::int64_t> unit = {2, 0, 2, 5};
  const auto items = items_of_units(unit);
  REQUIRE(items.size() == 3);
  CHECK(items[0] == std::vector<std::size_t>{1});
  CHECK(items[1] == std::vector<std::size_t>{0, 2});
  CHECK(items[2] == std::vector<std::size_t>{3});
  CHECK_THROWS_AS(items_of_units(std::vector<std::int64_t>{-1}), error);
}
