// The kernels of this folder, compiled once for all programs of a checkout.
#define HOCKET_COMPILES_INSTANCES 1
#include <hocket/kernels/packed_gemm/cpu.hpp>

#define HOCKET_INSTANCE template
#include <hocket/kernels/packed_gemm/instances.inl>
