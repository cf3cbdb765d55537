// Functions that programs of a checkout take from instances.cpp instead of compiling them again in each unit.

namespace hocket::kernels::optimizer_step::detail {

HOCKET_INSTANCE void adam_run<float>(const adam_constants<float>&, std::size_t, float*, float*, float*, float*,
                                     bool) noexcept;
HOCKET_INSTANCE void adam_run<double>(const adam_constants<double>&, std::size_t, double*, double*, double*, double*,
                                      bool) noexcept;
HOCKET_INSTANCE void adam_of_resting_run<float>(const adam_constants<float>&, std::size_t, float*, float*, float*,
                                                float*, bool, std::uint8_t*) noexcept;
HOCKET_INSTANCE void adam_of_resting_run<double>(const adam_constants<double>&, std::size_t, double*, double*, double*,
                                                 double*, bool, std::uint8_t*) noexcept;
HOCKET_INSTANCE void sgd_run<float>(const sgd_constants<float>&, std::size_t, float*, float*, float*, bool) noexcept;
HOCKET_INSTANCE void sgd_run<double>(const sgd_constants<double>&, std::size_t, double*, double*, double*,
                                     bool) noexcept;
HOCKET_INSTANCE double squares_run<float>(std::size_t, const float*) noexcept;
HOCKET_INSTANCE double squares_run<double>(std::size_t, const double*) noexcept;

}  // namespace hocket::kernels::optimizer_step::detail
