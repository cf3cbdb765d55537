// Metrics as rows of a table: name, variant spelled out, unit, which direction is better, and the function. A record
// names the row, so that a number is never compared with another variant of itself.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include <hocket/core/error.hpp>
#include <hocket/core/view.hpp>

namespace hocket::eval {

template <class Function>
struct metric {
  std::string_view name, variant, unit, better;  ///< better: "higher" | "lower"
  Function function;
};

// ---- classification: truth[i], predicted[i] in [0, classes)
// -----------------------------------------------------------

using labels = std::span<const std::int64_t>;

namespace detail {

inline std::size_t class_index(std::int64_t label, std::size_t classes) {
  expects(label >= 0 && static_cast<std::size_t>(label) < classes, errc::bad_option, "label ", label, " is not in [0, ",
          classes, ")");
  return static_cast<std::size_t>(label);
}

inline void require_pairs(labels truth, labels predicted) {
  expects(truth.size() == predicted.size() && !truth.empty(), errc::unsupported_shape, truth.size(), " true labels, ",
          predicted.size(), " predicted; expected as many, at least one");
}

}  // namespace detail

/// counts[truth * classes + predicted]
inline std::vector<std::size_t> confusion(labels truth, labels predicted, std::size_t classes) {
  detail::require_pairs(truth, predicted);
  std::vector<std::size_t> counts(classes * classes);
  for (std::size_t i = 0; i < truth.size(); ++i)
    ++counts[detail::class_index(truth[i], classes) * classes + detail::class_index(predicted[i], classes)];
  return counts;
}

inline double accuracy(labels truth, labels predicted, std::size_t classes) {
  const auto counts = confusion(truth, predicted, classes);
  std::size_t right = 0;
  for (std::size_t c = 0; c < classes; ++c) right += counts[c * classes + c];
  return static_cast<double>(right) / static_cast<double>(truth.size());
}

/// Mean recall over the classes that occur in the truth.
inline double balanced_accuracy(labels truth, labels predicted, std::size_t classes) {
  const auto counts = confusion(truth, predicted, classes);
  double sum = 0;
  std::size_t present = 0;
  for (std::size_t c = 0; c < classes; ++c) {
    std::size_t row = 0;
    for (std::size_t p = 0; p < classes; ++p) row += counts[c * classes + p];
    if (row == 0) continue;
    ++present;
    sum += static_cast<double>(counts[c * classes + c]) / static_cast<double>(row);
  }
  return sum / static_cast<double>(present);
}

/// Mean F1 over the classes that occur in the truth or among the predictions; a class without a true positive scores 0
/// (scikit-learn's average="macro", zero_division=0).
inline double macro_f1(labels truth, labels predicted, std::size_t classes) {
  const auto counts = confusion(truth, predicted, classes);
  double sum = 0;
  std::size_t present = 0;
  for (std::size_t c = 0; c < classes; ++c) {
    std::size_t row = 0, column = 0;
    for (std::size_t o = 0; o < classes; ++o) {
      row += counts[c * classes + o];
      column += counts[o * classes + c];
    }
    if (row + column == 0) continue;
    ++present;
    sum += 2 * static_cast<double>(counts[c * classes + c]) / static_cast<double>(row + column);
  }
  return sum / static_cast<double>(present);
}

using classification_metric = metric<double (*)(labels truth, labels predicted, std::size_t classes)>;

inline constexpr std::array classification_metrics = {
    classification_metric{"accuracy", "share of items", "fraction", "higher", accuracy},
    classification_metric{"balanced_accuracy", "mean recall over classes in the truth", "fraction", "higher",
                          balanced_accuracy},
    classification_metric{"macro_f1", "mean F1 over classes in truth or predictions; 0 without a true positive",
                          "fraction", "higher", macro_f1},
};

// ---- reconstruction: original and reconstructed, (n, d) row-major
// -----------------------------------------------------

using matrix = view<const double, 2>;

namespace detail {

/// (sum of squared errors, sum of squared deviations of the original from its column means)
inline std::pair<double, double> error_and_spread(matrix original, matrix reconstructed) {
  expects(original.extents() == reconstructed.extents() && !original.empty(), errc::unsupported_shape, "original is ",
          to_text(original.extents()), ", reconstruction is ", to_text(reconstructed.extents()));
  const std::size_t n = original.extent(0), d = original.extent(1);
  double squared_error = 0, squared_spread = 0;
  for (std::size_t j = 0; j < d; ++j) {
    double mean = 0;
    for (std::size_t i = 0; i < n; ++i) mean += original(i, j) / static_cast<double>(n);
    for (std::size_t i = 0; i < n; ++i) {
      const double error = original(i, j) - reconstructed(i, j), deviation = original(i, j) - mean;
      squared_error += error * error;
      squared_spread += deviation * deviation;
    }
  }
  return {squared_error, squared_spread};
}

}  // namespace detail

inline double mean_squared_error(matrix original, matrix reconstructed) {
  return detail::error_and_spread(original, reconstructed).first / static_cast<double>(original.size());
}

/// 0: exact; 1: as bad as the column means. Infinite when constant columns are not reproduced, 0 when they are.
inline double unexplained_variance(matrix original, matrix reconstructed) {
  const auto [error, spread] = detail::error_and_spread(original, reconstructed);
  if (spread == 0) return error == 0 ? 0 : std::numeric_limits<double>::infinity();
  return error / spread;
}

using reconstruction_metric = metric<double (*)(matrix original, matrix reconstructed)>;

inline constexpr std::array reconstruction_metrics = {
    reconstruction_metric{"mean_squared_error", "mean over all entries", "squared input unit", "lower",
                          mean_squared_error},
    reconstruction_metric{"unexplained_variance", "squared error / squared deviation from column means", "fraction",
                          "lower", unexplained_variance},
};

}  // namespace hocket::eval
