// Functions that programs of a checkout take from instances.cpp instead of compiling them again in each unit.

namespace hocket::kernels::cross_entropy {

HOCKET_INSTANCE void forward<float>(const cpu&, const view<const float, 2>&, const targets<float>&,
                                    const view<float, 1>&, const view<float, 2>&) noexcept;
HOCKET_INSTANCE void backward<float>(const cpu&, const view<const float, 2>&, const targets<float>&,
                                     const view<const float, 2>&, float, bool, const view<float, 2>&) noexcept;
HOCKET_INSTANCE void forward<double>(const cpu&, const view<const double, 2>&, const targets<double>&,
                                     const view<double, 1>&, const view<double, 2>&) noexcept;
HOCKET_INSTANCE void backward<double>(const cpu&, const view<const double, 2>&, const targets<double>&,
                                      const view<const double, 2>&, double, bool, const view<double, 2>&) noexcept;

}  // namespace hocket::kernels::cross_entropy
