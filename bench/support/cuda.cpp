#include "bench/support/cuda.hpp"

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include <hocket/core/device.hpp>
#include <hocket/core/error.hpp>

namespace hocket::bench {

std::vector<cuda_kernel> cuda_kernels(std::string_view operation) {
  static const nlohmann::json listing = [] {
    const std::string path = HOCKET_SOURCE_DIR "/docs/kernels.json";
    std::ifstream in(path);
    expects(in.good(), errc::bad_file, path, " cannot be read; tests/nvcc/kernels.py json writes it");
    return nlohmann::json::parse(in).at("kernels");
  }();
  std::vector<cuda_kernel> kernels;
  for (const auto& one : listing)
    if (one.at("operation").get<std::string>() == operation)
      kernels.push_back({one.at("name").get<std::string>(), std::string(operation),
                         one.at("variant").get<std::string>(), one.at("dtype").get<std::string>()});
  return kernels;
}

std::size_t size_of(const dimensions& sizes, std::string_view name) {
  for (const auto& [known, value] : sizes)
    if (known == name) return value;
  fail(errc::bad_option, "no size ", name, " was given to this CUDA arm");
}

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

std::size_t bytes_of_type(std::string_view dtype) {
  if (dtype == "f64") return 8;
  if (dtype == "f32" || dtype == "tf32" || dtype == "i32") return 4;
  if (dtype == "f16" || dtype == "bf16" || dtype == "i16") return 2;
  fail(errc::bad_option, "the element type ", dtype, " has no size here");
}

void add_cuda_arms(std::string_view operation, std::string_view variant, const std::string& shape,
                   const dimensions& sizes, const std::function<cuda_work(std::size_t element_bytes)>& work) {
  std::string arguments;
  for (const auto& [name, value] : sizes) arguments += text(arguments.empty() ? "" : " ", name, "=", value);
  const std::size_t before = subjects().size();
  for (const cuda_kernel& kernel : cuda_kernels(operation)) {
    if (kernel.variant != variant) continue;
    const cuda_work done = work(bytes_of_type(kernel.dtype));
    subject s{std::string(operation),
              shape,
              text("cuda ", variant),
              kernel.dtype,
              done.flops,
              done.bytes,
              1,
              "launches",
              {},
              "cuda",
              cuda_trouble(),
              kernel.name,
              arguments};
    if (s.not_run.empty()) {
      const auto known = cuda_operations().find(operation);
      if (known == cuda_operations().end())
        s.not_run = text("not_built: bench/cuda/", operation, ".cuh is not in this build");
      else
        s.prepare = [kernel, sizes, prepare = known->second] { return prepare(kernel, sizes); };
    }
    subjects().push_back(std::move(s));
  }
  expects(subjects().size() > before, errc::bad_option, "docs/kernels.json has no kernel ", variant, " of ", operation);
}

}  // namespace hocket::bench
