// What the status numbers of the CUDA libraries mean in the library's own named errors. Pure, so that it is tested
// where none of those libraries is installed; the numbers are those of driver_types.h, cublas_api.h, cufft.h and
// cusolver_common.h (CUDA 11 to 13) and never change within CUDA.
#pragma once

#include <string_view>

#include <hocket/core/error.hpp>

namespace hocket {

/// cudaError_t. Values that no table names are damage found after the fact: a kernel touched memory that is not its
/// own.
constexpr errc errc_of_cuda(int status) {
  switch (status) {
    case 2: return errc::out_of_memory;        // cudaErrorMemoryAllocation
    case 34:                                   // cudaErrorStubLibrary
    case 35:                                   // cudaErrorInsufficientDriver
    case 46:                                   // cudaErrorDevicesUnavailable
    case 100:                                  // cudaErrorNoDevice
    case 101:                                  // cudaErrorInvalidDevice
    case 802:                                  // cudaErrorSystemNotReady
    case 803: return errc::no_device;          // cudaErrorSystemDriverMismatch
    case 98:                                   // cudaErrorInvalidDeviceFunction
    case 200:                                  // cudaErrorInvalidKernelImage
    case 209:                                  // cudaErrorNoKernelImageForDevice
    case 218:                                  // cudaErrorInvalidPtx
    case 221:                                  // cudaErrorJitCompilerNotFound
    case 222: return errc::not_built;          // cudaErrorUnsupportedPtxVersion
    case 1:                                    // cudaErrorInvalidValue
    case 9:                                    // cudaErrorInvalidConfiguration
    case 701: return errc::unsupported_shape;  // cudaErrorLaunchOutOfResources
    case 716: return errc::misaligned;         // cudaErrorMisalignedAddress
    default: return errc::bad_pointer;
  }
}

/// cublasStatus_t, which cuBLASLt uses too.
constexpr errc errc_of_cublas(int status) {
  switch (status) {
    case 1: return errc::no_device;           // NOT_INITIALIZED: no context could be made
    case 3: return errc::out_of_memory;       // ALLOC_FAILED
    case 7:                                   // INVALID_VALUE
    case 15: return errc::unsupported_shape;  // NOT_SUPPORTED
    case 8: return errc::not_built;           // ARCH_MISMATCH
    default: return errc::bad_pointer;        // MAPPING_ERROR, EXECUTION_FAILED, INTERNAL_ERROR
  }
}
constexpr std::string_view name_of_cublas(int status) {
  switch (status) {
    case 1: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case 3: return "CUBLAS_STATUS_ALLOC_FAILED";
    case 7: return "CUBLAS_STATUS_INVALID_VALUE";
    case 8: return "CUBLAS_STATUS_ARCH_MISMATCH";
    case 11: return "CUBLAS_STATUS_MAPPING_ERROR";
    case 13: return "CUBLAS_STATUS_EXECUTION_FAILED";
    case 14: return "CUBLAS_STATUS_INTERNAL_ERROR";
    case 15: return "CUBLAS_STATUS_NOT_SUPPORTED";
    default: return "an unknown cuBLAS status";
  }
}

/// cufftResult.
constexpr errc errc_of_cufft(int status) {
  switch (status) {
    case 0x2: return errc::out_of_memory;       // ALLOC_FAILED
    case 0x4:                                   // INVALID_VALUE
    case 0x8:                                   // INVALID_SIZE
    case 0x10: return errc::unsupported_shape;  // NOT_SUPPORTED
    case 0x9: return errc::misaligned;          // UNALIGNED_DATA
    case 0x7:                                   // SETUP_FAILED
    case 0xb: return errc::no_device;           // INVALID_DEVICE
    case 0xe:                                   // NOT_IMPLEMENTED
    case 0x11: return errc::not_built;          // MISSING_DEPENDENCY
    default: return errc::bad_pointer;          // INVALID_PLAN, INTERNAL_ERROR, EXEC_FAILED, NO_WORKSPACE
  }
}
constexpr std::string_view name_of_cufft(int status) {
  switch (status) {
    case 0x1: return "CUFFT_INVALID_PLAN";
    case 0x2: return "CUFFT_ALLOC_FAILED";
    case 0x4: return "CUFFT_INVALID_VALUE";
    case 0x5: return "CUFFT_INTERNAL_ERROR";
    case 0x6: return "CUFFT_EXEC_FAILED";
    case 0x7: return "CUFFT_SETUP_FAILED";
    case 0x8: return "CUFFT_INVALID_SIZE";
    case 0x9: return "CUFFT_UNALIGNED_DATA";
    case 0xb: return "CUFFT_INVALID_DEVICE";
    case 0xd: return "CUFFT_NO_WORKSPACE";
    case 0xe: return "CUFFT_NOT_IMPLEMENTED";
    case 0x10: return "CUFFT_NOT_SUPPORTED";
    case 0x11: return "CUFFT_MISSING_DEPENDENCY";
    default: return "an unknown cuFFT status";
  }
}

/// cusolverStatus_t.
constexpr errc errc_of_cusolver(int status) {
  switch (status) {
    case 1: return errc::no_device;          // NOT_INITIALIZED
    case 2: return errc::out_of_memory;      // ALLOC_FAILED
    case 3:                                  // INVALID_VALUE
    case 8:                                  // MATRIX_TYPE_NOT_SUPPORTED
    case 9: return errc::unsupported_shape;  // NOT_SUPPORTED
    case 4: return errc::not_built;          // ARCH_MISMATCH
    default: return errc::bad_pointer;
  }
}
constexpr std::string_view name_of_cusolver(int status) {
  switch (status) {
    case 1: return "CUSOLVER_STATUS_NOT_INITIALIZED";
    case 2: return "CUSOLVER_STATUS_ALLOC_FAILED";
    case 3: return "CUSOLVER_STATUS_INVALID_VALUE";
    case 4: return "CUSOLVER_STATUS_ARCH_MISMATCH";
    case 6: return "CUSOLVER_STATUS_EXECUTION_FAILED";
    case 7: return "CUSOLVER_STATUS_INTERNAL_ERROR";
    case 8: return "CUSOLVER_STATUS_MATRIX_TYPE_NOT_SUPPORTED";
    case 9: return "CUSOLVER_STATUS_NOT_SUPPORTED";
    default: return "an unknown cuSOLVER status";
  }
}

/// Throws the named error of a status that is not 0: `what` failed, and how the library calls it.
inline void require_cublas(int status, const char* what) {
  if (status != 0) fail(errc_of_cublas(status), what, ": ", name_of_cublas(status));
}
inline void require_cufft(int status, const char* what) {
  if (status != 0) fail(errc_of_cufft(status), what, ": ", name_of_cufft(status));
}
inline void require_cusolver(int status, const char* what) {
  if (status != 0) fail(errc_of_cusolver(status), what, ": ", name_of_cusolver(status));
}

}  // namespace hocket
