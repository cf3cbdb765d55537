// Functions that programs of a checkout take from instances.cpp instead of compiling them again in each unit.

namespace hocket::kernels::embedding {

HOCKET_INSTANCE void forward<float>(const cpu&, std::span<const lookup<float>>, const view<float, 2>&) noexcept;
HOCKET_INSTANCE void backward<float>(const cpu&, const view<const float, 2>&, std::span<const std::uint32_t>,
                                     const view<float, 2>&) noexcept;
HOCKET_INSTANCE void forward<double>(const cpu&, std::span<const lookup<double>>, const view<double, 2>&) noexcept;
HOCKET_INSTANCE void backward<double>(const cpu&, const view<const double, 2>&, std::span<const std::uint32_t>,
                                      const view<double, 2>&) noexcept;

}  // namespace hocket::kernels::embedding
