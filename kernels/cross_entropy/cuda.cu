// The kernels of this folder as one translation unit for nvcc.
#include <hocket/kernels/cross_entropy/cuda.cuh>
