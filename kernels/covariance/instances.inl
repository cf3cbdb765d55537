// Functions that programs of a checkout take from instances.cpp instead of compiling them again in each unit.

namespace hocket::kernels::covariance {

HOCKET_INSTANCE void add_panel<float>(std::size_t, std::size_t, std::size_t, std::size_t, const float*, double*,
                                      bool) noexcept;
HOCKET_INSTANCE void add_panel<double>(std::size_t, std::size_t, std::size_t, std::size_t, const double*, double*,
                                       bool) noexcept;

}  // namespace hocket::kernels::covariance
