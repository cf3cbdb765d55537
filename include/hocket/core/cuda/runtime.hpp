// The device layer: memory on a device, copies, streams and events, the same calls for `cuda` (the CUDA runtime) and
// for `cuda_on_host` (the machine that the tests supply). What uses them is a template on the device, so the tests run
// the code that a GPU runs. Nothing here needs nvcc: only starting a kernel does (launch.cuh).
//
//   device_buffer<float, Device> x(device, "x", 100);   // uninitialised, freed with the object
//   x.upload(values);                                    // ordered on the device's stream
//   launch(device, ...);
//   std::vector<float> y = x.download();                 // waits
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include <hocket/core/cuda/launch.cuh>

namespace hocket {

// ---- cuda_on_host: memory of the machine, everything in order and at once

/// Throws no_device unless work can be given to `device`.
inline void require_device(const cuda_on_host& device) {
  expects(device.machine != nullptr, errc::no_device, "cuda_on_host has no machine to run on");
}

namespace runtime {

inline void* allocate(const cuda_on_host& device, const char* what, std::size_t bytes) {
  require_device(device);
  return device.machine->device_allocate(what, bytes);
}
inline void release(const cuda_on_host& device, void* p) noexcept { device.machine->device_free(p); }
inline void copy_in(const cuda_on_host&, void* to, const void* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}
inline void copy_out(const cuda_on_host&, void* to, const void* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}
inline void fill_zero(const cuda_on_host&, void* p, std::size_t bytes) { std::memset(p, 0, bytes); }
inline void wait(const cuda_on_host& device) { require_device(device); }

}  // namespace runtime

#if defined(HOCKET_WITH_CUDA)

static_assert(cudaErrorMemoryAllocation == 2 && cudaErrorInsufficientDriver == 35 && cudaErrorNoDevice == 100 &&
                  cudaErrorNoKernelImageForDevice == 209 && cudaErrorMisalignedAddress == 716,
              "errors.hpp names other status numbers than this CUDA");

inline void require_device(const cuda&) { require_backend(backend::cuda); }

namespace runtime {

inline cudaStream_t stream_of(const cuda& device) { return static_cast<cudaStream_t>(device.stream); }

/// Null when the device has no such memory left.
inline void* allocate(const cuda&, const char* what, std::size_t bytes) {
  void* p = nullptr;
  const cudaError_t status = cudaMalloc(&p, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // not sticky: the caller reports it, and the next launch must not
    return nullptr;
  }
  check_cuda(status, what);
  return p;
}
inline void release(const cuda&, void* p) noexcept { cudaFree(p); }  // waits for kernels that use it
inline void copy_in(const cuda& device, void* to, const void* from, std::size_t bytes) {
  check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_of(device)), "copy to the device");
}
/// Waits: afterwards the host has the bytes.
inline void copy_out(const cuda& device, void* to, const void* from, std::size_t bytes) {
  check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_of(device)), "copy to the host");
  check_cuda(cudaStreamSynchronize(stream_of(device)), "copy to the host");
}
inline void fill_zero(const cuda& device, void* p, std::size_t bytes) {
  check_cuda(cudaMemsetAsync(p, 0, bytes, stream_of(device)), "fill with zeros");
}
inline void wait(const cuda& device) { check_cuda(cudaStreamSynchronize(stream_of(device)), "wait for the stream"); }

}  // namespace runtime

#endif

/// Throws misaligned unless p lies on a multiple of `alignment` bytes.
inline void require_aligned(const char* what, const void* p, std::size_t alignment) {
  const std::size_t past = reinterpret_cast<std::uintptr_t>(p) % alignment;
  expects(past == 0, errc::misaligned, what, ": starts ", past, " bytes past a multiple of ", alignment,
          "; copy it to memory of its own");
}

/// `size` elements on a device, not initialised. Moves, does not copy.
template <class T, CudaDevice Device>
class device_buffer {
  static_assert(std::is_trivially_copyable_v<T>, "a device holds trivial elements");

 public:
  device_buffer() = default;
  /// Throws no_device, or out_of_memory with the bytes asked for.
  device_buffer(const Device& device, const char* what, std::size_t size) : device_(device), what_(what), size_(size) {
    require_device(device);
    if (size == 0) return;
    expects(size <= std::numeric_limits<std::size_t>::max() / 2 / sizeof(T), errc::out_of_memory, what, ": ", size,
            " elements of ", sizeof(T), " bytes cannot be addressed");
    data_ = static_cast<T*>(runtime::allocate(device, what, size * sizeof(T)));
    expects(data_ != nullptr, errc::out_of_memory, what, ": the device cannot allocate ", size * sizeof(T), " bytes");
  }
  device_buffer(const Device& device, const char* what, const std::vector<T>& values)
      : device_buffer(device, what, values.size()) {
    upload(values.data(), values.size());
  }
  device_buffer(device_buffer&& other) noexcept { *this = std::move(other); }
  device_buffer& operator=(device_buffer&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(what_, other.what_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~device_buffer() {
    if (data_) runtime::release(device_, data_);
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }

  /// Host values to the elements from `first` on. The host memory may be changed as soon as this returns, pinned memory
  /// only once the stream has got that far.
  void upload(const T* values, std::size_t count, std::size_t first = 0) {
    expects(first <= size_ && count <= size_ - first, errc::unsupported_shape, what_, ": ", count,
            " elements do not fit ", size_, " from element ", first);
    if (count == 0) return;
    expects(values != nullptr, errc::bad_pointer, what_, ": the host pointer is null");
    runtime::copy_in(device_, data_ + first, values, count * sizeof(T));
  }

  /// The first `count` elements, once everything before on the stream is done.
  std::vector<T> download(std::size_t count) const {
    expects(count <= size_, errc::unsupported_shape, what_, ": ", count, " elements asked for, it has ", size_);
    std::vector<T> values(count);
    if (count > 0) runtime::copy_out(device_, values.data(), data_, count * sizeof(T));
    return values;
  }
  std::vector<T> download() const { return download(size_); }
  void fill_zero() {
    if (size_ > 0) runtime::fill_zero(device_, data_, size_ * sizeof(T));
  }

 private:
  Device device_{};
  const char* what_ = "an empty buffer";
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A queue of work of its own: device() gives the device whose calls go there.
template <CudaDevice Device>
class device_stream;

/// A mark in a stream, and the time between two marks.
template <CudaDevice Device>
class device_event;

template <>
class device_stream<cuda_on_host> {
 public:
  explicit device_stream(const cuda_on_host& device) : device_(device) { require_device(device); }
  cuda_on_host device() const { return device_; }
  void wait() const { runtime::wait(device_); }

 private:
  cuda_on_host device_;
};

template <>
class device_event<cuda_on_host> {
 public:
  explicit device_event(const cuda_on_host& device) { require_device(device); }
  void record(const cuda_on_host& device) {
    require_device(device);
    at_ = std::chrono::steady_clock::now();
    recorded_ = true;
  }
  void wait() const { expects(recorded_, errc::bad_option, "an event was waited for that was never recorded"); }
  float milliseconds_since(const device_event& start) const {
    expects(recorded_ && start.recorded_, errc::bad_option, "the time between events needs both recorded");
    return std::chrono::duration<float, std::milli>(at_ - start.at_).count();
  }

 private:
  std::chrono::steady_clock::time_point at_;
  bool recorded_ = false;
};

#if defined(HOCKET_WITH_CUDA)

template <>
class device_stream<cuda> {
 public:
  explicit device_stream(const cuda& device) {
    require_device(device);
    check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "make a stream");
  }
  device_stream(const device_stream&) = delete;
  device_stream& operator=(const device_stream&) = delete;
  ~device_stream() { cudaStreamDestroy(stream_); }
  cuda device() const { return {stream_}; }
  void wait() const { runtime::wait(device()); }

 private:
  cudaStream_t stream_ = nullptr;
};

template <>
class device_event<cuda> {
 public:
  explicit device_event(const cuda& device) {
    require_device(device);
    check_cuda(cudaEventCreate(&event_), "make an event");
  }
  device_event(const device_event&) = delete;
  device_event& operator=(const device_event&) = delete;
  ~device_event() { cudaEventDestroy(event_); }
  void record(const cuda& device) {
    check_cuda(cudaEventRecord(event_, runtime::stream_of(device)), "record an event");
    recorded_ = true;
  }
  void wait() const {
    expects(recorded_, errc::bad_option, "an event was waited for that was never recorded");
    check_cuda(cudaEventSynchronize(event_), "wait for an event");
  }
  float milliseconds_since(const device_event& start) const {
    expects(recorded_ && start.recorded_, errc::bad_option, "the time between events needs both recorded");
    float milliseconds = 0;
    check_cuda(cudaEventElapsedTime(&milliseconds, start.event_, event_), "time between events");
    return milliseconds;
  }

 private:
  cudaEvent_t event_ = nullptr;
  bool recorded_ = false;
};

#endif

}  // namespace hocket
