// Functions that programs of a checkout take from instances.cpp instead of compiling them again in each unit.

namespace hocket::kernels::unit_rows {

HOCKET_INSTANCE void forward<float>(const cpu&, const view<const float, 2>&, float, const view<float, 2>&,
                                    const view<float, 1>&) noexcept;
HOCKET_INSTANCE void backward<float>(const cpu&, const view<const float, 2>&, const view<const float, 1>&, float,
                                     const view<const float, 2>&, bool, const view<float, 2>&) noexcept;
HOCKET_INSTANCE void forward<double>(const cpu&, const view<const double, 2>&, double, const view<double, 2>&,
                                     const view<double, 1>&) noexcept;
HOCKET_INSTANCE void backward<double>(const cpu&, const view<const double, 2>&, const view<const double, 1>&, double,
                                      const view<const double, 2>&, bool, const view<double, 2>&) noexcept;

}  // namespace hocket::kernels::unit_rows
