// Functions that programs of a checkout take from instances.cpp instead of compiling them again in each unit.

namespace hocket::kernels::pooling {

HOCKET_INSTANCE void forward<float>(const cpu&, pool, const ragged&, const view<const float, 2>&,
                                    const view<float, 2>&) noexcept;
HOCKET_INSTANCE void backward<float>(const cpu&, pool, const ragged&, const view<const float, 2>&, bool,
                                     const view<float, 2>&) noexcept;
HOCKET_INSTANCE void forward<double>(const cpu&, pool, const ragged&, const view<const double, 2>&,
                                     const view<double, 2>&) noexcept;
HOCKET_INSTANCE void backward<double>(const cpu&, pool, const ragged&, const view<const double, 2>&, bool,
                                      const view<double, 2>&) noexcept;

}  // namespace hocket::kernels::pooling
