// Steps of SGD and Adam on the host executor over several steps: every setting, every order, awkward sizes; the norm.
#include <vector>

#include "bench/cuda/optimizer_step.cuh"
#include "catch.hpp"
#include "cuda_host/arms.hpp"
#include "cuda_host/mutants.hpp"
#include "error_kind.hpp"

using namespace hocket;
namespace steps = kernels::optimizer_step;
using cuda_host::check_in_every_order;

TEST_CASE("Adam and AdamW on CUDA keep their promise in every order, bit for bit", "[optimizer_step][cuda_host]") {
  for (const std::size_t n : {1u, 255u, 256u, 257u, 700u})
    for (const bool decoupled : {false, true})
      for (const double decay : {0.0, 0.1})
        check_in_every_order(text(n, decoupled ? " decoupled" : "", " decay ", decay), [&](const cuda_on_host& d) {
          return bench::prepare_optimizer(d, {n, {0.01, 0.9, 0.99, 1e-6, decay, 0.5, decoupled}}, false);
        });
}

TEST_CASE("SGD on CUDA keeps its promise in every order, bit for bit", "[optimizer_step][cuda_host]") {
  for (const std::size_t n : {1u, 255u, 256u, 257u})
    for (const double momentum : {0.0, 0.9})
      for (const bool nesterov : {false, true})
        check_in_every_order(text(n, " momentum ", momentum, nesterov ? " nesterov" : ""), [&](const cuda_on_host& d) {
          return bench::prepare_optimizer(d, {n, {}, {0.1, momentum, 0.1, 0.5, nesterov && momentum > 0}}, true);
        });
}

TEST_CASE("the norm of a gradient on CUDA is exact to f64, in one block and in several",
          "[optimizer_step][cuda_host]") {
  for (const std::size_t n : {0u, 1u, 31u, 255u, 256u, 257u, 4095u, 4096u, 4097u, 9001u})
    check_in_every_order(text(n), [&](const cuda_on_host& d) { return bench::prepare_squares(d, n); });
}

TEST_CASE("the optimiser's tests notice every damage to the kernels", "[optimizer_step][cuda_host][mutation]") {
  const auto report = cuda_host::try_mutants([] {
    const auto right = [](bool sgd) {
      return cuda_host::right([&](const cuda_on_host& d) {
        return bench::prepare_optimizer(d, {257, {}, {0.1, 0.9}, 2}, sgd);
      });
    };
    return right(false) && right(true) &&
           cuda_host::right([&](const cuda_on_host& d) { return bench::prepare_squares(d, 4097); });
  });
  INFO(report.message());
  CHECK(report.total() == 5);  // four bounds tests, the barrier of a block's sum
  CHECK(report.survivors.empty());
}

TEST_CASE("the optimiser on CUDA refuses what does not fit", "[optimizer_step][cuda_host]") {
  cuda_host::machine machine;
  float* const data = machine.allocate<float>(64, "data");
  double* const sums = machine.allocate<double>(2, "sums");
  std::vector<float> host(64);
  const auto adam = [&](float* g, std::size_t v, std::size_t step) {
    return tests::kind_of([&] {
      steps::adam_settings s;
      s.step = step;
      steps::gpu::adam(machine.device(), s, {data, {8}}, {g, {8}}, {data + 16, {8}}, {data + 24, {v}}, true);
    });
  };
  CHECK(adam(data + 8, 8, 1) == "accepted");
  CHECK(adam(data + 8, 7, 1) == "unsupported_shape");
  CHECK(adam(data + 8, 8, 0) == "bad_option");
  CHECK(adam(host.data(), 8, 1) == "bad_pointer");
  const auto sgd = [&](double momentum, std::size_t buffer) {
    return tests::kind_of([&] {
      steps::sgd_settings s;
      s.momentum = momentum;
      steps::gpu::sgd(machine.device(), s, {data, {8}}, {data + 8, {8}}, {data + 16, {buffer}}, false);
    });
  };
  CHECK(sgd(0.9, 8) == "accepted");
  CHECK(sgd(0.9, 0) == "unsupported_shape");
  CHECK(sgd(0, 0) == "accepted");
  CHECK(tests::kind_of([&] {
          steps::gpu::squares(machine.device(), {data, {8}}, {sums, {1}}, {sums + 1, {2}});
        }) == "unsupported_shape");
}
