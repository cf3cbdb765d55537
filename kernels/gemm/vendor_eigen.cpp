// Eigen's product for f32 and f64, compiled once for all programs of a checkout.
#include <hocket/kernels/gemm/vendor_eigen.hpp>

namespace hocket::kernels::gemm {
template void eigen<float>(const shape&, float, const float*, const float*, float, float*, float*) noexcept;
template void eigen<double>(const shape&, double, const double*, const double*, double, double*, double*) noexcept;
}  // namespace hocket::kernels::gemm
