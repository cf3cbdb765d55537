#include "experiments/support/pca_transform.hpp"

#include <memory>

#include <hocket/linalg/pca.hpp>

#include "experiments/support/pca_fit.hpp"

namespace hocket::experiments {

transform_fit pca_after_standardizing(const linalg::pca_options& options, backend where) {
  return [options, where](const view<const double, 2>& train) -> transform {
    const auto scale = std::make_shared<const standardizer>(train);
    const std::vector<double> rows = (*scale)(train);
    const auto model = std::make_shared<const linalg::pca_model<double>>(
        pca_fit_on<double>(where, view<const double, 2>(rows.data(), train.extents()), options));
    return [scale, model](const view<const double, 2>& x, std::size_t& columns) {
      const std::vector<double> scaled = (*scale)(x);
      columns = model->n_components;
      std::vector<double> scores(x.extent(0) * columns);
      linalg::pca_transform<double>(*model, view<const double, 2>(scaled.data(), x.extents()),
                                    view<double, 2>(scores.data(), {x.extent(0), columns}));
      return scores;
    };
  };
}

}  // namespace hocket::experiments
