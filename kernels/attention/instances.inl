// Functions that programs of a checkout take from instances.cpp instead of compiling them again in each unit.

namespace hocket::kernels::attention {

HOCKET_INSTANCE void forward<float>(const cpu&, const shape&, const inputs<float>&, const outputs<float>&,
                                    float*) noexcept;
HOCKET_INSTANCE void forward<double>(const cpu&, const shape&, const inputs<double>&, const outputs<double>&,
                                     double*) noexcept;
HOCKET_INSTANCE void backward<float>(const cpu&, const shape&, const inputs<float>&, const upstream<float>&,
                                     const gradients<float>&, float*) noexcept;
HOCKET_INSTANCE void backward<double>(const cpu&, const shape&, const inputs<double>&, const upstream<double>&,
                                      const gradients<double>&, double*) noexcept;

HOCKET_INSTANCE void forward<bf16>(const cpu&, const shape&, const inputs<bf16>&, const outputs<bf16>&,
                                   float*) noexcept;
HOCKET_INSTANCE void backward<bf16>(const cpu&, const shape&, const inputs<bf16>&, const upstream<bf16>&,
                                    const gradients<bf16>&, float*) noexcept;

}  // namespace hocket::kernels::attention
