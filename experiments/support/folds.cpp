#include "experiments/support/folds.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <hocket/core/error.hpp>
#include <hocket/core/parallel.hpp>
#include <hocket/core/rng.hpp>

namespace hocket::experiments {

std::vector<std::size_t> assign_folds(const classification_data& data, std::size_t folds, std::uint64_t seed) {
  const std::size_t units =
      data.units.empty() ? 0 : *std::max_element(data.units.begin(), data.units.end()) + std::size_t{1};
  expects(units >= folds && folds >= 2, errc::unsupported_shape, folds, " folds need as many units, there are ", units);
  std::vector<std::vector<double>> counts(units, std::vector<double>(data.classes, 0.0));
  std::vector<double> sizes(units, 0.0), class_totals(data.classes, 0.0);
  for (std::size_t i = 0; i < data.rows(); ++i) {
    counts[data.units[i]][data.labels[i]] += 1;
    sizes[data.units[i]] += 1;
    class_totals[data.labels[i]] += 1;
  }
  std::vector<std::size_t> order(units);
  std::iota(order.begin(), order.end(), std::size_t{0});
  philox random(seed);
  random.shuffle(order);
  // Large units first, so that the small ones can even out; "large" to within a factor of four, so that seeds differ
  // even where all sizes do.
  const auto magnitude = [&](std::size_t unit) { return std::floor(std::log2(std::max(sizes[unit], 1.0)) / 2); };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return magnitude(a) > magnitude(b); });
  std::vector<std::vector<double>> held(folds, std::vector<double>(data.classes, 0.0));
  std::vector<double> rows(folds, 0.0);
  std::vector<std::size_t> fold_of(units);
  for (const std::size_t unit : order) {
    std::size_t best = 0;
    double least = 0;
    for (std::size_t f = 0; f < folds; ++f) {
      // What the sum over classes of (count / total)^2 grows by, rows of all classes counting as one more class.
      double growth = sizes[unit] * (2 * rows[f] + sizes[unit]) /
                      (static_cast<double>(data.rows()) * static_cast<double>(data.rows()));
      for (std::size_t k = 0; k < data.classes; ++k)
        if (class_totals[k] > 0)
          growth += counts[unit][k] * (2 * held[f][k] + counts[unit][k]) / (class_totals[k] * class_totals[k]);
      if (f == 0 || growth < least) {
        best = f;
        least = growth;
      }
    }
    fold_of[unit] = best;
    rows[best] += sizes[unit];
    for (std::size_t k = 0; k < data.classes; ++k) held[best][k] += counts[unit][k];
  }
  return fold_of;
}

namespace detail {

part take(const classification_data& data, const std::vector<std::size_t>& fold_of,
          const std::function<bool(std::size_t)>& wanted) {
  part p;
  p.columns = data.features;
  for (std::size_t i = 0; i < data.rows(); ++i) {
    if (!wanted(fold_of[data.units[i]])) continue;
    p.rows.push_back(i);
    p.labels.push_back(data.labels[i]);
    const auto first = data.x.begin() + static_cast<std::ptrdiff_t>(i * data.features);
    p.x.insert(p.x.end(), first, first + static_cast<std::ptrdiff_t>(data.features));
  }
  return p;
}

}  // namespace detail

namespace {

void apply(const transform_fit& fit, detail::part& train, detail::part& other) {
  if (!fit) return;
  const transform chosen = fit(train.values());
  std::size_t columns = 0;
  std::vector<double> x = chosen(train.values(), columns);
  std::vector<double> y = chosen(other.values(), columns);
  train.x = std::move(x);
  other.x = std::move(y);
  train.columns = other.columns = columns;
}

}  // namespace

nested_result nested_cross_validation(const cpu& device, const classification_data& data,
                                      const std::vector<std::size_t>& fold_of, std::size_t folds,
                                      std::size_t inner_folds, const nn::logistic_options& options,
                                      const transform_fit& fit) {
  nested_result result;
  result.predicted.assign(data.rows(), 0);
  result.chosen.assign(folds, 0.0);
  for_each_tile(
      device, folds,
      [&](std::size_t test, std::size_t) {
        std::array<std::size_t, l2_grid.size()> correct{};
        for (std::size_t inner = 1; inner <= std::min(inner_folds, folds - 1); ++inner) {
          const std::size_t valid = (test + inner) % folds;
          detail::part train = detail::take(data, fold_of, [&](std::size_t f) { return f != test && f != valid; });
          detail::part judged = detail::take(data, fold_of, [&](std::size_t f) { return f == valid; });
          apply(fit, train, judged);
          nn::logistic_problem problem(train.values(), train.labels, data.classes, options);
          for (std::size_t g = 0; g < l2_grid.size(); ++g) {
            const auto predicted = problem.fit(cpu{1}, l2_grid[g]).predict(judged.values());
            for (std::size_t i = 0; i < predicted.size(); ++i) correct[g] += predicted[i] == judged.labels[i];
          }
        }
        // The strongest of equals: the grid descends.
        const auto best = static_cast<std::size_t>(std::max_element(correct.begin(), correct.end()) - correct.begin());
        result.chosen[test] = l2_grid[best];
        detail::part train = detail::take(data, fold_of, [&](std::size_t f) { return f != test; });
        detail::part judged = detail::take(data, fold_of, [&](std::size_t f) { return f == test; });
        apply(fit, train, judged);
        nn::logistic_problem problem(train.values(), train.labels, data.classes, options);
        const auto predicted = problem.fit(cpu{1}, l2_grid[best]).predict(judged.values());
        for (std::size_t i = 0; i < predicted.size(); ++i) result.predicted[judged.rows[i]] = predicted[i];
      },
      true);
  return result;
}

}  // namespace hocket::experiments
