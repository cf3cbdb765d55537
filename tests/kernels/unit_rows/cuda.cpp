// Rows brought to length 1 on the host executor: every order, rows of zeros and rows shorter than the least length.
#include <vector>

#include "bench/cuda/unit_rows.cuh"
#include "catch.hpp"
#include "cuda_host/arms.hpp"
#include "cuda_host/mutants.hpp"
#include "error_kind.hpp"

using namespace hocket;
namespace unit_rows = kernels::unit_rows;

namespace {

const std::vector<shape<2>> sizes = {{1, 1}, {3, 31}, {4, 32}, {5, 33}, {2, 384}, {7, 97}, {130, 3}};

}  // namespace

TEST_CASE("unit rows on CUDA keep their promise in every order, bit for bit", "[unit_rows][cuda_host]") {
  using cuda_host::check_in_every_order;
  for (const auto& size : sizes) {
    check_in_every_order(to_text(size), [&](const cuda_on_host& d) {
      return bench::prepare_unit_rows_forward<float, cuda_on_host>(d, size);
    });
    check_in_every_order(to_text(size), [&](const cuda_on_host& d) {
      return bench::prepare_unit_rows_forward<f16, cuda_on_host>(d, size);
    });
    check_in_every_order(to_text(size), [&](const cuda_on_host& d) {
      return bench::prepare_unit_rows_forward<bf16, cuda_on_host>(d, size);
    });
    for (const bool add : {false, true})
      check_in_every_order(to_text(size),
                           [&](const cuda_on_host& d) { return bench::prepare_unit_rows_backward(d, size, add); });
  }
}

TEST_CASE("no square of a row overflows or vanishes on CUDA", "[unit_rows][cuda_host]") {
  cuda_host::machine machine;
  const std::vector<float> x = {3e30f, 4e30f, 3e-30f, 4e-30f, std::nanf(""), 1};
  float* const y = machine.allocate<float>(6, "y");
  float* const lengths = machine.allocate<float>(3, "lengths");
  unit_rows::gpu::forward<cuda_on_host, float>(machine.device(), {machine.upload(x, "x"), {3, 2}}, 1e-37f, {y, {3, 2}},
                                               {lengths, {3}});
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(std::abs(static_cast<double>(y[i]) - (i % 2 ? 0.8 : 0.6)) <= rounding<float>(1));
  CHECK((std::isnan(y[4]) && std::isnan(y[5]) && std::isnan(lengths[2])));
}

TEST_CASE("the tests of unit rows notice every damage to the kernels", "[unit_rows][cuda_host][mutation]") {
  const auto report = cuda_host::try_mutants([] {
    return cuda_host::right([&](const cuda_on_host& d) {
             return bench::prepare_unit_rows_forward<float, cuda_on_host>(d, {5, 33});
           }) &&
           cuda_host::right([&](const cuda_on_host& d) {
             return bench::prepare_unit_rows_backward(d, {5, 33}, true);
           });
  });
  INFO(report.message());
  CHECK(report.total() == 6);  // bounds tests
  CHECK(report.survivors.empty());
}

TEST_CASE("unit rows on CUDA refuse what does not fit", "[unit_rows][cuda_host]") {
  cuda_host::machine machine;
  float* const data = machine.allocate<float>(64, "data");
  std::vector<float> host(64);
  const auto kind_of = [&](view<const float, 2> x, float least, std::size_t lengths) {
    return tests::kind_of([&] {
      unit_rows::gpu::forward<cuda_on_host, float>(machine.device(), x, least, {data + 32, {3, 8}},
                                                   {data + 60, {lengths}});
    });
  };
  CHECK(kind_of({data, {3, 8}}, 1, 3) == "accepted");
  CHECK(kind_of({data, {3, 7}}, 1, 3) == "unsupported_shape");
  CHECK(kind_of({data, {3, 8}}, 1, 4) == "unsupported_shape");
  CHECK(kind_of({data, {3, 8}}, 0, 3) == "bad_option");
  CHECK(kind_of({host.data(), {3, 8}}, 1, 3) == "bad_pointer");
}
