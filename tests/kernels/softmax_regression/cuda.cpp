// Softmax regression on the host executor: every order, awkward sizes, weights that overflow an exponential.
#include <vector>

#include "bench/cuda/softmax_regression.cuh"
#include "catch.hpp"
#include "cuda_host/arms.hpp"
#include "cuda_host/mutants.hpp"
#include "error_kind.hpp"

using namespace hocket;
namespace regression = kernels::softmax_regression;
using bench::regression_case;

TEST_CASE("softmax regression on CUDA keeps its promise in every order, bit for bit",
          "[softmax_regression][cuda_host]") {
  for (const regression_case& c : {regression_case{1, 1, 2},
                                   {5, 31, 3},
                                   {4, 32, 4},
                                   {7, 33, 5},
                                   {9, 3, 8},
                                   {6, 2, 9},
                                   {3, 5, 33},
                                   {257, 3, 2},
                                   {255, 1, 1},
                                   {20, 7, 10, 300},
                                   {0, 4, 3}})
    cuda_host::check_in_every_order(text(c.n, " rows, ", c.features, " features, ", c.classes, " classes"),
                                    [&](const cuda_on_host& d) { return bench::prepare_softmax_regression(d, c); });
}

TEST_CASE("the tests of softmax regression notice every damage to the kernels",
          "[softmax_regression][cuda_host][mutation]") {
  const auto report = cuda_host::try_mutants([] {
    for (const regression_case& c : {regression_case{9, 33, 9, 300}, regression_case{257, 2, 3, 300}})
      if (!cuda_host::right([&](const cuda_on_host& d) { return bench::prepare_softmax_regression(d, c); }))
        return false;
    return true;
  });
  INFO(report.message());
  CHECK(report.total() == 13);  // ten bounds tests, the maximum, two barriers
  CHECK(report.survivors.empty());
}

TEST_CASE("softmax regression on CUDA refuses what does not fit", "[softmax_regression][cuda_host]") {
  cuda_host::machine machine;
  double* const data = machine.allocate<double>(128, "data");
  const std::vector<std::uint32_t> zeros(4);
  const std::uint32_t* const labels = machine.upload(zeros, "labels");
  std::vector<double> host(64);
  const auto kind_of = [&](view<const double, 2> x, std::size_t classes, std::size_t tiles) {
    return tests::kind_of([&] {
      regression::gpu::value_and_gradient(machine.device(), x, {labels, {4}}, {data, {4}}, {data, {classes, 4}},
                                          {data + 16, {1}}, {data + 32, {2, 4}},
                                          {{data + 48, {4, 2}}, {data + 64, {4}}, {data + 72, {tiles, 8}}});
    });
  };
  CHECK(kind_of({data, {4, 3}}, 2, 1) == "accepted");
  CHECK(kind_of({data, {4, 2}}, 2, 1) == "unsupported_shape");
  CHECK(kind_of({data, {3, 3}}, 2, 1) == "unsupported_shape");
  CHECK(kind_of({data, {4, 3}}, 3, 1) == "unsupported_shape");
  CHECK(kind_of({data, {4, 3}}, 2, 2) == "unsupported_shape");
  CHECK(kind_of({host.data(), {4, 3}}, 2, 1) == "bad_pointer");
}
