// The umbrella with the CUDA overloads: hocket.hpp, device memory, and everything that runs on `cuda{stream}`. In a
// unit that nvcc compiles (-DHOCKET_WITH_CUDA=1; the program links the CUDA runtime, cublas, cublasLt, cufft and
// cusolver) the overloads take cuda{stream}; a host compiler sees the same templates for cuda_on_host, the tests'
// device, and needs no CUDA header.
#pragma once

#include <hocket/hocket.hpp>

// memory, streams, events; launches
#include <hocket/core/cuda/launch.cuh>
#include <hocket/core/cuda/runtime.hpp>

// audio, linalg: from host memory to host memory
#include <hocket/audio/cuda_mfcc.cuh>
#include <hocket/linalg/cuda_pca.cuh>

// kernels on views of device memory
#include <hocket/kernels/attention/cuda_launch.cuh>
#include <hocket/kernels/cross_entropy/cuda_launch.cuh>
#include <hocket/kernels/embedding/cuda_launch.cuh>
#include <hocket/kernels/epilogue/cuda_launch.cuh>
#include <hocket/kernels/gemm/cuda_launch.cuh>
#include <hocket/kernels/layernorm/cuda_launch.cuh>
#include <hocket/kernels/mfcc/cuda_memory.cuh>
#include <hocket/kernels/optimizer_step/cuda_launch.cuh>
#include <hocket/kernels/pointwise_loss/cuda_launch.cuh>
#include <hocket/kernels/pooling/cuda_launch.cuh>
#include <hocket/kernels/softmax/cuda_launch.cuh>
#include <hocket/kernels/softmax_regression/cuda_launch.cuh>
#include <hocket/kernels/unit_rows/cuda_launch.cuh>

// libraries behind the same views
#include <hocket/kernels/fft/vendor_cufft.hpp>
#include <hocket/kernels/gemm/vendor_cublaslt.hpp>
#include <hocket/kernels/mfcc/vendor_cufft.cuh>
