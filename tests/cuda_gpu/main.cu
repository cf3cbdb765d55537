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
#include <vector>

#include <hocket/core/cuda/runtime.hpp>

#include "bench/support/side_by_side.hpp"
#include "cuda_gpu/room.hpp"

using namespace hocket;

namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ",") + name;
  return out;
}

/// One arm at one size, and what became of it.
struct trial {
  const gpu_tests::room<cuda>* room;
  bench::cuda_kernel kernel;
  bench::dimensions sizes;
  std::string launches, verdict = "error", message;
  std::size_t count = 0;
  double units = 0;
};

void run(trial& t) {
  try {
    const comparison result = t.room->prepare(cuda{}, t.kernel, t.sizes).check;
    t.verdict = result.ok && result.count > 0 ? "ok" : "FAILED";
    t.message = result.message();
    t.count = result.count;
    t.units = result.max_units;
  } catch (const std::exception& failure) {
    t.message = failure.what();
  }
}

int run_all(bool small) {
  require_backend(backend::cuda);
  cudaDeviceProp device{};
  int driver = 0;
  check_cuda(cudaGetDeviceProperties(&device, 0), "cudaGetDeviceProperties");
  check_cuda(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  std::printf("device\t%s\tsm_%d%d\t%d.%d\n", device.name, device.major, device.minor, driver / 1000,
              driver % 1000 / 10);
  std::vector<trial> trials;
  for (const auto& room : gpu_tests::rooms())
    for (const bench::cuda_kernel& kernel : room.arms())
      for (const auto* list : {&room.sizes, &room.large_sizes}) {
        if (small && list == &room.large_sizes) continue;
        for (const auto& sizes : *list)
          if (const auto launches = room.launches(kernel, sizes); !launches.empty())
            trials.push_back({&room, kernel, sizes, joined(launches)});
      }
  if (small) {  // several threads that launch kernels hold up compute-sanitizer for minutes
    for (trial& t : trials) run(t);
  } else {  // references take longer than kernels
    bench::side_by_side(trials.size(), [&](std::size_t i) { run(trials[i]); });
  }
  bool right = true;
  for (const trial& t : trials) {
    std::printf("%s\t%s\t%zu\t%.3g\t%s\t%s\n", t.launches.c_str(), bench::to_text(t.sizes).c_str(), t.count, t.units,
                t.verdict.c_str(), t.message.c_str());
    right = right && t.verdict == "ok";
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
