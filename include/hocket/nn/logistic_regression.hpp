// Multinomial logistic regression (softmax regression) with an L2 penalty, fitted by L-BFGS in double precision:
//
//   minimise  sum_i c_i (ln sum_k exp z_ik - z_i,y_i)  +  l2 / 2 sum_k,j W_kj^2,    z = X W' + b
//
// The bias is not penalised. With three or more classes this is scikit-learn's LogisticRegression(C = 1 / l2); for two
// classes scikit-learn fits one weight vector, which is this problem with C = 2 / l2.
//
// Letters: n rows, D features, K classes.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/core/device.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/options.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/softmax_regression/cpu.hpp>
#include <hocket/nn/lbfgs.hpp>

namespace hocket::nn {

enum class class_weighting {
  uniform,   ///< every row counts 1
  balanced,  ///< n / (K * rows of its class): every class counts alike
};

}  // namespace hocket::nn

template <>
struct hocket::enum_names<hocket::nn::class_weighting> {
  using enum hocket::nn::class_weighting;
  static constexpr std::array values = {std::pair{uniform, std::string_view{"none"}},
                                        std::pair{balanced, std::string_view{"balanced"}}};
};

namespace hocket::nn {

struct logistic_options {
  double l2 = 1;
  bool standardize = true;
  class_weighting class_weight = class_weighting::uniform;
  double tolerance = 1e-8;
  std::size_t max_iterations = 1000;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("l2", self.l2, "strength of the penalty l2 / 2 |W|^2 beside the summed loss; scikit-learn's 1 / C");
    visit("standardize", self.standardize,
          "whether each feature is brought to mean 0, deviation 1 on the training rows");
    visit("class_weight", self.class_weight, "none or balanced");
    visit("tolerance", self.tolerance, "stop when no |gradient| of the mean loss exceeds this");
    visit("max_iterations", self.max_iterations, "steps of L-BFGS at most");
  }
};

/// A fitted classifier.
class logistic_model {
 public:
  logistic_model(std::size_t classes, std::vector<double> mean, std::vector<double> scale, std::vector<double> weights,
                 lbfgs_result fit)
      : classes_(classes), mean_(std::move(mean)), scale_(std::move(scale)), weights_(std::move(weights)), fit_(fit) {}

  std::size_t classes() const { return classes_; }
  std::size_t features() const { return mean_.size(); }
  /// (K, D + 1), bias last; they act on (x - mean) / scale.
  view<const double, 2> weights() const { return {weights_.data(), {classes_, features() + 1}}; }
  std::span<const double> mean() const { return mean_; }
  std::span<const double> scale() const { return scale_; }
  const lbfgs_result& fit() const { return fit_; }

  /// Probabilities (n,K) of rows X (n,D).
  template <Real T>
  std::vector<double> probabilities(const view<const T, 2>& x) const {
    expects(x.extent(1) == features(), errc::unsupported_shape, "logistic_model: rows have ", x.extent(1),
            " features, the model was fitted on ", features());
    std::vector<double> out(x.extent(0) * classes_), z(features());
    const auto w = weights();
    for (std::size_t i = 0; i < x.extent(0); ++i) {
      for (std::size_t j = 0; j < features(); ++j) z[j] = (static_cast<double>(x(i, j)) - mean_[j]) / scale_[j];
      double* p = out.data() + i * classes_;
      for (std::size_t k = 0; k < classes_; ++k) {
        p[k] = w(k, features());
        for (std::size_t j = 0; j < features(); ++j) p[k] += w(k, j) * z[j];
      }
      const double largest = *std::max_element(p, p + classes_);
      double sum = 0;
      for (std::size_t k = 0; k < classes_; ++k) sum += p[k] = std::exp(p[k] - largest);
      for (std::size_t k = 0; k < classes_; ++k) p[k] /= sum;
    }
    return out;
  }

  /// The likeliest class of each row; the lowest of equals.
  template <Real T>
  std::vector<std::uint32_t> predict(const view<const T, 2>& x) const {
    const std::vector<double> p = probabilities(x);
    std::vector<std::uint32_t> labels(x.extent(0));
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const auto row = p.begin() + static_cast<std::ptrdiff_t>(i * classes_);
      labels[i] = static_cast<std::uint32_t>(std::max_element(row, row + static_cast<std::ptrdiff_t>(classes_)) - row);
    }
    return labels;
  }

 private:
  std::size_t classes_;
  std::vector<double> mean_, scale_, weights_;
  lbfgs_result fit_;
};

/// The training rows, standardised and packed once; fits for several strengths reuse them and start from the last one.
class logistic_problem {
 public:
  /// X (n,D), labels (n) in [0,K). Throws bad_value for NaN or infinite features, naming row and column.
  template <Real T>
  logistic_problem(const view<const T, 2>& x, std::span<const std::uint32_t> labels, std::size_t classes,
                   const logistic_options& options = {})
      : options_(options),
        classes_(classes),
        rows_(x.extent(0), x.extent(1)),
        labels_(rows_.tiles() * kernels::softmax_regression::tile_rows),
        row_weights_(labels_.size()),
        mean_(x.extent(1), 0.0),
        scale_(x.extent(1), 1.0) {
    const std::size_t n = x.extent(0), features = x.extent(1);
    expects(n >= 1 && features >= 1, errc::unsupported_shape, "logistic regression of ", n, " rows and ", features,
            " features");
    expects(labels.size() == n, errc::unsupported_shape, "logistic regression: ", n, " rows, ", labels.size(),
            " labels");
    expects(classes >= 2, errc::bad_option, "logistic regression needs at least 2 classes, got ", classes);
    std::vector<std::size_t> counts(classes);
    for (std::size_t i = 0; i < n; ++i) {
      expects(labels[i] < classes, errc::bad_value, "label ", labels[i], " of row ", i, " is not below ", classes);
      ++counts[labels[i]];
    }
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < features; ++j) {
        expects(std::isfinite(x(i, j)), errc::bad_value, "logistic regression: row ", i, ", feature ", j,
                " is not finite");
        mean_[j] += static_cast<double>(x(i, j));
      }
    }
    const double count = static_cast<double>(n);
    if (options.standardize) {
      std::vector<double> squares(features, 0.0);
      for (double& value : mean_) value /= count;
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < features; ++j) {
          const double centred = static_cast<double>(x(i, j)) - mean_[j];
          squares[j] += centred * centred;
        }
      // A feature that varies by no more than its own rounding is constant and left unscaled.
      for (std::size_t j = 0; j < features; ++j) {
        const double deviation = std::sqrt(squares[j] / count);
        if (deviation > 10 * std::numeric_limits<double>::epsilon() * std::abs(mean_[j])) scale_[j] = deviation;
      }
    } else {
      std::fill(mean_.begin(), mean_.end(), 0.0);
    }
    const auto present = static_cast<double>(
        classes - static_cast<std::size_t>(std::count(counts.begin(), counts.end(), std::size_t{0})));
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < features; ++j) rows_(i, j) = (static_cast<double>(x(i, j)) - mean_[j]) / scale_[j];
      labels_[i] = labels[i];
      row_weights_[i] = options.class_weight == class_weighting::uniform
                            ? 1.0
                            : count / (present * static_cast<double>(counts[labels[i]]));
      total_weight_ += row_weights_[i];
    }
    weights_.assign(classes * (features + 1), 0.0);
  }

  /// The objective divided by the sum of the row weights, and its gradient (K, D + 1).
  double value_and_gradient(const cpu& device, kernels::softmax_regression::workspace& work, double l2,
                            const view<const double, 2>& w, const view<double, 2>& gradient) const {
    const std::size_t features = rows_.features();
    const double loss = kernels::softmax_regression::value_and_gradient(device, work, rows_, labels_.data(),
                                                                        row_weights_.data(), w, gradient);
    double squares = 0;
    for (std::size_t k = 0; k < classes_; ++k) {
      for (std::size_t j = 0; j < features; ++j) {
        squares += w(k, j) * w(k, j);
        gradient(k, j) = (gradient(k, j) + l2 * w(k, j)) / total_weight_;
      }
      gradient(k, features) /= total_weight_;
    }
    return (loss + l2 / 2 * squares) / total_weight_;
  }

  kernels::softmax_regression::workspace make_workspace(const cpu& device) const {
    return {rows_.tiles(), rows_.features(), classes_, static_cast<std::size_t>(device.threads)};
  }

  /// Fits for one strength, starting from the fit before. The number of threads does not change the bits.
  logistic_model fit(const cpu& device, double l2) {
    require_threads(device);
    expects(l2 >= 0 && std::isfinite(l2), errc::bad_option, "l2 is ", l2, "; it must be a finite number >= 0");
    auto work = make_workspace(device);
    const shape<2> extents = {classes_, rows_.features() + 1};
    lbfgs_options settings;
    settings.tolerance = options_.tolerance;
    settings.max_iterations = options_.max_iterations;
    const lbfgs_result result = minimise(
        [&](const view<const double, 1>& w, const view<double, 1>& gradient) {
          return value_and_gradient(device, work, l2, {w.data(), extents}, {gradient.data(), extents});
        },
        weights_, settings);
    return logistic_model(classes_, mean_, scale_, weights_, result);
  }

 private:
  logistic_options options_;
  std::size_t classes_;
  kernels::softmax_regression::packed_rows rows_;
  std::vector<std::uint32_t> labels_;
  std::vector<double> row_weights_;
  double total_weight_ = 0;
  std::vector<double> mean_, scale_, weights_;
};

/// One fit from zero weights.
template <Real T>
logistic_model fit_logistic_regression(const cpu& device, const view<const T, 2>& x,
                                       std::span<const std::uint32_t> labels, std::size_t classes,
                                       const logistic_options& options = {}) {
  return logistic_problem(x, labels, classes, options).fit(device, options.l2);
}

}  // namespace hocket::nn

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in nn/instances.cpp
namespace hocket::nn {
HOCKET_NN_INSTANCE logistic_model fit_logistic_regression<float>(const cpu&, const view<const float, 2>&,
                                                                 std::span<const std::uint32_t>, std::size_t,
                                                                 const logistic_options&);
HOCKET_NN_INSTANCE logistic_model fit_logistic_regression<double>(const cpu&, const view<const double, 2>&,
                                                                  std::span<const std::uint32_t>, std::size_t,
                                                                  const logistic_options&);
}  // namespace hocket::nn
#endif
