#include <hocket/core/tolerance.hpp>
#include <hocket/nn/lbfgs.hpp>

#include "catch.hpp"

using namespace hocket;

TEST_CASE("a quadratic with a known minimum is solved to its tolerance", "[nn][lbfgs]") {
  // f = sum_i c_i (x_i - i)^2 / 2 with curvatures from 1 to 10^4.
  for (const std::size_t n : {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{40}}) {
    INFO(n);
    const auto curvature = [n](std::size_t i) {
      return std::pow(1e4, static_cast<double>(i) / static_cast<double>(n));
    };
    std::vector<double> x(n, 100.0);
    nn::lbfgs_options options;
    options.max_iterations = 5000;  // forty curvatures take some 1,020 line searches; scipy's L-BFGS-B takes 1,022
    const auto result = nn::minimise(
        [&](const view<const double, 1>& at, const view<double, 1>& gradient) {
          double value = 0;
          for (std::size_t i = 0; i < n; ++i) {
            const double off = at(i) - static_cast<double>(i);
            gradient(i) = curvature(i) * off;
            value += gradient(i) * off / 2;
          }
          return value;
        },
        x, options);
    CHECK(result.stop == nn::lbfgs_stop::converged);
    CHECK(result.largest_gradient <= nn::lbfgs_options{}.tolerance);
    for (std::size_t i = 0; i < n; ++i) {
      const double at = static_cast<double>(i);
      CHECK(std::abs(x[i] - at) <= nn::lbfgs_options{}.tolerance / curvature(i) + rounding<double>(at));
    }
  }
}

TEST_CASE("Rosenbrock's curved valley is followed to its end", "[nn][lbfgs]") {
  const std::size_t n = 10;
  std::vector<double> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = i % 2 ? 1.0 : -1.2;
  std::size_t calls = 0;
  const auto result = nn::minimise(
      [&](const view<const double, 1>& at, const view<double, 1>& gradient) {
        ++calls;
        double value = 0;
        for (std::size_t i = 0; i < n; i += 2) {
          const double bend = at(i + 1) - at(i) * at(i), off = 1 - at(i);
          value += 100 * bend * bend + off * off;
          gradient(i) = -400 * at(i) * bend - 2 * off;
          gradient(i + 1) = 200 * bend;
        }
        return value;
      },
      x);
  CHECK(result.stop == nn::lbfgs_stop::converged);
  CHECK(result.evaluations == calls);
  // The smallest curvature of the valley at (1, 1) is 0.4: an error of at most tolerance / 0.4 in each pair's norm.
  for (const double value : x) CHECK(std::abs(value - 1) <= std::sqrt(2.0) * nn::lbfgs_options{}.tolerance / 0.39);
}

TEST_CASE("a tolerance of zero ends where rounding leaves nothing to gain", "[nn][lbfgs]") {
  std::vector<double> x = {3, -2};
  nn::lbfgs_options options;
  options.tolerance = 0;
  const auto result = nn::minimise(
      [](const view<const double, 1>& at, const view<double, 1>& gradient) {
        gradient(0) = std::sinh(at(0)) + 0.1;
        gradient(1) = 4 * at(1) * at(1) * at(1) + at(1) - 0.3;
        return std::cosh(at(0)) + 0.1 * at(0) + std::pow(at(1), 4) + at(1) * at(1) / 2 - 0.3 * at(1);
      },
      x, options);
  CHECK(result.stop != nn::lbfgs_stop::max_iterations);
  CHECK(result.evaluations < 1000);
}

TEST_CASE("options that cannot work are refused", "[nn][lbfgs]") {
  std::vector<double> x = {1};
  const auto f = [](const view<const double, 1>&, const view<double, 1>& gradient) { return gradient(0) = 0; };
  nn::lbfgs_options options;
  options.memory = 0;
  CHECK_THROWS_AS(nn::minimise(f, x, options), error);
  options = {};
  options.curvature = 1;
  CHECK_THROWS_AS(nn::minimise(f, x, options), error);
  const auto broken = [](const view<const double, 1>&, const view<double, 1>&) { return std::nan(""); };
  CHECK_THROWS_AS(nn::minimise(broken, x), error);
}
