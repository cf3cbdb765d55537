// Products summed over rows on the host executor, multiplied by our own kernels: the promise does not depend on the
// number of rows, groups are multiplied in turns when they do not fit, and damage is noticed.
#include <cmath>
#include <cstring>
#include <vector>

#include <hocket/core/cuda/runtime.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/covariance/cuda_launch.cuh>
#include <hocket/kernels/covariance/reference.hpp>
#include <hocket/kernels/gemm/cuda_launch.cuh>

#include "catch.hpp"
#include "cuda_host/machine.hpp"
#include "cuda_host/mutants.hpp"

using namespace hocket;
namespace covariance = kernels::covariance::gpu;
namespace gemm = kernels::gemm;

namespace {

struct trial {
  std::size_t n, d, b;
};

/// A^T B of one trial; `bits` receives the sums.
comparison run(const trial& t, const cuda_host::execution& how, std::vector<double>* bits) {
  cuda_host::machine machine(how);
  const cuda_on_host device = machine.device();
  philox random(t.n);
  std::vector<float> a(t.n * t.d), b(t.n * t.b);
  for (float& x : a) x = static_cast<float>(random.next_normal());
  for (float& x : b) x = static_cast<float>(random.next_normal());
  device_buffer<float, cuda_on_host> da(device, "A", a), db(device, "B", b),
      parts(device, "parts", covariance::workspace_size(t.n, t.d, t.b)), narrow(device, "narrow", t.d * t.b);
  device_buffer<double, cuda_on_host> sums(device, "sums", t.d * t.b);
  covariance::transposed_product(
      device,
      [&](const gemm::shape& s, const float* left, const float* right, float* c, const gemm::batch& of) {
        gemm::gpu::multiply(device, s, 1.0f, left, right, 0.0f, c, gemm::gpu::arm::tiled_f32, of);
      },
      t.n, t.d, t.b, da.data(), db.data(), sums.data(), parts.data());
  covariance::narrow(device, sums.data(), narrow.data(), t.d * t.b);
  std::vector<double> expected(t.d * t.b);
  kernels::covariance::reference(t.n, t.d, t.b, a.data(), b.data(), expected.data());
  const auto ours = sums.download();
  const auto rounded = narrow.download();
  comparison result;
  for (std::size_t i = 0; i < t.d; ++i)
    for (std::size_t j = 0; j < t.b; ++j) {
      double terms = 0;
      for (std::size_t row = 0; row < t.n; ++row)
        terms += std::abs(static_cast<double>(a[row * t.d + i]) * static_cast<double>(b[row * t.b + j]));
      const std::size_t at = i * t.b + j;
      result.add(std::abs(ours[at] - expected[at]), rounding<float>(covariance::promise * terms));
      result.add(std::abs(static_cast<double>(rounded[at]) - ours[at]), rounding<float>(std::abs(ours[at])));
    }
  *bits = ours;
  return result;
}

}  // namespace

TEST_CASE("products summed over groups of rows", "[covariance][cuda_host]") {
  for (const trial& t : {trial{0, 3, 2}, {1, 1, 1}, {255, 5, 5}, {256, 17, 3}, {257, 2, 65}, {1300, 9, 4}}) {
    std::vector<double> first;
    for (const auto& how : cuda_host::all_orders()) {
      std::vector<double> bits;
      const comparison result = run(t, how, &bits);
      INFO(t.n << " rows, " << t.d << " x " << t.b << " " << result.message());
      CHECK(result);
      CHECK(result.count == 2 * t.d * t.b);
      if (first.empty()) first = bits;
      CHECK(std::memcmp(first.data(), bits.data(), bits.size() * sizeof(double)) == 0);
    }
  }
}

TEST_CASE("groups that do not fit the workspace are multiplied in turns", "[covariance][cuda_host]") {
  CHECK(covariance::groups_at_once(1000, 100) == 4);
  CHECK(covariance::groups_at_once(0, 100) == 1);
  CHECK(covariance::groups_at_once(100000, covariance::most_parts / 3) == 3);
  CHECK(covariance::groups_at_once(100000, covariance::most_parts * 2) == 1);

  const std::size_t count = covariance::most_parts / 3, n = 7 * covariance::group_rows + 5;
  std::vector<std::size_t> firsts, rows_of_turns;
  covariance::for_each_turn(n, count, [&](std::size_t first, std::size_t rows, std::size_t groups) {
    firsts.push_back(first);
    rows_of_turns.push_back(groups * rows);
  });
  CHECK(firsts == std::vector<std::size_t>{0, 3 * 256, 6 * 256, 7 * 256});
  CHECK(rows_of_turns == std::vector<std::size_t>{3 * 256, 3 * 256, 256, 5});
}

TEST_CASE("the covariance tests notice damage to the kernels", "[covariance][cuda_host][mutation]") {
  const auto report = cuda_host::try_mutants([] {
    std::vector<double> bits;
    return run({257, 5, 7}, {}, &bits) && run({300, 3, 2}, {}, &bits);
  });
  INFO(report.message());
  CHECK(report.total() >= 4);
  CHECK(report.survivors.empty());
}
