#include "bench/support/cuda.hpp"

#include <filesystem>

#include <hocket/core/device.hpp>
#include <hocket/core/error.hpp>

namespace hocket::bench {

std::map<std::string, cuda_prepare, std::less<>>& cuda_operations() {
  static std::map<std::string, cuda_prepare, std::less<>> known;
  return known;
}

namespace {

/// Whether the driver of a CUDA device is loaded on this machine, whatever this program was built with.
bool machine_has_driver() { return std::filesystem::exists("/proc/driver/nvidia/version"); }

std::string find_trouble() {
  if (!machine_has_driver()) return "no_device: no CUDA device on this machine";
  try {
    require_backend(backend::cuda);
  } catch (const error& missing) {
    return text(name_of(missing.kind()), ": ", missing.what());
  }
  return {};
}

}  // namespace

const std::string& cuda_trouble() {
  static const std::string trouble = find_trouble();
  return trouble;
}

std::string cuda_device_name() {
#if defined(HOCKET_WITH_CUDA)
  cudaDeviceProp device{};
  if (cudaGetDeviceProperties(&device, 0) == cudaSuccess) return device.name;
#endif
  return {};
}

namespace {

void add(const cuda_kernel& kernel, std::string arm, const std::string& shape, const dimensions& sizes,
         const cuda_work& work) {
  const bool ours = kernel.name.starts_with("hocket_");
  subject s{kernel.operation, shape,          std::move(arm),
            kernel.dtype,     work.flops,     work.bytes,
            work.units,       work.unit,      {},
            "cuda",           cuda_trouble(), ours ? kernel.name : "",
            to_text(sizes)};
  if (s.not_run.empty()) {
    const auto known = cuda_operations().find(kernel.operation);
    if (known == cuda_operations().end())
      s.not_run = text("not_built: bench/cuda/", kernel.operation, ".cuh is not in this build");
    else
      s.prepare = [kernel, sizes, prepare = known->second] { return prepare(kernel, sizes); };
  }
  subjects().push_back(std::move(s));
}

}  // namespace

void add_cuda_arms(std::string_view operation, std::string_view variant, const std::string& shape,
                   const dimensions& sizes, const std::function<cuda_work(std::size_t element_bytes)>& work) {
  bool found = false;
  for (const cuda_kernel& kernel : cuda_kernels(operation)) {
    if (kernel.variant != variant) continue;
    add(kernel, text("cuda ", variant), shape, sizes, work(bytes_of_type(kernel.dtype)));
    found = true;
  }
  expects(found, errc::bad_option, "docs/kernels.json has no kernel ", variant, " of ", operation);
}

void add_cuda_library(std::string_view operation, std::string_view library, std::string_view dtype,
                      const std::string& shape, const dimensions& sizes, const cuda_work& work) {
  const std::string name(library);
  add({name, std::string(operation), name, std::string(dtype)}, name, shape, sizes, work);
}

}  // namespace hocket::bench
