// Standardise, then keep the first k principal components: fitted on training rows only.
#pragma once

#include <cmath>
#include <vector>

#include <hocket/core/device.hpp>
#include <hocket/linalg/pca_options.hpp>

#include "experiments/support/folds.hpp"

namespace hocket::experiments {

/// Mean 0 and deviation 1 for every column of (n, D), learnt from the rows it is made with.
class standardizer {
 public:
  explicit standardizer(const view<const double, 2>& x) : mean_(x.extent(1), 0.0), scale_(x.extent(1), 0.0) {
    const double count = static_cast<double>(x.extent(0));
    for (std::size_t i = 0; i < x.extent(0); ++i)
      for (std::size_t j = 0; j < x.extent(1); ++j) mean_[j] += x(i, j) / count;
    for (std::size_t i = 0; i < x.extent(0); ++i)
      for (std::size_t j = 0; j < x.extent(1); ++j) scale_[j] += (x(i, j) - mean_[j]) * (x(i, j) - mean_[j]) / count;
    for (double& value : scale_) value = value > 0 ? std::sqrt(value) : 1;
  }
  std::vector<double> operator()(const view<const double, 2>& x) const {
    std::vector<double> out(x.size());
    for (std::size_t i = 0; i < x.extent(0); ++i)
      for (std::size_t j = 0; j < x.extent(1); ++j) out[i * x.extent(1) + j] = (x(i, j) - mean_[j]) / scale_[j];
    return out;
  }

 private:
  std::vector<double> mean_, scale_;
};

/// `where` fits the PCA; standardising and scores are the CPU's.
transform_fit pca_after_standardizing(const linalg::pca_options& options, backend where = backend::cpu);

}  // namespace hocket::experiments
