// Functions that programs of a checkout take from instances.cpp instead of compiling them again in each unit.

namespace hocket::kernels::mfcc {

HOCKET_INSTANCE class plan<float>;
HOCKET_INSTANCE class plan<double>;
HOCKET_INSTANCE float detail::run_block<float>(const plan<float>&, float*, const span_of_samples<float>&, std::size_t,
                                               std::size_t, float*, std::size_t, float*);
HOCKET_INSTANCE void detail::finish_block<float>(const plan<float>&, float*, float, const float*, std::size_t, float*,
                                                 std::size_t);
HOCKET_INSTANCE double detail::run_block<double>(const plan<double>&, double*, const span_of_samples<double>&,
                                                 std::size_t, std::size_t, double*, std::size_t, double*);
HOCKET_INSTANCE void detail::finish_block<double>(const plan<double>&, double*, double, const double*, std::size_t,
                                                  double*, std::size_t);

}  // namespace hocket::kernels::mfcc
