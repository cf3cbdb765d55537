// A PCA on the backend that --backend names.
#pragma once

#include <hocket/core/device.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/view.hpp>
#include <hocket/linalg/pca_options.hpp>

namespace hocket::experiments {

/// Fits x (N,D) with `threads` threads of the CPU or on the default stream of the first CUDA device. CUDA computes in
/// f32: an f64 input is rounded, the model is widened. Throws not_built or no_device where the backend is missing, and
/// not_built for a solver that the backend does not have.
template <Real T>
linalg::pca_model<T> pca_fit_on(backend where, view<const T, 2> x, const linalg::pca_options& options, int threads = 1);

extern template linalg::pca_model<float> pca_fit_on(backend, view<const float, 2>, const linalg::pca_options&, int);
extern template linalg::pca_model<double> pca_fit_on(backend, view<const double, 2>, const linalg::pca_options&, int);

#if defined(HOCKET_WITH_CUDA)
/// Compiled by nvcc: pca_fit_cuda.cu.
linalg::pca_model<float> pca_fit_cuda(view<const float, 2> x, const linalg::pca_options& options);
#endif

}  // namespace hocket::experiments
