// Functions that programs of a checkout take from instances.cpp instead of compiling them again in each unit.

namespace hocket::kernels::fft {

HOCKET_INSTANCE class plan<float>;
HOCKET_INSTANCE class plan<double>;
HOCKET_INSTANCE class real_plan<float>;
HOCKET_INSTANCE class real_plan<double>;
HOCKET_INSTANCE void run_complex<float>(const plan<float>&, isa, rows_of<const float>, rows_of<float>, std::size_t,
                                        bool, float, float*) noexcept;
HOCKET_INSTANCE void run_real<float>(const real_plan<float>&, isa, rows_of<const float>, rows_of<float>, std::size_t,
                                     float*) noexcept;
HOCKET_INSTANCE void run_real_inverse<float>(const real_plan<float>&, isa, rows_of<const float>, rows_of<float>,
                                             std::size_t, float, float*) noexcept;
HOCKET_INSTANCE void run_complex<double>(const plan<double>&, isa, rows_of<const double>, rows_of<double>, std::size_t,
                                         bool, double, double*) noexcept;
HOCKET_INSTANCE void run_real<double>(const real_plan<double>&, isa, rows_of<const double>, rows_of<double>,
                                      std::size_t, double*) noexcept;
HOCKET_INSTANCE void run_real_inverse<double>(const real_plan<double>&, isa, rows_of<const double>, rows_of<double>,
                                              std::size_t, double, double*) noexcept;

}  // namespace hocket::kernels::fft
