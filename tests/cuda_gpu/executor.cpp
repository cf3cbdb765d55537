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
#include "cuda_gpu/centre.hpp"
#include "cuda_gpu/covariance.hpp"
#include "cuda_gpu/gemm.hpp"
#include "cuda_gpu/layernorm.hpp"
#include "cuda_gpu/mfcc.hpp"
#include "cuda_gpu/softmax.hpp"
#include "cuda_host/machine.hpp"
#include "cuda_host/mutants.hpp"
#include "cuda_host/vendors.hpp"

using namespace hocket;

namespace hocket::gpu_tests {
std::vector<room<cuda_on_host>> host_training_rooms();  // training.cpp
}

namespace {

std::vector<gpu_tests::room<cuda_on_host>> host_rooms() {
  auto rooms = gpu_tests::host_training_rooms();
  for (auto& room : {gpu_tests::softmax_room<cuda_on_host>(), gpu_tests::layernorm_room<cuda_on_host>(),
                     gpu_tests::gemm_room<cuda_on_host>(), gpu_tests::attention_room<cuda_on_host>(),
                     gpu_tests::centre_room<cuda_on_host>(), gpu_tests::covariance_room<cuda_on_host>(),
                     gpu_tests::mfcc_room<cuda_on_host>()})
    rooms.push_back(room);
  return rooms;
}

/// Runs kernels, and notes which of an operation's own were launched in the file that HOCKET_LAUNCHES names:
/// tests/nvcc/launches.py compares it with docs/kernels.json.
class noting_machine final : public cuda_host::machine_with_vendors {
 public:
  noting_machine(const std::string& operation, const bench::dimensions& sizes)
      : own_(bench::cuda_kernels(operation)), sizes_(bench::to_text(sizes)) {
    if (const char* path = std::getenv("HOCKET_LAUNCHES")) notes_.open(path, std::ios::app);
  }
  void run(const char* kernel, const launch_shape& shape, const std::function<void()>& body) override {
    const auto three = [](const extent3& e) { return text(e.x, " ", e.y, " ", e.z); };
    if (notes_.is_open() && std::any_of(own_.begin(), own_.end(), [&](const auto& one) { return one.name == kernel; }))
      notes_ << kernel << "\t" << sizes_ << "\t" << three(shape.grid) << "\t" << three(shape.block) << "\t"
             << shape.dynamic_shared_bytes << "\n";
    machine::run(kernel, shape, body);
  }

 private:
  std::vector<bench::cuda_kernel> own_;
  std::string sizes_;
  std::ofstream notes_;
};

}  // namespace

TEST_CASE("the GPU's checks pass on the executor, and launch what they say they launch", "[cuda_gpu][cuda_host]") {
  for (const auto& room : host_rooms()) {
    std::vector<std::string> covered;
    for (const auto& kernel : room.arms())
      for (const auto& sizes : room.sizes) {
        const std::vector<std::string> launches = room.launches(kernel, sizes);
        if (launches.empty()) continue;
        bench::dimensions named = sizes;
        if (room.arguments)
          for (const auto& one : room.arguments(kernel, sizes)) named.push_back(one);
        cuda_host::launch_counts.clear();
        noting_machine machine(room.operation, named);
        const bench::ready made = room.prepare(machine.device(), kernel, sizes);
        INFO(kernel.name << " " << bench::to_text(sizes) << " " << made.check.message());
        CHECK((made.check.ok && made.check.count > 0));
        for (const std::string& name : launches) CHECK(cuda_host::launch_counts[name] >= 1);
        for (const auto& [name, count] : cuda_host::launch_counts)  // a backward pass prepares its forward pass
          CHECK((count == 0 || !name.starts_with("hocket_") || name.find("forward") != std::string::npos ||
                 std::find(launches.begin(), launches.end(), name) != launches.end()));
        covered.insert(covered.end(), launches.begin(), launches.end());
      }
    for (const auto& kernel : bench::cuda_kernels(room.operation)) {
      INFO(kernel.name << " is launched by no arm");
      CHECK(std::find(covered.begin(), covered.end(), kernel.name) != covered.end());
    }
  }
}

namespace {

/// Damages the kernels that the arms of a room run, f32 and wider, one site at a time. `equivalent`: sites where the
/// damage changes nothing that an arm runs.
void check_mutants(const gpu_tests::room<cuda_on_host>& room, std::size_t equivalent = 0) {
  const auto report = cuda_host::try_mutants([&] {
    for (const auto& kernel : room.arms())
      for (const auto& sizes : room.sizes) {
        if (kernel.dtype == "f16" || kernel.dtype == "bf16" || kernel.dtype == "i16" ||
            room.launches(kernel, sizes).empty())
          continue;
        cuda_host::machine_with_vendors machine;
        if (!room.prepare(machine.device(), kernel, sizes).check.ok) return false;
      }
    return true;
  });
  INFO(room.operation << " " << report.message());
  CHECK(report.total() > 0);
  CHECK(report.survivors.size() <= equivalent);
}

}  // namespace

TEST_CASE("an arm that computes something else is noticed", "[cuda_gpu][cuda_host][mutation]") {
  for (const auto& room : host_rooms())
    if (room.operation != "attention" && room.operation != "mfcc") check_mutants(room);
}

// Attention's problems are those of tests/kernels/attention, which has a mutation test of its own.
TEST_CASE("an arm of the mfcc chain that computes something else is noticed", "[cuda_gpu][cuda_host][mutation]") {
  auto room = gpu_tests::mfcc_room<cuda_on_host>();
  // a transform of 2 x (7 5) points; no clip without frames, where a loop without its bounds would not end soon
  room.sizes = {{{"preset", 0}, {"n_fft", 70}, {"clips", 3}, {"least", 40}, {"samples", 333}, {"channels", 2}}};
  check_mutants(room, 1);  // zeros behind a clip: a step of the public plan, which no arm takes
}

TEST_CASE("the timed arms of attention are checked", "[cuda_gpu][cuda_host]") {
  const bench::dimensions sizes{{"batch", 1}, {"heads", 2}, {"queries", 33}};
  for (const char* dtype : {"f32", "f16", "bf16"}) {
    cuda_host::machine machine;
    const bench::ready forward =
                           bench::prepare_attention(machine.device(), {"", "attention", "forward_d32", dtype}, sizes),
                       backward = bench::prepare_attention(machine.device(), {"", "attention", "dq_d32", dtype}, sizes);
    INFO(dtype << " " << forward.check.message() << ", backward " << backward.check.message());
    CHECK((forward.check.ok && forward.check.count == 64 * 32));
    CHECK((backward.check.ok && backward.check.count == 3 * 2 * 33 * 32));
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
