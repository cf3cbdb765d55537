// Functions that programs of a checkout take from instances.cpp instead of compiling them again in each unit.

namespace hocket::kernels::pointwise_loss {

HOCKET_INSTANCE double forward<float>(loss, const view<const float, 2>&, const view<const float, 2>&) noexcept;
HOCKET_INSTANCE void backward<float>(loss, const view<const float, 2>&, const view<const float, 2>&, float, bool, bool,
                                     const view<float, 2>&) noexcept;
HOCKET_INSTANCE double forward<double>(loss, const view<const double, 2>&, const view<const double, 2>&) noexcept;
HOCKET_INSTANCE void backward<double>(loss, const view<const double, 2>&, const view<const double, 2>&, double, bool,
                                      bool, const view<double, 2>&) noexcept;

}  // namespace hocket::kernels::pointwise_loss
