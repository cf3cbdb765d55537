// The median of a sample with a 95 % interval that assumes nothing about the distribution: the interval between the
// k-th smallest and the k-th largest of n values covers the median with probability 1 - 2 P[Binomial(n, 1/2) < k].
//
// Only some n give a level just above 95 %: 12 (96.1), 17 (95.1), 20 (95.9), 25 (95.7); n = 10 gives 89 or 98 %. For
// other n the interval is interpolated between neighbours (Hettmansperger and Sheather, "Confidence intervals based on
// interpolated order statistics", 1986).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include <hocket/core/error.hpp>

namespace hocket::measure {

/// Numbers of samples whose plain order-statistic interval is a 95 % one.
inline constexpr std::array<std::size_t, 4> sample_counts = {12, 17, 20, 25};

/// Fewer values give no interval worth the name: the sampler and the record schema ask for this many.
inline constexpr std::size_t min_samples = 12;

/// Probability that the interval from the depth-th smallest to the depth-th largest of n values covers the median;
/// 1 for depth 0 (the whole line).
inline double coverage_of_depth(std::size_t n, std::size_t depth) {
  double term = 1, below = 0;  // term = C(n, i) / 2^n; below = P[Binomial(n, 1/2) < depth]
  for (std::size_t i = 0; i < n; ++i) term /= 2;
  for (std::size_t i = 0; i < depth; ++i) {
    below += term;
    term *= static_cast<double>(n - i) / static_cast<double>(i + 1);
  }
  return 1 - 2 * below;
}

struct median_estimate {
  double median = 0;
  std::pair<double, double> ci95;
};

/// Median and its 95 % interval. Needs at least 6 values (with 5 even the whole range covers only 94 %).
inline median_estimate median_interval(std::vector<double> values) {
  constexpr double level = 0.95;
  const std::size_t n = values.size();
  expects(n >= 6, errc::unsupported_shape, "a median of ", n, " values has no 95 % interval; take at least 6, better ",
          min_samples);
  std::sort(values.begin(), values.end());
  std::size_t depth = 1;
  while (depth + 1 <= n / 2 && coverage_of_depth(n, depth + 1) >= level) ++depth;
  median_estimate out;
  out.median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
  out.ci95 = {values[depth - 1], values[n - depth]};
  const bool plain = std::find(sample_counts.begin(), sample_counts.end(), n) != sample_counts.end();
  if (plain || depth + 1 > n / 2) return out;
  const double outer = coverage_of_depth(n, depth), inner = coverage_of_depth(n, depth + 1);
  const double share = (outer - level) / (outer - inner);
  const double d = static_cast<double>(depth), count = static_cast<double>(n);
  const double weight = (count - d) * share / (d + (count - 2 * d) * share);
  out.ci95.first += weight * (values[depth] - values[depth - 1]);
  out.ci95.second -= weight * (values[n - depth] - values[n - depth - 1]);
  return out;
}

}  // namespace hocket::measure
