// The CUDA pooling on the host executor: every order, empty items, rows of NaN that belong to no item.
#include <vector>

#include "bench/cuda/pooling.cuh"
#include "catch.hpp"
#include "cuda_host/arms.hpp"
#include "cuda_host/mutants.hpp"
#include "error_kind.hpp"

using namespace hocket;
namespace pooling = kernels::pooling;
using bench::pooling_case;
using pooling::pool;

namespace {

std::vector<pooling_case> cases() {
  std::vector<pooling_case> all;
  for (const pool kind : {pool::mean, pool::first})
    for (const auto& [items, longest, columns] :
         {std::array<std::size_t, 3>{1, 1, 1}, {1, 0, 3}, {3, 7, 31}, {4, 8, 32}, {2, 9, 33}, {5, 70, 5}, {3, 17, 97}})
      all.emplace_back(items, longest, columns, kind);
  return all;
}
std::string text_of(const pooling_case& c) {
  return text(c.lengths.size(), " items of up to ", c.longest, " x ", c.columns, " ", name_of(c.kind));
}

}  // namespace

TEST_CASE("pooling on CUDA keeps its promise in every order, bit for bit", "[pooling][cuda_host]") {
  for (const pooling_case& c : cases()) {
    using cuda_host::check_in_every_order;
    check_in_every_order(
        text_of(c), [&](const cuda_on_host& d) { return bench::prepare_pooling_forward<float, cuda_on_host>(d, c); });
    check_in_every_order(
        text_of(c), [&](const cuda_on_host& d) { return bench::prepare_pooling_forward<f16, cuda_on_host>(d, c); });
    check_in_every_order(
        text_of(c), [&](const cuda_on_host& d) { return bench::prepare_pooling_forward<bf16, cuda_on_host>(d, c); });
    for (const bool add : {false, true})
      check_in_every_order(text_of(c),
                           [&](const cuda_on_host& d) { return bench::prepare_pooling_backward(d, c, add); });
  }
}

TEST_CASE("the pooling tests notice every damage to the kernels", "[pooling][cuda_host][mutation]") {
  const auto report = cuda_host::try_mutants([] {
    for (const pooling_case& c : {pooling_case(3, 20, 33, pool::mean), pooling_case(3, 5, 7, pool::mean)})
      if (!cuda_host::right(
              [&](const cuda_on_host& d) { return bench::prepare_pooling_forward<float, cuda_on_host>(d, c); }) ||
          !cuda_host::right([&](const cuda_on_host& d) { return bench::prepare_pooling_backward(d, c, true); }))
        return false;
    return true;
  });
  INFO(report.message());
  CHECK(report.total() == 6);  // five bounds tests, the barrier of the tree
  CHECK(report.survivors.empty());
}

TEST_CASE("pooling on CUDA refuses what does not fit", "[pooling][cuda_host]") {
  cuda_host::machine machine;
  float* const data = machine.allocate<float>(64, "data");
  const std::vector<std::uint32_t> at = {0, 2};
  const std::uint32_t* const starts = machine.upload(at, "starts");
  std::vector<float> host(64);
  const auto kind_of = [&](std::size_t lengths, view<const float, 2> x, view<float, 2> y) {
    return tests::kind_of([&] {
      pooling::gpu::forward<cuda_on_host, float>(machine.device(), pool::mean, {{starts, {2}}, {starts, {lengths}}}, x,
                                                 y);
    });
  };
  CHECK(kind_of(2, {data, {4, 8}}, {data + 32, {2, 8}}) == "accepted");
  CHECK(kind_of(1, {data, {4, 8}}, {data + 32, {2, 8}}) == "unsupported_shape");
  CHECK(kind_of(2, {data, {4, 8}}, {data + 32, {3, 8}}) == "unsupported_shape");
  CHECK(kind_of(2, {data, {4, 8}}, {data + 32, {2, 7}}) == "unsupported_shape");
  CHECK(kind_of(2, {host.data(), {4, 8}}, {data + 32, {2, 8}}) == "bad_pointer");
}
