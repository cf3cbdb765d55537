// hocket_cuda_check: every CUDA kernel on the GPU of this machine, against the f64 reference.
//
//   hocket_cuda_check [--small]
//
// One line of tab-separated values for each arm and size: entry points (comma-separated), sizes, elements compared,
// largest error in units of its bound, ok | FAILED | error, message. First a line `device`, name, compute capability,
// driver. --small: the sizes that compute-sanitizer can walk through. Exit codes: 0, 1 a result was wrong, 5 no device.
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include <hocket/core/cuda/runtime.hpp>

#include "cuda_gpu/room.hpp"

using namespace hocket;

namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ",") + name;
  return out;
}

/// Whether the arm was right at these sizes.
bool check(const gpu_tests::room<cuda>& room, const bench::cuda_kernel& kernel, const bench::dimensions& sizes) {
  const std::vector<std::string> launches = room.launches(kernel, sizes);
  if (launches.empty()) return true;
  std::string verdict, message;
  comparison result;
  try {
    result = room.prepare(cuda{}, kernel, sizes).check;
    verdict = result.ok && result.count > 0 ? "ok" : "FAILED";
    message = result.message();
  } catch (const std::exception& failure) {
    verdict = "error";
    message = failure.what();
  }
  std::printf("%s\t%s\t%zu\t%.3g\t%s\t%s\n", joined(launches).c_str(), bench::to_text(sizes).c_str(), result.count,
              result.max_units, verdict.c_str(), message.c_str());
  return verdict == "ok";
}

int run_all(bool small) {
  require_backend(backend::cuda);
  cudaDeviceProp device{};
  int driver = 0;
  check_cuda(cudaGetDeviceProperties(&device, 0), "cudaGetDeviceProperties");
  check_cuda(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  std::printf("device\t%s\tsm_%d%d\t%d.%d\n", device.name, device.major, device.minor, driver / 1000,
              driver % 1000 / 10);
  bool right = true;
  for (const auto& room : gpu_tests::rooms())
    for (const bench::cuda_kernel& kernel : room.arms()) {
      for (const auto& sizes : room.sizes) right = check(room, kernel, sizes) && right;
      if (small) continue;
      for (const auto& sizes : room.large_sizes) right = check(room, kernel, sizes) && right;
    }
  return right ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const bool small = argc == 2 && std::string_view(argv[1]) == "--small";
  if (argc > 1 && !small) {
    std::fputs("usage: hocket_cuda_check [--small]\n", stderr);
    return 2;
  }
  try {
    return run_all(small);
  } catch (const error& missing) {
    std::fprintf(stderr, "hocket_cuda_check: %s: %s\n", std::string(name_of(missing.kind())).c_str(), missing.what());
    return missing.kind() == errc::no_device || missing.kind() == errc::not_built ? 5 : 1;
  }
}
