// What a GPU will run in tests/cuda_gpu and bench/cuda, as the same code on the host executor, so that the first day
// with a GPU is not the first day of that code.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "bench/cuda/attention.cuh"
#include "catch.hpp"
#include "cuda_gpu/attention.hpp"
#include "cuda_gpu/gemm.hpp"
#include "cuda_gpu/layernorm.hpp"
#include "cuda_gpu/softmax.hpp"
#include "cuda_host/machine.hpp"
#include "cuda_host/mutants.hpp"
#include "cuda_host/vendors.hpp"

using namespace hocket;

namespace {

std::vector<gpu_tests::room<cuda_on_host>> host_rooms() {
  return {gpu_tests::softmax_room<cuda_on_host>(), gpu_tests::layernorm_room<cuda_on_host>(),
          gpu_tests::gemm_room<cuda_on_host>(), gpu_tests::attention_room<cuda_on_host>()};
}

/// Runs kernels, and notes what was launched in the file that HOCKET_LAUNCHES names: tests/nvcc/launches.py compares it
/// with docs/kernels.json.
class noting_machine final : public cuda_host::machine {
 public:
  explicit noting_machine(const bench::dimensions& sizes) : sizes_(bench::to_text(sizes)) {
    if (const char* path = std::getenv("HOCKET_LAUNCHES")) notes_.open(path, std::ios::app);
  }
  void run(const char* kernel, const launch_shape& shape, const std::function<void()>& body) override {
    const auto three = [](const extent3& e) { return text(e.x, " ", e.y, " ", e.z); };
    if (notes_.is_open())
      notes_ << kernel << "\t" << sizes_ << "\t" << three(shape.grid) << "\t" << three(shape.block) << "\t"
             << shape.dynamic_shared_bytes << "\n";
    machine::run(kernel, shape, body);
  }

 private:
  std::string sizes_;
  std::ofstream notes_;
};

}  // namespace

TEST_CASE("the GPU's checks pass on the executor, and launch what they say they launch", "[cuda_gpu][cuda_host]") {
  for (const auto& room : host_rooms()) {
    std::vector<std::string> covered;
    for (const auto& kernel : bench::cuda_kernels(room.operation)) {
      const std::vector<std::string> launches = room.launches(kernel);
      if (launches.empty()) continue;
      for (const auto& sizes : room.sizes) {
        cuda_host::launch_counts.clear();
        noting_machine machine(sizes);
        const bench::ready made = room.prepare(machine.device(), kernel, sizes);
        INFO(kernel.name << " " << bench::to_text(sizes) << " " << made.check.message());
        CHECK((made.check.ok && made.check.count > 0));
        for (const std::string& name : launches) CHECK(cuda_host::launch_counts[name] >= 1);
        for (const auto& [name, count] : cuda_host::launch_counts)  // a backward pass prepares its forward pass
          CHECK((count == 0 || name.find("forward") != std::string::npos ||
                 std::find(launches.begin(), launches.end(), name) != launches.end()));
      }
      covered.insert(covered.end(), launches.begin(), launches.end());
    }
    for (const auto& kernel : bench::cuda_kernels(room.operation)) {
      INFO(kernel.name << " is launched by no arm");
      CHECK(std::find(covered.begin(), covered.end(), kernel.name) != covered.end());
    }
  }
}

TEST_CASE("an arm that computes something else is noticed", "[cuda_gpu][cuda_host]") {
  for (const auto& room : host_rooms()) {
    if (room.operation == "attention") continue;  // its problems have a mutation test in tests/kernels/attention
    const auto kernels = bench::cuda_kernels(room.operation);
    const auto report = cuda_host::try_mutants([&] {
      for (const auto& kernel : kernels)
        if (kernel.dtype == "f32" && !room.launches(kernel).empty())
          for (const auto& sizes : room.sizes) {
            cuda_host::machine machine;
            if (!room.prepare(machine.device(), kernel, sizes).check.ok) return false;
          }
      return true;
    });
    INFO(room.operation << " " << report.message());
    CHECK(report.total() > 0);
    CHECK(report.survivors.empty());
  }
}

TEST_CASE("the timed arm of attention is checked", "[cuda_gpu][cuda_host]") {
  for (const char* dtype : {"f32", "f16", "bf16"}) {
    cuda_host::machine machine;
    const bench::ready made = bench::prepare_attention(machine.device(), {"", "attention", "forward_d32", dtype},
                                                       {{"batch", 1}, {"heads", 2}, {"queries", 33}});
    INFO(dtype << " " << made.check.message());
    CHECK((made.check.ok && made.check.count == 64 * 32));
  }
}

TEST_CASE("a timed run runs", "[cuda_gpu][cuda_host]") {
  cuda_host::machine machine;
  const bench::ready made = bench::prepare_softmax(
      machine.device(), {"hocket_softmax_forward_f32", "softmax", "forward", "f32"}, {{"rows", 9}, {"columns", 5}});
  const auto before = cuda_host::launch_counts["hocket_softmax_forward_f32"];
  CHECK(made.timed_run() >= 0);
  CHECK(cuda_host::launch_counts["hocket_softmax_forward_f32"] == before + 1);
}

TEST_CASE("the library's arm of a product is the library's product", "[cuda_gpu][cuda_host]") {
  cuda_host::machine_with_vendors machine;
  const bench::ready made =
      bench::prepare_gemm(machine.device(), {"cublas", "gemm", "cublas", "f16"}, {{"m", 5}, {"n", 7}, {"k", 9}});
  INFO(made.check.message());
  CHECK((made.check.ok && made.check.count == 35));
}
