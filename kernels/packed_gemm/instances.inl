// Functions that programs of a checkout take from instances.cpp instead of compiling them again in each unit.

namespace hocket::kernels::packed_gemm {

HOCKET_INSTANCE void pack<float>(precision, std::size_t, std::size_t, std::span<const part<float>>, bool, std::size_t,
                                 std::size_t, std::byte*) noexcept;
HOCKET_INSTANCE void pack<double>(precision, std::size_t, std::size_t, std::span<const part<double>>, bool, std::size_t,
                                  std::size_t, std::byte*) noexcept;
HOCKET_INSTANCE void pack_left<float>(const left&, std::size_t, std::size_t, const float*, std::size_t) noexcept;
HOCKET_INSTANCE void pack_left<bf16>(const left&, std::size_t, std::size_t, const bf16*, std::size_t) noexcept;
HOCKET_INSTANCE void pack_left_turned<float>(const left&, std::size_t, std::size_t, const float*, std::size_t) noexcept;
HOCKET_INSTANCE void pack_left_turned<bf16>(const left&, std::size_t, std::size_t, const bf16*, std::size_t) noexcept;
HOCKET_INSTANCE void pack_rows<float>(precision, std::size_t, std::size_t, const float*, std::size_t,
                                      std::byte*) noexcept;
HOCKET_INSTANCE void pack_rows<float, bf16>(precision, std::size_t, std::size_t, const bf16*, std::size_t,
                                            std::byte*) noexcept;
HOCKET_INSTANCE void pack_rows<double>(precision, std::size_t, std::size_t, const double*, std::size_t,
                                       std::byte*) noexcept;
HOCKET_INSTANCE void turn<float>(std::size_t, std::size_t, const float*, std::size_t, float*, std::size_t) noexcept;
HOCKET_INSTANCE void turn<double>(std::size_t, std::size_t, const double*, std::size_t, double*, std::size_t) noexcept;
HOCKET_INSTANCE void pack_left_step<float>(const left&, std::size_t, std::size_t, const float*, std::size_t) noexcept;
HOCKET_INSTANCE void product<float>(std::size_t, std::size_t, const float*, std::size_t, const std::byte*, float*, bool,
                                    const std::byte*) noexcept;
HOCKET_INSTANCE void product<double>(std::size_t, std::size_t, const double*, std::size_t, const std::byte*, double*,
                                     bool, const std::byte*) noexcept;
HOCKET_INSTANCE void product_tiles<float>(const left&, std::size_t, std::size_t, const std::byte*, float*, bool,
                                          const std::byte*) noexcept;
HOCKET_INSTANCE void product_steps<float>(const left&, std::size_t, std::size_t, const std::byte*, std::size_t,
                                          std::size_t, float*, bool, const std::byte*) noexcept;
HOCKET_INSTANCE void use_tiles<float>(bool) noexcept;

}  // namespace hocket::kernels::packed_gemm
