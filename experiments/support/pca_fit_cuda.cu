// The CUDA PCA of the experiment programs; the same templates run on the host executor in tests/linalg/cuda_pca.cpp.
#include <hocket/linalg/cuda_pca.cuh>

#include "experiments/support/pca_fit.hpp"

namespace hocket::experiments {

linalg::pca_model<float> pca_fit_cuda(view<const float, 2> x, const linalg::pca_options& options) {
  return linalg::pca_fit(x, options, cuda{});
}

}  // namespace hocket::experiments
