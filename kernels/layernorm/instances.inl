// Functions that programs of a checkout take from instances.cpp instead of compiling them again in each unit.

namespace hocket::kernels::layernorm::detail {

HOCKET_INSTANCE void forward_rows<true, float>(const rows_of<float>&, const float*, float, float*, std::size_t, float*,
                                               float*) noexcept;
HOCKET_INSTANCE void backward_rows<true, float>(const rows_of<float>&, const float*, std::size_t, const float*,
                                                const float*, float*, std::size_t, float*, float*) noexcept;
HOCKET_INSTANCE void forward_rows<false, float>(const rows_of<float>&, const float*, float, float*, std::size_t, float*,
                                                float*) noexcept;
HOCKET_INSTANCE void backward_rows<false, float>(const rows_of<float>&, const float*, std::size_t, const float*,
                                                 const float*, float*, std::size_t, float*, float*) noexcept;
HOCKET_INSTANCE void forward_rows<true, double>(const rows_of<double>&, const double*, double, double*, std::size_t,
                                                double*, double*) noexcept;
HOCKET_INSTANCE void backward_rows<true, double>(const rows_of<double>&, const double*, std::size_t, const double*,
                                                 const double*, double*, std::size_t, double*, double*) noexcept;
HOCKET_INSTANCE void forward_rows<false, double>(const rows_of<double>&, const double*, double, double*, std::size_t,
                                                 double*, double*) noexcept;
HOCKET_INSTANCE void backward_rows<false, double>(const rows_of<double>&, const double*, std::size_t, const double*,
                                                  const double*, double*, std::size_t, double*, double*) noexcept;

}  // namespace hocket::kernels::layernorm::detail
