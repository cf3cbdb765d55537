// The CUDA softmax kernels on the host executor: every order, awkward sizes, against the f64 reference.
#include <cmath>
#include <limits>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/softmax/cuda_launch.cuh>
#include <hocket/kernels/softmax/reference.hpp>
#include <hocket/kernels/softmax/shape.hpp>

#include "catch.hpp"
#include "cuda_host/machine.hpp"
#include "cuda_host/mutants.hpp"
#include "error_kind.hpp"

using namespace hocket;
namespace softmax = kernels::softmax;

namespace {

const std::vector<shape<2>> sizes = {{1, 1}, {1, 31}, {3, 32}, {4, 33}, {5, 64}, {7, 97}, {129, 5}, {2, 300}};

/// Normal values with outliers, so that rows are neither flat nor one-hot, and now and then a 100: a running maximum
/// that is not kept overflows after it.
template <class T>
std::vector<T> values(std::size_t n, std::uint64_t seed) {
  philox random(seed);
  std::vector<T> x(n);
  for (std::size_t i = 0; i < n; ++i)
    x[i] = from_f32<T>(i % 101 == 34 ? 100.0f : static_cast<float>(random.next_normal()) * (i % 13 == 0 ? 8.0f : 1.0f));
  return x;
}

template <class T>
double unit() {
  return std::is_same_v<T, float> ? 0x1p-23 : std::is_same_v<T, f16> ? 0x1p-10 : 0x1p-7;
}

/// Bound of one stored value: the f32 promise plus one rounding to T (f16 below 2^-14 rounds to multiples of 2^-24).
template <class T>
double allowed(double promise, double magnitude, double value) {
  const double storage = std::is_same_v<T, float> ? 0 : unit<T>() / 2 * std::abs(value) + 0x1p-25;
  return promise * 0x1p-23 * magnitude + storage;
}

template <class T>
comparison check_forward(const cuda_host::execution& how, std::vector<T>* bits) {
  comparison result;
  for (const auto& size : sizes) {
    cuda_host::machine machine(how);
    const auto x = values<T>(size[0] * size[1], 5);
    T* const y = machine.allocate<T>(x.size(), "y");
    softmax::gpu::forward<cuda_on_host, T>(machine.device(), {machine.upload(x, "x"), size}, {y, size});
    std::vector<double> expected(x.size());
    softmax::reference::forward<T>({x.data(), size}, {expected.data(), size});
    for (std::size_t i = 0; i < x.size(); ++i) {
      result.add(std::abs(static_cast<double>(to_f32(y[i])) - expected[i]),
                 allowed<T>(softmax::promise_forward({size[0], size[1]}), 1, expected[i]));
      bits->push_back(y[i]);
    }
  }
  return result;
}

template <class T>
comparison check_backward(const cuda_host::execution& how, std::vector<T>* bits) {
  comparison result;
  for (const auto& size : sizes) {
    cuda_host::machine machine(how);
    std::vector<double> p(size[0] * size[1]), expected(p.size());
    const auto x = values<T>(p.size(), 5), dy = values<T>(p.size(), 6);
    softmax::reference::forward<T>({x.data(), size}, {p.data(), size});
    std::vector<T> y(p.size());
    for (std::size_t i = 0; i < p.size(); ++i) y[i] = from_f32<T>(static_cast<float>(p[i]));
    T* const dx = machine.allocate<T>(p.size(), "dx");
    softmax::gpu::backward<cuda_on_host, T>(machine.device(), {machine.upload(y, "y"), size},
                                            {machine.upload(dy, "dy"), size}, {dx, size});
    softmax::reference::backward<T>({y.data(), size}, {dy.data(), size}, {expected.data(), size});
    double largest = 0;
    for (const T v : dy) largest = std::max(largest, static_cast<double>(std::abs(to_f32(v))));
    for (std::size_t i = 0; i < p.size(); ++i) {
      result.add(std::abs(static_cast<double>(to_f32(dx[i])) - expected[i]),
                 allowed<T>(softmax::promise_backward({size[0], size[1]}), largest, expected[i]));
      bits->push_back(dx[i]);
    }
  }
  return result;
}

template <class T, class Check>
void check_all_orders(Check check) {
  std::vector<std::vector<T>> runs;
  for (const auto& how : cuda_host::all_orders()) {
    const comparison result = check(how, &runs.emplace_back());
    INFO(result.message());
    CHECK(result);
  }
  for (const auto& run : runs) {
    REQUIRE(run.size() == runs[0].size());
    CHECK(std::memcmp(run.data(), runs[0].data(), run.size() * sizeof(T)) == 0);
  }
}

}  // namespace

TEST_CASE("softmax on CUDA keeps its promise in every order, bit for bit", "[softmax][cuda_host]") {
  cuda_host::launch_counts.clear();
  check_all_orders<float>(check_forward<float>);
  check_all_orders<f16>(check_forward<f16>);
  check_all_orders<bf16>(check_forward<bf16>);
  check_all_orders<float>(check_backward<float>);
  check_all_orders<f16>(check_backward<f16>);
  check_all_orders<bf16>(check_backward<bf16>);
  for (const char* kernel :
       {"hocket_softmax_forward_f32", "hocket_softmax_forward_f16", "hocket_softmax_forward_bf16",
        "hocket_softmax_backward_f32", "hocket_softmax_backward_f16", "hocket_softmax_backward_bf16"})
    CHECK(cuda_host::launch_counts[kernel] == sizes.size() * cuda_host::all_orders().size());
}

TEST_CASE("masked entries get probability 0, a row of them NaN", "[softmax][cuda_host]") {
  const float inf = std::numeric_limits<float>::infinity();
  cuda_host::machine machine;
  std::vector<float> x(2 * 40, -inf);
  x[3] = 1;
  x[37] = 1;
  float* const y = machine.allocate<float>(x.size(), "y");
  softmax::gpu::forward<cuda_on_host, float>(machine.device(), {machine.upload(x, "x"), {2, 40}}, {y, {2, 40}});
  for (std::size_t c = 0; c < 40; ++c) {
    CHECK(y[c] == (c == 3 || c == 37 ? 0.5f : 0.0f));
    CHECK(std::isnan(y[40 + c]));
  }
}

TEST_CASE("large values do not overflow", "[softmax][cuda_host]") {
  cuda_host::machine machine;
  const std::vector<float> x = {1e30f, 1e30f, -1e30f, 3e38f, 3e38f, 0};
  float* const y = machine.allocate<float>(6, "y");
  softmax::gpu::forward<cuda_on_host, float>(machine.device(), {machine.upload(x, "x"), {2, 3}}, {y, {2, 3}});
  CHECK(std::vector<float>(y, y + 6) == std::vector<float>{0.5f, 0.5f, 0, 0.5f, 0.5f, 0});
}

TEST_CASE("softmax refuses foreign memory, padding and shapes that differ", "[softmax][cuda_host]") {
  cuda_host::machine machine;
  std::vector<float> host(12);
  float* const y = machine.allocate<float>(12, "y");
  const auto kind_of = [&](view<const float, 2> x, view<float, 2> out) {
    return tests::kind_of([&] { softmax::gpu::forward<cuda_on_host, float>(machine.device(), x, out); });
  };
  CHECK(kind_of({host.data(), {3, 4}}, {y, {3, 4}}) == "bad_pointer");
  CHECK(kind_of({y, {3, 4}}, {y, {4, 3}}) == "unsupported_shape");
  CHECK(kind_of({y, {2, 4}, {6, 1}}, {y, {2, 4}}) == "misaligned");
  CHECK(kind_of({y, {0, 4}}, {y, {0, 4}}) == "accepted");
  CHECK(kind_of({y, {3, 4}}, {y, {3, 4}}) == "accepted");
}

TEST_CASE("the softmax tests notice every damage to the kernels", "[softmax][cuda_host][mutation]") {
  const auto report = cuda_host::try_mutants([] {
    std::vector<float> bits;
    return check_forward<float>({}, &bits).ok && check_backward<float>({}, &bits).ok;
  });
  INFO(report.message());
  CHECK(report.total() == 7);  // four bounds tests of the forward pass, three of the backward, one maximum
  CHECK(report.survivors.empty());
}
