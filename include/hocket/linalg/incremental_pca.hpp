// Incremental: a PCA from batches that need not be in memory together. The components so far, scaled by their singular
// values, stand for all rows seen; each batch is stacked below them with one row for the shift of the mean, and the
// stack is decomposed again (Ross, Lim, Lin, Yang, "Incremental learning for robust visual tracking", 2008,
// section 2.1). With k = all nothing is ever cut, so the result is that of the full solver; otherwise each step cuts to
// k components.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include <hocket/linalg/pca_model.hpp>
#include <hocket/linalg/pca_solvers/solver.hpp>

namespace hocket::linalg {

template <Real T>
class incremental_pca {
 public:
  explicit incremental_pca(const pca_options& options = {}, const cpu& device = {})
      : options_(options), device_(device) {
    require_threads(device);
  }

  std::size_t n_samples() const { return n_; }

  /// Takes in the rows of x (B,D). The first batch fixes D; it must have at least k rows when k is a count.
  void partial_fit(view<const T, 2> x) {
    const std::size_t b = x.extent(0), d = x.extent(1);
    expects(d >= 1, errc::unsupported_shape, "partial_fit: the rows have no features");
    expects(n_ == 0 || d == d_, errc::unsupported_shape, "partial_fit: rows have ", d,
            " features, the first batch had ", d_);
    if (b == 0) return;
    const pca_rank rank = parse_rank(options_.k, n_ == 0 ? std::min(b, d) : d);
    const std::size_t cut = options_.k == "all" || rank.count == 0 ? d : rank.count;
    centred_matrix<T> batch(x, {options_.gemm}, {1});
    const auto dense = kernels::dense::find_engine<double>(options_.dense);

    const std::size_t above = squares_.size(), stack = above + b + (n_ > 0 ? 1 : 0);
    std::vector<double> data(stack * d);
    for (std::size_t i = 0; i < above; ++i) {
      const double s = std::sqrt(squares_[i]);
      for (std::size_t j = 0; j < d; ++j) data[i * d + j] = s * rows_[i * d + j];
    }
    for (std::size_t i = 0; i < b; ++i)
      for (std::size_t j = 0; j < d; ++j) data[(above + i) * d + j] = batch.centred_value(i, j);
    const double n = static_cast<double>(n_), added = static_cast<double>(b), all = n + added;
    if (n_ == 0) {
      d_ = d;
      mean_ = batch.mean();
      origin_.assign(x.data(), x.data() + d);
      shift_.resize(d);
      for (std::size_t j = 0; j < d; ++j) shift_[j] = batch.mean_minus(j, origin_[j]);
    } else {
      const double weight = std::sqrt(n / all * added);
      for (std::size_t j = 0; j < d; ++j) {
        // both means as distances from the first row ever seen: a common offset takes no digits
        const double moved = batch.mean_minus(j, origin_[j]) - shift_[j];
        data[(stack - 1) * d + j] = weight * moved;
        shift_[j] += moved * (added / all);
        mean_[j] = static_cast<double>(origin_[j]) + shift_[j];
      }
    }
    for (std::size_t e = above * d; e < data.size(); ++e) total_ += data[e] * data[e];

    const std::size_t r = std::min(stack, d);
    std::vector<double> values(r), vectors(r * d), workspace(dense.svd_workspace(stack, d));
    expects(dense.svd(stack, d, data.data(), values.data(), vectors.data(), workspace.data()), errc::bad_value,
            "the singular value decomposition of ", stack, " x ", d, " values did not converge; scale the data");
    n_ += b;
    const std::size_t kept = std::min({r, cut, n_});
    rows_.assign(vectors.begin(), vectors.begin() + static_cast<std::ptrdiff_t>(kept * d));
    squares_.resize(kept);
    for (std::size_t i = 0; i < kept; ++i) squares_[i] = values[i] * values[i];
  }

  /// The PCA of all rows seen.
  pca_model<T> model() const {
    expects(n_ >= 2, errc::unsupported_shape, "a PCA needs at least 2 rows, incremental_pca has seen ", n_);
    leading_spectrum<T> found;
    found.squares = squares_;
    found.rows.resize(rows_.size());
    std::transform(rows_.begin(), rows_.end(), found.rows.begin(), [](double v) { return static_cast<T>(v); });
    found.total = total_;
    pca_model<T> result =
        detail::make_model<T>(n_, mean_, std::move(found), parse_rank(options_.k, std::min(n_, d_)), options_);
    result.solver = pca_solver::incremental;
    result.why = text("asked for; ", n_, " rows in batches");
    return result;
  }

 private:
  pca_options options_;
  cpu device_;
  std::size_t n_ = 0, d_ = 0;
  std::vector<double> mean_, shift_, rows_, squares_;
  std::vector<T> origin_;
  double total_ = 0;  ///< sum of squares about the mean of all rows seen
};

}  // namespace hocket::linalg

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in linalg/instances.cpp
namespace hocket::linalg {
HOCKET_LINALG_INSTANCE class incremental_pca<float>;
HOCKET_LINALG_INSTANCE class incremental_pca<double>;
}  // namespace hocket::linalg
#endif
