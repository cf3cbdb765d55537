#include "experiments/support/pca_fit.hpp"

#include <algorithm>
#include <type_traits>
#include <vector>

#include <hocket/linalg/pca.hpp>

namespace hocket::experiments {

namespace {

#if defined(HOCKET_WITH_CUDA)

std::vector<double> widened(const std::vector<float>& values) { return {values.begin(), values.end()}; }

linalg::pca_model<double> widened(const linalg::pca_model<float>& narrow) {
  linalg::pca_model<double> wide;
  wide.n_samples = narrow.n_samples;
  wide.n_features = narrow.n_features;
  wide.n_components = narrow.n_components;
  wide.mean = widened(narrow.mean);
  wide.components = widened(narrow.components);
  wide.explained_variance = widened(narrow.explained_variance);
  wide.explained_variance_ratio = widened(narrow.explained_variance_ratio);
  wide.singular_values = widened(narrow.singular_values);
  wide.total_variance = narrow.total_variance;
  wide.noise_variance = narrow.noise_variance;
  wide.whiten = narrow.whiten;
  wide.solver = narrow.solver;
  wide.why = narrow.why;
  wide.residual = narrow.residual;
  wide.converged = narrow.converged;
  wide.products = narrow.products;
  wide.width = narrow.width;
  wide.next_singular_value = narrow.next_singular_value;
  wide.error_bound = narrow.error_bound;
  return wide;
}

template <Real T>
linalg::pca_model<T> on_cuda(view<const T, 2> x, const linalg::pca_options& options) {
  if constexpr (std::is_same_v<T, float>) {
    return pca_fit_cuda(x, options);
  } else {
    std::vector<float> narrow(x.size());
    for (std::size_t i = 0; i < x.extent(0); ++i)
      std::transform(&x(i, 0), &x(i, 0) + x.extent(1), narrow.begin() + static_cast<std::ptrdiff_t>(i * x.extent(1)),
                     [](double v) { return static_cast<float>(v); });
    return widened(pca_fit_cuda(view<const float, 2>(narrow.data(), x.extents()), options));
  }
}

#else

template <Real T>
linalg::pca_model<T> on_cuda(view<const T, 2>, const linalg::pca_options&) {
  fail(errc::not_built, "this program was built without CUDA");
}

#endif

}  // namespace

template <Real T>
linalg::pca_model<T> pca_fit_on(backend where, view<const T, 2> x, const linalg::pca_options& options, int threads) {
  require_backend(where);
  return where == backend::cuda ? on_cuda<T>(x, options) : linalg::pca_fit<T>(x, options, cpu{threads});
}

template linalg::pca_model<float> pca_fit_on(backend, view<const float, 2>, const linalg::pca_options&, int);
template linalg::pca_model<double> pca_fit_on(backend, view<const double, 2>, const linalg::pca_options&, int);

}  // namespace hocket::experiments
