// Devices are arguments: `cpu{2}` or `cuda{stream}`, never a global. A call without a device runs on cpu{}.
#pragma once

#include <string>
#include <string_view>

#include <hocket/core/config.hpp>
#include <hocket/core/error.hpp>

#if defined(HOCKET_WITH_CUDA) || defined(__CUDACC__)
#include <cuda_runtime_api.h>
#endif

namespace hocket {

/// The calling machine. `threads` >= 1 is the number of worker threads a call may use (1: the calling thread alone, so
/// a component embedded in a larger program takes no cores unasked). The number never changes a result's bits.
struct cpu {
  int threads = 1;
};

/// A CUDA device; `stream` is a cudaStream_t, null for the default stream.
struct cuda {
  void* stream = nullptr;
};

/// The backends an arm can belong to; `cuda_host` runs CUDA kernels on the host executor of the tests.
enum class backend { cpu, cuda, cuda_host };

constexpr std::string_view name_of(backend where) {
  switch (where) {
    case backend::cpu: return "cpu";
    case backend::cuda: return "cuda";
    case backend::cuda_host: return "cuda_host";
  }
  return "unknown";
}

/// Whether this translation unit was compiled with CUDA support. Internal to the unit, so that one without never
/// decides for one with it.
#if defined(HOCKET_WITH_CUDA)
static constexpr bool cuda_built = true;
#else
static constexpr bool cuda_built = false;
#endif

namespace detail {

/// Why no CUDA device can be used, empty when one can.
template <bool Built>
std::string cuda_trouble() {
#if defined(HOCKET_WITH_CUDA)
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) return cudaGetErrorString(status);
  return count > 0 ? "" : "the driver knows no device";
#else
  return "not in this build";
#endif
}

}  // namespace detail

/// Throws the reason why the backend cannot be used; returns if it can.
template <bool Built = cuda_built>
void require_backend(backend where) {
  if (where == backend::cpu) return;
  expects(Built, errc::not_built, "backend ", name_of(where),
          " is not in this build: configure with nvcc on the PATH and -DHOCKET_CUDA=ON, or use --backend cpu");
  expects(where == backend::cuda, errc::not_built, "backend ", name_of(where),
          " runs CUDA kernels on the host executor of the tests, which programs do not have: use cpu or cuda");
  const std::string trouble = detail::cuda_trouble<Built>();
  expects(trouble.empty(), errc::no_device, "no ", name_of(where), " device was found on this machine (", trouble,
          "): use --backend cpu");
}

/// More than any machine has processors for; starting a hundred thousand threads takes minutes.
inline constexpr int most_threads = 4096;

inline void require_threads(const cpu& device) {
  expects(device.threads >= 1 && device.threads <= most_threads, errc::bad_option, "cpu.threads is ", device.threads,
          "; it must be 1 to ", most_threads);
}

}  // namespace hocket
