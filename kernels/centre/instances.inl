// Functions that programs of a checkout take from instances.cpp instead of compiling them again in each unit.

namespace hocket::kernels::centre {

HOCKET_INSTANCE void column_sums<float>(std::size_t, std::size_t, const float*, std::size_t, const float*,
                                        double*) noexcept;
HOCKET_INSTANCE void subtract<float>(std::size_t, std::size_t, const float*, std::size_t, const float*, const float*,
                                     float*, std::size_t) noexcept;
HOCKET_INSTANCE double squares<float>(std::size_t, std::size_t, const float*, std::size_t) noexcept;
HOCKET_INSTANCE void add<float>(std::size_t, std::size_t, const float*, std::size_t, double*, std::size_t) noexcept;
HOCKET_INSTANCE void column_sums<double>(std::size_t, std::size_t, const double*, std::size_t, const double*,
                                         double*) noexcept;
HOCKET_INSTANCE void subtract<double>(std::size_t, std::size_t, const double*, std::size_t, const double*,
                                      const double*, double*, std::size_t) noexcept;
HOCKET_INSTANCE double squares<double>(std::size_t, std::size_t, const double*, std::size_t) noexcept;
HOCKET_INSTANCE void add<double>(std::size_t, std::size_t, const double*, std::size_t, double*, std::size_t) noexcept;

}  // namespace hocket::kernels::centre
