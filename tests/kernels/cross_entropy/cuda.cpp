// Cross entropy on the host executor: every order, smoothing, soft targets, ignored rows, logits that overflow an
// exponential, one class.
#include <cmath>
#include <vector>

#include "bench/cuda/cross_entropy.cuh"
#include "catch.hpp"
#include "cuda_host/arms.hpp"
#include "cuda_host/mutants.hpp"
#include "error_kind.hpp"

using namespace hocket;
namespace cross_entropy = kernels::cross_entropy;
using bench::cross_entropy_case;

namespace {

const std::vector<cross_entropy::shape> sizes = {{1, 1}, {5, 2}, {4, 3}, {9, 31}, {8, 32}, {3, 33}, {2, 101}, {130, 3}};

std::vector<cross_entropy_case> cases() {
  std::vector<cross_entropy_case> all;
  for (const auto& size : sizes) {
    for (const float smoothing : {0.0f, 0.1f, 1.0f}) all.push_back({size, smoothing, false, 60});
    all.push_back({size, 0, true, 1});
  }
  return all;
}
std::string text_of(const cross_entropy_case& c) {
  return text(c.size.rows, " x ", c.size.classes, c.soft ? " soft" : "", " smoothing ",
              static_cast<double>(c.smoothing));
}

}  // namespace

TEST_CASE("cross entropy on CUDA keeps its promise in every order, bit for bit", "[cross_entropy][cuda_host]") {
  using cuda_host::check_in_every_order;
  for (const auto& c : cases()) {
    check_in_every_order(text_of(c),
                         [&](const cuda_on_host& d) { return bench::prepare_cross_entropy(d, c, pass::forward); });
    for (const bool add : {false, true})
      check_in_every_order(
          text_of(c), [&](const cuda_on_host& d) { return bench::prepare_cross_entropy(d, c, pass::backward, add); });
  }
}

TEST_CASE("a NaN logit is a NaN loss and gradient on CUDA, wherever it stands", "[cross_entropy][cuda_host]") {
  for (std::size_t at = 0; at < 70; ++at) {
    cuda_host::machine machine;
    std::vector<float> z(70, 1.0f);
    z[at] = std::nanf("");
    const std::vector<std::uint32_t> label = {5};
    const view<const float, 2> logits(machine.upload(z, "z"), {1, 70});
    const cross_entropy::gpu::device_targets goals{{machine.upload(label, "labels"), {1}}, {}, 0};
    float* const sums = machine.allocate<float>(3, "loss and kept");
    float* const dz = machine.allocate<float>(70, "dz");
    cross_entropy::gpu::forward(machine.device(), logits, goals, {sums, {1}}, {sums + 1, {1, 2}});
    cross_entropy::gpu::backward(machine.device(), logits, goals, {sums + 1, {1, 2}}, 1, false, {dz, {1, 70}});
    CHECK(std::isnan(sums[0]));
    std::size_t finite = 0;
    for (std::size_t k = 0; k < 70; ++k) finite += !std::isnan(dz[k]);
    CHECK(finite == 0);
  }
}

TEST_CASE("a masked class costs nothing, and a row of them is NaN", "[cross_entropy][cuda_host]") {
  const float inf = std::numeric_limits<float>::infinity();
  cuda_host::machine machine;
  const std::vector<float> z = {-inf, 2, 2, -inf, -inf, -inf};
  const std::vector<std::uint32_t> labels = {1, 0};
  float* const sums = machine.allocate<float>(6, "loss and kept");
  cross_entropy::gpu::forward(machine.device(), {machine.upload(z, "z"), {2, 3}},
                              {{machine.upload(labels, "labels"), {2}}, {}, 0}, {sums, {2}}, {sums + 2, {2, 2}});
  CHECK(std::abs(static_cast<double>(sums[0]) - std::log(2.0)) <= rounding<float>(1));
  CHECK(std::isnan(sums[1]));
}

TEST_CASE("the tests of cross entropy notice every damage to the kernels", "[cross_entropy][cuda_host][mutation]") {
  const auto report = cuda_host::try_mutants([] {
    for (const auto& c : {cross_entropy_case{{5, 97}, 0.1f, false, 1000}, cross_entropy_case{{3, 40}, 0, true, 60}})
      for (const pass which : {pass::forward, pass::backward})
        if (!cuda_host::right([&](const cuda_on_host& d) { return bench::prepare_cross_entropy(d, c, which); }))
          return false;
    return true;
  });
  INFO(report.message());
  CHECK(report.total() == 8);  // seven bounds tests, the maximum
  CHECK(report.survivors.empty());
}

TEST_CASE("cross entropy on CUDA refuses what does not fit", "[cross_entropy][cuda_host]") {
  cuda_host::machine machine;
  float* const data = machine.allocate<float>(64, "data");
  const std::vector<std::uint32_t> zeros(4);
  const std::uint32_t* const labels = machine.upload(zeros, "labels");
  std::vector<float> host(64);
  const auto kind_of = [&](const cross_entropy::gpu::device_targets& goals, std::size_t losses) {
    return tests::kind_of([&] {
      cross_entropy::gpu::forward(machine.device(), {data, {4, 3}}, goals, {data + 32, {losses}}, {data + 40, {4, 2}});
    });
  };
  CHECK(kind_of({{labels, {4}}, {}, 0}, 4) == "accepted");
  CHECK(kind_of({{}, {data + 16, {4, 3}}, 0}, 4) == "accepted");
  CHECK(kind_of({{labels, {4}}, {}, 0}, 3) == "unsupported_shape");
  CHECK(kind_of({{labels, {3}}, {}, 0}, 4) == "unsupported_shape");
  CHECK(kind_of({{}, {data + 16, {3, 4}}, 0}, 4) == "unsupported_shape");
  CHECK(kind_of({{labels, {4}}, {}, 1.5f}, 4) == "bad_option");
  CHECK(kind_of({{labels, {4}}, {data + 16, {4, 3}}, 0}, 4) == "bad_option");
  CHECK(kind_of({{}, {host.data(), {4, 3}}, 0}, 4) == "bad_pointer");
}
