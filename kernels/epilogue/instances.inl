// Functions that programs of a checkout take from instances.cpp instead of compiling them again in each unit.

namespace hocket::kernels::epilogue {

HOCKET_INSTANCE void forward_rows<float>(activation, const dropout&, const forward_rows_of<float>&) noexcept;
HOCKET_INSTANCE void forward_rows<double>(activation, const dropout&, const forward_rows_of<double>&) noexcept;
HOCKET_INSTANCE void forward_rows<float, bf16>(activation, const dropout&,
                                               const forward_rows_of<float, bf16>&) noexcept;
HOCKET_INSTANCE void backward_rows<float>(activation, const dropout&, const backward_rows_of<float>&) noexcept;
HOCKET_INSTANCE void backward_rows<double>(activation, const dropout&, const backward_rows_of<double>&) noexcept;
HOCKET_INSTANCE void backward_rows<float, bf16>(activation, const dropout&,
                                                const backward_rows_of<float, bf16>&) noexcept;

}  // namespace hocket::kernels::epilogue
