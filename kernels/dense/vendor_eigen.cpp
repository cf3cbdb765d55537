// Eigen's dense solvers for f64, compiled once for all programs of a checkout.
#include <hocket/kernels/dense/vendor_eigen.hpp>

namespace hocket::kernels::dense {
template bool eigen_eigen<double>(std::size_t, std::size_t, double*, double*, double*, double*) noexcept;
template bool eigen_svd<double>(std::size_t, std::size_t, double*, double*, double*, double*) noexcept;
}  // namespace hocket::kernels::dense
