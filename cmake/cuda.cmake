# HOCKET_CUDA=ON: nvcc compiles the kernels, programs link the CUDA runtime and libraries. hocket::cuda carries both.
# Without it everything builds too: kernels run on the tests' host executor, CUDA arms are reported as not run.
option(HOCKET_CUDA "Compile the CUDA kernels with nvcc and link the CUDA libraries" OFF)
option(HOCKET_CUDART_SHARED "Link the shared CUDA runtime (libcudart.so) instead of the static one" OFF)
if(NOT HOCKET_CUDA)
  return()
endif()
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80 CACHE STRING "Compute capabilities to compile for, 75 and above")
endif()
if(HOCKET_CUDART_SHARED)
  set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
endif()
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc can, from 12.0 on
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
endif()
find_package(CUDAToolkit REQUIRED)
add_library(hocket_cuda INTERFACE)
add_library(hocket::cuda ALIAS hocket_cuda)
target_compile_definitions(hocket_cuda INTERFACE HOCKET_WITH_CUDA=1)
target_link_libraries(hocket_cuda INTERFACE hocket::hocket $<IF:$<BOOL:${HOCKET_CUDART_SHARED}>,CUDA::cudart,CUDA::cudart_static>
                                            CUDA::cublas CUDA::cublasLt CUDA::cufft CUDA::cusolver)
