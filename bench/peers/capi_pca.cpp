// PCA fits by solver name, with every gemm and eigenproblem engine that this build has.
#include <algorithm>

#include <hocket/kernels/dense/vendor_lapack.hpp>
#include <hocket/kernels/gemm/vendor_blas.hpp>
#include <hocket/kernels/gemm/vendor_onednn.hpp>
#include <hocket/linalg/pca.hpp>

#include "capi.hpp"

namespace {

/// (n, d) -> components (k, d), largest variance first.
class pca_fit final : public hocket::capi::runnable {
 public:
  pca_fit(const char* solver, std::size_t n, std::size_t d, std::size_t k, int threads) : n_(n), device_{threads} {
    options_.solver = hocket::detail::option_from_text<hocket::linalg::pca_solver>("solver", solver);
    options_.k = hocket::text(k);
    rows = k;
    columns = d;
  }

  void run(const float* input, float* output) override {
    const auto model =
        hocket::linalg::pca_fit<float>(hocket::view<const float, 2>(input, {n_, columns}), options_, device_);
    std::copy(model.components.begin(), model.components.end(), output);
  }

 private:
  std::size_t n_;
  hocket::cpu device_;
  hocket::linalg::pca_options options_;
};

}  // namespace

HOCKET_CAPI void* hocket_pca(const char* solver, std::size_t n, std::size_t d, std::size_t k, int threads) {
  return hocket::capi::guarded([&] { return std::make_unique<pca_fit>(solver, n, d, k, threads); });
}
