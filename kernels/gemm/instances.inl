// Functions that programs of a checkout take from instances.cpp instead of compiling them again in each unit.

namespace hocket::kernels::gemm {

HOCKET_INSTANCE void own<float>(const shape&, float, const float*, const float*, float, float*, float*) noexcept;
HOCKET_INSTANCE void own<double>(const shape&, double, const double*, const double*, double, double*, double*) noexcept;

}  // namespace hocket::kernels::gemm
