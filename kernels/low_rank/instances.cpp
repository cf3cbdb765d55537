// The kernels of this folder for f32 and f64, compiled once for all programs of a checkout.
#include <hocket/kernels/low_rank/cpu.hpp>

#define HOCKET_INSTANCE template
#include <hocket/kernels/low_rank/instances.inl>
