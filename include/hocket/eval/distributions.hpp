// The few distribution functions that intervals and tests need, in double precision, the same on every platform with an
// IEEE libm.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>

#include <hocket/core/error.hpp>

namespace hocket::eval {

inline double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

namespace detail {

/// Regularised incomplete beta function I_x(a, b) by its continued fraction (DLMF 8.17.22), modified Lentz.
inline double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incomplete_beta(b, a, 1 - x);
  const double front =
      std::exp(a * std::log(x) + b * std::log1p(-x) + std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b)) / a;
  constexpr double tiny = 1e-300;
  double c = 1, d = 1, fraction = 1;
  d = 1 - (a + b) * x / (a + 1);
  d = 1 / (std::abs(d) < tiny ? tiny : d);
  fraction = d;
  for (int m = 1; m < 1000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 + even * d;
    c = 1 + even / c;
    d = 1 / (std::abs(d) < tiny ? tiny : d);
    if (std::abs(c) < tiny) c = tiny;
    fraction *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 + odd * d;
    c = 1 + odd / c;
    d = 1 / (std::abs(d) < tiny ? tiny : d);
    if (std::abs(c) < tiny) c = tiny;
    const double step = d * c;
    fraction *= step;
    if (std::abs(step - 1) <= std::numeric_limits<double>::epsilon()) break;
  }
  return front * fraction;
}

/// The x at which the increasing `cdf` reaches p, by bisection down to neighbouring doubles.
template <class Cdf>
double quantile(const Cdf& cdf, double p) {
  expects(p > 0 && p < 1, errc::bad_option, "a quantile of probability ", p, " is not defined; use a value in (0, 1)");
  double low = -1, high = 1;
  while (cdf(low) > p) low *= 2;
  while (cdf(high) < p) high *= 2;
  while (true) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return middle;
    (cdf(middle) < p ? low : high) = middle;
  }
}

}  // namespace detail

inline double normal_quantile(double p) { return detail::quantile(normal_cdf, p); }

/// Student's t with `dof` degrees of freedom.
inline double student_cdf(double t, double dof) {
  const double tail = 0.5 * detail::incomplete_beta(dof / 2, 0.5, dof / (dof + t * t));
  return t > 0 ? 1 - tail : tail;
}
inline double student_quantile(double p, double dof) {
  if (p > 0.5) return -student_quantile(1 - p, dof);  // the lower tail keeps its digits
  return detail::quantile([dof](double t) { return student_cdf(t, dof); }, p);
}

/// P[X <= k] for X of n fair coins.
inline double fair_coins_cdf(std::size_t k, std::size_t n) {
  if (k >= n) return 1;
  // Terms by logarithm: 2^-n underflows beyond n = 1074.
  const double count = static_cast<double>(n), scale = count * std::numbers::ln2;
  double sum = 0;
  for (std::size_t i = 0; i <= k; ++i) {
    const double chosen = static_cast<double>(i);
    sum += std::exp(std::lgamma(count + 1) - std::lgamma(chosen + 1) - std::lgamma(count - chosen + 1) - scale);
  }
  return sum < 1 ? sum : 1;
}

}  // namespace hocket::eval
