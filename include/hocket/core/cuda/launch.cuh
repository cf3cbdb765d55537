// Starting kernels. `launch(device, name, shape, kernel, arguments...)` checks the launch, does not wait for it, and is
// the only place where a kernel is started: on cuda{stream} through the driver, on cuda_on_host{} through the executor
// that the tests supply. Launchers (kernels/<op>/cuda_launch.cuh) are templates on the device and read the same for
// both.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include <hocket/core/cuda/errors.hpp>
#include <hocket/core/cuda/seam.cuh>
#include <hocket/core/cuda/shape.hpp>
#include <hocket/core/device.hpp>
#include <hocket/core/error.hpp>

namespace hocket {

/// Runs kernels on the calling machine and knows which memory is "device" memory. tests/cuda_host implements it.
class host_machine {
 public:
  virtual ~host_machine() = default;
  virtual void run(const char* kernel, const launch_shape& shape, const std::function<void()>& body) = 0;
  /// Whether [p, p + bytes) lies in one allocation of this machine.
  virtual bool owns(const void* p, std::size_t bytes) const = 0;
  /// Memory that owns() knows, null when there is none left; and its end, before which the machine checks `p`.
  virtual void* device_allocate(const char* what, std::size_t bytes) = 0;
  virtual void device_free(void* p) noexcept = 0;
};

/// The device of the tests: CUDA kernels on a host executor.
struct cuda_on_host {
  host_machine* machine = nullptr;
};

template <class Device>
inline constexpr bool is_cuda_device = false;
template <>
inline constexpr bool is_cuda_device<cuda> = true;
template <>
inline constexpr bool is_cuda_device<cuda_on_host> = true;

/// A device that launches CUDA kernels: `cuda` (compiled by nvcc) or `cuda_on_host`.
template <class Device>
concept CudaDevice = is_cuda_device<Device>;

namespace detail {

inline void check_launch(const char* kernel, const launch_shape& shape) {
  const std::size_t threads = std::size_t{shape.block.x} * shape.block.y * shape.block.z;
  expects(threads >= 1 && threads <= 1024, errc::unsupported_shape, kernel, ": a block has 1 to 1024 threads, not ",
          threads);
  expects(shape.grid.x >= 1 && shape.grid.y >= 1 && shape.grid.z >= 1 && shape.grid.y <= 65535 &&
              shape.grid.z <= 65535 && shape.grid.x <= 0x7fffffffu,
          errc::unsupported_shape, kernel, ": a grid of ", shape.grid.x, " x ", shape.grid.y, " x ", shape.grid.z,
          " blocks cannot be launched");
}

}  // namespace detail

template <class Kernel, class... Arguments>
void launch(const cuda_on_host& device, const char* name, const launch_shape& shape, Kernel kernel,
            const Arguments&... arguments) {
  expects(device.machine != nullptr, errc::no_device, name, ": cuda_on_host has no machine to run on");
  detail::check_launch(name, shape);
  device.machine->run(name, shape, [&] { kernel(arguments...); });
}

/// Throws bad_pointer unless [p, p + bytes) is memory of the device.
inline void require_device_memory(const cuda_on_host& device, const char* what, const void* p, std::size_t bytes) {
  expects(device.machine != nullptr, errc::no_device, what, ": cuda_on_host has no machine to run on");
  expects(bytes == 0 || (p && device.machine->owns(p, bytes)), errc::bad_pointer, what, ": ", bytes,
          " bytes are not memory of this device; copy them there first");
}

#if defined(HOCKET_WITH_CUDA)

inline void check_cuda(cudaError_t status, const char* what) {
  if (status != cudaSuccess) fail(errc_of_cuda(status), what, ": ", cudaGetErrorString(status));
}

inline void require_device_memory(const cuda&, const char* what, const void* p, std::size_t bytes) {
  if (bytes == 0) return;
  cudaPointerAttributes attributes{};
  const cudaError_t status = cudaPointerGetAttributes(&attributes, p);
  if (status == cudaErrorNoDevice || status == cudaErrorInsufficientDriver) check_cuda(status, what);
  expects(
      status == cudaSuccess && (attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged),
      errc::bad_pointer, what, ": ", bytes, " bytes are not memory of this device; copy them there first");
}

#if defined(__CUDACC__)

template <class Kernel, class... Arguments>
void launch(const cuda& device, const char* name, const launch_shape& shape, Kernel kernel,
            const Arguments&... arguments) {
  detail::check_launch(name, shape);
  if (shape.dynamic_shared_bytes > std::size_t{48} << 10)
    check_cuda(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(shape.dynamic_shared_bytes)),
               name);
  kernel<<<dim3(shape.grid.x, shape.grid.y, shape.grid.z), dim3(shape.block.x, shape.block.y, shape.block.z),
           shape.dynamic_shared_bytes, static_cast<cudaStream_t>(device.stream)>>>(arguments...);
  check_cuda(cudaGetLastError(), name);
}

#endif  // __CUDACC__
#endif  // HOCKET_WITH_CUDA

}  // namespace hocket
