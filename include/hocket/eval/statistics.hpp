// Intervals, tests and the resolution of a data set. Definitions and when to use which: docs/statistics.md. Everything
// is deterministic: resampling draws from a fixed counter-based stream.
//
// Items of one unit (clips of a track, samples of a kit) are not independent: pass values by unit, or unit indices.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/core/error.hpp>
#include <hocket/core/options.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/eval/distributions.hpp>

namespace hocket::eval {

struct interval {
  double low = 0, high = 0;
  bool contains(double x) const { return low <= x && x <= high; }
};

/// Score interval of a proportion of independent items (Wilson, 1927). n >= 1.
inline interval wilson(std::size_t successes, std::size_t n, double level = 0.95) {
  expects(n >= 1 && successes <= n, errc::bad_option, successes, " successes of ", n, " items is not a proportion");
  const double z = normal_quantile(0.5 + level / 2), count = static_cast<double>(n);
  const double p = static_cast<double>(successes) / count, z2 = z * z;
  const double centre = (p + z2 / (2 * count)) / (1 + z2 / count);
  const double half = z / (1 + z2 / count) * std::sqrt(p * (1 - p) / count + z2 / (4 * count * count));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

struct sample_moments {
  double mean = 0, sd = 0;  ///< sd with n - 1
  std::size_t n = 0;
  double standard_error() const { return sd / std::sqrt(static_cast<double>(n)); }
};

inline sample_moments moments(std::span<const double> values) {
  expects(values.size() >= 2, errc::unsupported_shape, "a spread needs at least 2 values, got ", values.size());
  sample_moments m;
  m.n = values.size();
  m.mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(m.n);
  double squares = 0;
  for (const double v : values) squares += (v - m.mean) * (v - m.mean);
  m.sd = std::sqrt(squares / static_cast<double>(m.n - 1));
  return m;
}

/// Interval of the mean over repetitions (seeds, fold assignments), Student's t.
inline interval t_interval(std::span<const double> values, double level = 0.95) {
  const sample_moments m = moments(values);
  const double half = student_quantile(0.5 + level / 2, static_cast<double>(m.n - 1)) * m.standard_error();
  return {m.mean - half, m.mean + half};
}

// ---- bootstrap over units
// ---------------------------------------------------------------------------------------------

enum class bootstrap_kind {
  percentile,  ///< quantiles of the resampled values: too short for few units
  expanded,    ///< percentile with levels widened for the number of units (Hesterberg, 2015): the default of reports
  bca,         ///< bias-corrected and accelerated (Efron, 1987)
};

/// Draws with replacement as indices of units; the statistic of a whole sample of units.
using unit_statistic = std::function<double(std::span<const std::size_t> units)>;

struct bootstrap_options {
  bootstrap_kind kind = bootstrap_kind::expanded;
  std::size_t draws = 2000;
  double level = 0.95;
  std::uint64_t seed = 1;
};

namespace detail {

/// Value at fraction q of sorted values, linear between plotting positions i / (n + 1).
inline double sorted_quantile(const std::vector<double>& values, double q) {
  const double last = static_cast<double>(values.size() - 1);
  const double position = std::clamp(q * static_cast<double>(values.size() + 1) - 1, 0.0, last);
  const std::size_t below = static_cast<std::size_t>(position), above = std::min(below + 1, values.size() - 1);
  return values[below] + (position - static_cast<double>(below)) * (values[above] - values[below]);
}

}  // namespace detail

/// Interval of statistic(all units), resampling whole units. Needs at least 3 units.
inline interval bootstrap(std::size_t units, const unit_statistic& statistic, const bootstrap_options& options = {}) {
  expects(units >= 3, errc::unsupported_shape, "a bootstrap over ", units,
          " units says nothing; at least 3 are needed");
  philox random(options.seed, 0x626f6f74);
  std::vector<std::size_t> drawn(units);
  std::vector<double> values(options.draws);
  for (double& value : values) {
    for (std::size_t& unit : drawn) unit = static_cast<std::size_t>(random.next_below(units));
    value = statistic(drawn);
    expects(std::isfinite(value), errc::bad_value, "the statistic of a bootstrap sample is ", value,
            "; it must be defined for every sample of units");
  }
  std::sort(values.begin(), values.end());
  double low = (1 - options.level) / 2, high = 1 - low;
  const double n = static_cast<double>(units);
  if (options.kind == bootstrap_kind::expanded) {
    low = normal_cdf(std::sqrt(n / (n - 1)) * student_quantile(low, n - 1));
    high = 1 - low;
  } else if (options.kind == bootstrap_kind::bca) {
    std::vector<std::size_t> all(units);
    std::iota(all.begin(), all.end(), std::size_t{0});
    const double whole = statistic(all);
    const auto [first, last] = std::equal_range(values.begin(), values.end(), whole);
    const double below = static_cast<double>(first - values.begin()) + 0.5 * static_cast<double>(last - first);
    const double share =
        std::clamp(below / static_cast<double>(options.draws), 0.5 / static_cast<double>(options.draws),
                   1 - 0.5 / static_cast<double>(options.draws));
    const double bias = normal_quantile(share);
    std::vector<double> left_out(units);  // jackknife over units
    for (std::size_t u = 0; u < units; ++u) {
      std::vector<std::size_t> rest;
      for (std::size_t v = 0; v < units; ++v)
        if (v != u) rest.push_back(v);
      left_out[u] = statistic(rest);
    }
    const double mean = std::accumulate(left_out.begin(), left_out.end(), 0.0) / n;
    double squares = 0, cubes = 0;
    for (const double v : left_out) {
      squares += (mean - v) * (mean - v);
      cubes += (mean - v) * (mean - v) * (mean - v);
    }
    const double acceleration = squares > 0 ? cubes / (6 * std::pow(squares, 1.5)) : 0;
    const auto corrected = [&](double level) {
      const double z = bias + normal_quantile(level);
      return normal_cdf(bias + z / (1 - acceleration * z));
    };
    low = corrected(low);
    high = corrected(high);
  }
  return {detail::sorted_quantile(values, low), detail::sorted_quantile(values, high)};
}

/// Interval of sum(numerators) / sum(denominators), given by unit: accuracy when they are right answers and items.
inline interval bootstrap_ratio(std::span<const double> numerators, std::span<const double> denominators,
                                const bootstrap_options& options = {}) {
  expects(numerators.size() == denominators.size(), errc::unsupported_shape, numerators.size(), " numerators, ",
          denominators.size(), " denominators; one of each per unit");
  return bootstrap(
      numerators.size(),
      [&](std::span<const std::size_t> units) {
        double above = 0, below = 0;
        for (const std::size_t u : units) {
          above += numerators[u];
          below += denominators[u];
        }
        return above / below;
      },
      options);
}

/// Index of every item's unit -> items of each unit.
inline std::vector<std::vector<std::size_t>> items_of_units(std::span<const std::int64_t> unit_of_item) {
  std::vector<std::vector<std::size_t>> items;
  for (std::size_t i = 0; i < unit_of_item.size(); ++i) {
    expects(unit_of_item[i] >= 0, errc::bad_option, "unit of item ", i, " is ", unit_of_item[i],
            "; units count from 0");
    const std::size_t u = static_cast<std::size_t>(unit_of_item[i]);
    if (u >= items.size()) items.resize(u + 1);
    items[u].push_back(i);
  }
  std::erase_if(items, [](const auto& list) { return list.empty(); });
  return items;
}

// ---- tests of paired differences
// --------------------------------------------------------------------------------------

/// Exact McNemar test, two-sided: `only_a` items that only a answers rightly, `only_b` that only b does. For
/// independent items; with units use sign_flip_test.
inline double mcnemar_exact(std::size_t only_a, std::size_t only_b) {
  const std::size_t n = only_a + only_b;
  if (n == 0) return 1;
  return std::min(1.0, 2 * fair_coins_cdf(std::min(only_a, only_b), n));
}

struct sign_flip_options {
  std::size_t exact_units = 16;  ///< up to here all 2^n sign patterns are counted
  std::size_t draws = 20000;     ///< beyond, random ones
  std::uint64_t seed = 1;
};

/// Two-sided p value of the sum of per-unit differences when each may as well have had the other sign (Fisher, 1935).
inline double sign_flip_test(std::span<const double> differences, const sign_flip_options& options = {}) {
  std::vector<double> d;
  double observed = 0, total = 0;
  for (const double x : differences) {
    expects(std::isfinite(x), errc::bad_value, "a difference is ", x);
    if (x != 0) d.push_back(x);
    observed += x;
    total += std::abs(x);
  }
  if (d.empty()) return 1;
  // Patterns that reach the observed sum but for rounding count as reaching it.
  const double reach =
      std::abs(observed) - total * static_cast<double>(d.size()) * std::numeric_limits<double>::epsilon();
  const auto sum_of = [&](auto&& negative) {
    double sum = 0;
    for (std::size_t i = 0; i < d.size(); ++i) sum += negative(i) ? -d[i] : d[i];
    return std::abs(sum);
  };
  if (d.size() <= options.exact_units) {
    const std::uint64_t patterns = std::uint64_t{1} << d.size();
    std::uint64_t extreme = 0;
    for (std::uint64_t pattern = 0; pattern < patterns; ++pattern)
      extreme += sum_of([&](std::size_t i) { return pattern >> i & 1; }) >= reach;
    return static_cast<double>(extreme) / static_cast<double>(patterns);
  }
  philox random(options.seed, 0x666c6970);
  std::size_t extreme = 0;
  std::vector<std::uint64_t> bits((d.size() + 63) / 64);
  for (std::size_t draw = 0; draw < options.draws; ++draw) {
    for (auto& word : bits) word = random.next_bits();
    extreme += sum_of([&](std::size_t i) { return bits[i / 64] >> (i % 64) & 1; }) >= reach;
  }
  // Phipson and Smyth (2010): the observed pattern is one of the draws, so p is never 0.
  return static_cast<double>(extreme + 1) / static_cast<double>(options.draws + 1);
}

/// p values adjusted for their number (Holm, 1979), in the given order. NaN is refused.
inline std::vector<double> holm(std::span<const double> p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (const double value : p) expects(value >= 0 && value <= 1, errc::bad_value, "a p value is ", value);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double running = 0;
  for (std::size_t place = 0; place < order.size(); ++place) {
    running = std::max(running, std::min(1.0, static_cast<double>(p.size() - place) * p[order[place]]));
    adjusted[order[place]] = running;
  }
  return adjusted;
}

/// Two one-sided t tests (Schuirmann, 1987): p value of "the mean difference lies outside (-margin, margin)". Below
/// 0.05: equivalent within the margin.
inline double tost(std::span<const double> differences, double margin) {
  expects(margin > 0, errc::bad_option, "an equivalence margin is positive, got ", margin);
  const sample_moments m = moments(differences);
  const double dof = static_cast<double>(m.n - 1), error = m.standard_error();
  if (error == 0) return std::abs(m.mean) < margin ? 0.0 : 1.0;
  return std::max(student_cdf((m.mean - margin) / error, dof), 1 - student_cdf((m.mean + margin) / error, dof));
}

// ---- what a data set can show
// -----------------------------------------------------------------------------------------

/// The smallest true difference that a two-sided test at 5 %, Bonferroni over `comparisons`, finds with probability
/// `power`: (t_{1 - alpha / 2} + t_{power}) x standard error.
inline double detectable_difference(double standard_error, double dof, std::size_t comparisons = 1,
                                    double power = 0.8) {
  const double alpha = 0.05 / static_cast<double>(std::max<std::size_t>(comparisons, 1));
  return (student_quantile(1 - alpha / 2, dof) + student_quantile(power, dof)) * standard_error;
}

/// Standard error of the accuracy difference of two methods on the same items before any is run: `discordance` is the
/// expected share of items that exactly one of them answers rightly, `intraclass` the correlation of two items of one
/// unit (0: independent, 1: a unit is one item); the design effect is 1 + (items per unit - 1) intraclass (Kish, 1965).
inline double paired_accuracy_error(std::size_t items, std::size_t units, double discordance, double intraclass) {
  expects(units >= 2 && items >= units, errc::bad_option, items, " items in ", units,
          " units; expected at least 2 units and an item in each");
  const double per_unit = static_cast<double>(items) / static_cast<double>(units);
  return std::sqrt(discordance * (1 + (per_unit - 1) * intraclass) / static_cast<double>(items));
}

/// The line that `plan` prints: smallest accuracy difference that `items` test items in `units` units can show.
inline double detectable_accuracy_difference(std::size_t items, std::size_t units, double discordance = 0.1,
                                             double intraclass = 0.5, std::size_t comparisons = 1) {
  return detectable_difference(paired_accuracy_error(items, units, discordance, intraclass),
                               static_cast<double>(units - 1), comparisons);
}

}  // namespace hocket::eval

template <>
struct hocket::enum_names<hocket::eval::bootstrap_kind> {
  using enum hocket::eval::bootstrap_kind;
  static constexpr std::array values = {std::pair{percentile, std::string_view{"percentile"}},
                                        std::pair{expanded, std::string_view{"expanded"}},
                                        std::pair{bca, std::string_view{"bca"}}};
};
