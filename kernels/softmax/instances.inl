// Functions that programs of a checkout take from instances.cpp instead of compiling them again in each unit.

namespace hocket::kernels::softmax::detail {

HOCKET_INSTANCE void forward_rows<float>(std::size_t, std::size_t, const float*, std::size_t, float*,
                                         std::size_t) noexcept;
HOCKET_INSTANCE void forward_rows<double>(std::size_t, std::size_t, const double*, std::size_t, double*,
                                          std::size_t) noexcept;
HOCKET_INSTANCE void backward_rows<float>(std::size_t, std::size_t, const float*, std::size_t, const float*,
                                          std::size_t, float*, std::size_t) noexcept;
HOCKET_INSTANCE void backward_rows<double>(std::size_t, std::size_t, const double*, std::size_t, const double*,
                                           std::size_t, double*, std::size_t) noexcept;

}  // namespace hocket::kernels::softmax::detail
