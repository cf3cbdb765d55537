// Fold assignments and the nested choice of a strength. A unit (a piece of music, a drum kit, an image) is never
// divided. For every outer fold: of the other folds, `inner_folds` are validation data in turn, the strength with the
// most correct validation rows is chosen, the model is fitted again on all other folds, and only then sees the outer
// fold. The test rows take no part in any choice.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include <hocket/core/device.hpp>
#include <hocket/core/view.hpp>
#include <hocket/nn/logistic_regression.hpp>

namespace hocket::experiments {

/// What a classifier is fitted on and judged by: X (n, D), one class and one unit per row.
struct classification_data {
  std::vector<double> x;
  std::size_t features = 0, classes = 0;
  std::vector<std::uint32_t> labels, units;
  std::size_t rows() const { return labels.size(); }
};

/// The fold of every unit. Units are shuffled by the seed, then dealt out from large to small, each to the
/// fold whose class counts it keeps closest to equal.
std::vector<std::size_t> assign_folds(const classification_data& data, std::size_t folds, std::uint64_t seed);

/// Strengths tried for every method alike, from the strongest (the warm starts follow this order).
inline constexpr std::array<double, 8> l2_grid = {1000, 300, 100, 30, 10, 3, 1, 0.1};

/// Fitted on training rows, applied to any rows: standardisation, PCA. (n, D) -> (n, D').
using transform = std::function<std::vector<double>(const view<const double, 2>&, std::size_t& columns)>;
/// Fits a transform; absent: the features as they are.
using transform_fit = std::function<transform(const view<const double, 2>&)>;

struct nested_result {
  std::vector<std::uint32_t> predicted;  ///< of every row, when its fold was the test fold
  std::vector<double> chosen;            ///< strength of each outer fold
};

namespace detail {

struct part {
  std::vector<double> x;
  std::vector<std::uint32_t> labels;
  std::vector<std::size_t> rows;
  std::size_t columns = 0;
  view<const double, 2> values() const { return {x.data(), {rows.size(), columns}}; }
};

/// The rows whose unit's fold is wanted.
part take(const classification_data& data, const std::vector<std::size_t>& fold_of,
          const std::function<bool(std::size_t)>& wanted);

}  // namespace detail

/// Predictions for every row by nested cross-validation over a given fold of every unit. Outer folds run on the
/// device's threads; the bits do not depend on their number.
nested_result nested_cross_validation(const cpu& device, const classification_data& data,
                                      const std::vector<std::size_t>& fold_of, std::size_t folds,
                                      std::size_t inner_folds, const nn::logistic_options& options,
                                      const transform_fit& fit = {});

/// The same with the folds of a seed.
inline nested_result nested_cross_validation(const cpu& device, const classification_data& data, std::size_t folds,
                                             std::size_t inner_folds, std::uint64_t seed,
                                             const nn::logistic_options& options, const transform_fit& fit = {}) {
  return nested_cross_validation(device, data, assign_folds(data, folds, seed), folds, inner_folds, options, fit);
}

}  // namespace hocket::experiments
