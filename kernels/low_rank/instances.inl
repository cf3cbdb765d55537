// Functions that programs of a checkout take from instances.cpp instead of compiling them again in each unit.

namespace hocket::kernels::low_rank {

HOCKET_INSTANCE void project<float>(std::size_t, std::size_t, const float*, std::size_t, const kept_elements&,
                                    std::size_t, const float*, std::size_t, float*, std::size_t) noexcept;
HOCKET_INSTANCE void add_outer<float>(std::size_t, std::size_t, const float*, std::size_t, std::size_t, const float*,
                                      std::size_t, const kept_elements&, float*, std::size_t) noexcept;
HOCKET_INSTANCE void add_back<float>(std::size_t, std::size_t, const float*, std::size_t, std::size_t, const float*,
                                     std::size_t, const kept_elements&, float*, std::size_t) noexcept;
HOCKET_INSTANCE void project<double>(std::size_t, std::size_t, const double*, std::size_t, const kept_elements&,
                                     std::size_t, const double*, std::size_t, double*, std::size_t) noexcept;
HOCKET_INSTANCE void add_outer<double>(std::size_t, std::size_t, const double*, std::size_t, std::size_t, const double*,
                                       std::size_t, const kept_elements&, double*, std::size_t) noexcept;
HOCKET_INSTANCE void add_back<double>(std::size_t, std::size_t, const double*, std::size_t, std::size_t, const double*,
                                      std::size_t, const kept_elements&, double*, std::size_t) noexcept;

}  // namespace hocket::kernels::low_rank
