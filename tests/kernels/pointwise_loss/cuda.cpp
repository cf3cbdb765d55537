// Pointwise losses on the host executor: every order, one block and several, logits far from 0.
#include <cmath>
#include <vector>

#include "bench/cuda/pointwise_loss.cuh"
#include "catch.hpp"
#include "cuda_host/arms.hpp"
#include "cuda_host/mutants.hpp"
#include "error_kind.hpp"

using namespace hocket;
namespace pointwise = kernels::pointwise_loss;
using bench::pointwise_case;
using pointwise::loss;

namespace {

const std::vector<shape<2>> sizes = {{0, 3}, {1, 1}, {5, 3}, {16, 16}, {257, 1}, {32, 32}, {41, 25}, {3, 1031}};

}  // namespace

TEST_CASE("pointwise losses on CUDA keep their promise in every order, bit for bit", "[pointwise_loss][cuda_host]") {
  using cuda_host::check_in_every_order;
  for (const auto& size : sizes)
    for (const loss kind : {loss::squared, loss::logistic})
      for (const float spread : {1.0f, 300.0f}) {
        const std::string what = text(to_text(size), " ", name_of(kind));
        check_in_every_order(what, [&](const cuda_on_host& d) {
          return bench::prepare_pointwise(d, {size, kind, spread}, pass::forward);
        });
        for (const bool both : {false, true})
          if (size[0] > 0)
            check_in_every_order(what, [&](const cuda_on_host& d) {
              return bench::prepare_pointwise(d, {size, kind, spread, both, both}, pass::backward);
            });
      }
}

TEST_CASE("NaN and infinite logits show in a loss on CUDA", "[pointwise_loss][cuda_host]") {
  for (const loss kind : {loss::squared, loss::logistic}) {
    cuda_host::machine machine;
    const std::vector<float> x = {1, std::nanf(""), 3}, t = {0, 0, 0};
    const view<const float, 2> in(machine.upload(x, "x"), {1, 3}), goal(machine.upload(t, "t"), {1, 3});
    double* const sums = machine.allocate<double>(2, "sums");
    float* const dx = machine.allocate<float>(3, "dx");
    pointwise::gpu::forward(machine.device(), kind, in, goal, {sums, {1}}, {sums + 1, {1}});
    pointwise::gpu::backward(machine.device(), kind, in, goal, 1, false, false, {dx, {1, 3}});
    CHECK(std::isnan(sums[0]));
    CHECK((std::isnan(dx[1]) && !std::isnan(dx[0]) && !std::isnan(dx[2])));
  }
}

TEST_CASE("the tests of pointwise losses notice every damage to the kernels", "[pointwise_loss][cuda_host][mutation]") {
  const auto report = cuda_host::try_mutants([] {
    for (const pass which : {pass::forward, pass::backward})
      if (!cuda_host::right([&](const cuda_on_host& d) {
            return bench::prepare_pointwise(d, {{3, 1031}, loss::squared}, which);
          }))
        return false;
    return true;
  });
  INFO(report.message());
  CHECK(report.total() == 4);  // three bounds tests, the barrier of a block's sum
  CHECK(report.survivors.empty());
}

TEST_CASE("pointwise losses on CUDA refuse what does not fit", "[pointwise_loss][cuda_host]") {
  cuda_host::machine machine;
  float* const data = machine.allocate<float>(64, "data");
  double* const sums = machine.allocate<double>(4, "sums");
  std::vector<float> host(64);
  const auto kind_of = [&](view<const float, 2> t, std::size_t total, std::size_t parts) {
    return tests::kind_of([&] {
      pointwise::gpu::forward(machine.device(), loss::squared, {data, {4, 3}}, t, {sums, {total}}, {sums + 1, {parts}});
    });
  };
  CHECK(kind_of({data, {4, 3}}, 1, 1) == "accepted");
  CHECK(kind_of({data, {3, 4}}, 1, 1) == "unsupported_shape");
  CHECK(kind_of({data, {4, 3}}, 2, 1) == "unsupported_shape");
  CHECK(kind_of({data, {4, 3}}, 1, 2) == "unsupported_shape");
  CHECK(kind_of({host.data(), {4, 3}}, 1, 1) == "bad_pointer");
}
