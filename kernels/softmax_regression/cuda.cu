// The kernels of this folder as one translation unit for nvcc.
#include <hocket/kernels/softmax_regression/cuda.cuh>
