// The CUDA centring kernels on the host executor: awkward sizes, padded rows, an offset of a million spreads, every
// order of threads, and damage that must be noticed.
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/centre/cuda_launch.cuh>

#include "catch.hpp"
#include "cuda_host/machine.hpp"
#include "cuda_host/mutants.hpp"
#include "error_kind.hpp"

using namespace hocket;
namespace centre = kernels::centre::gpu;

namespace {

struct trial {
  std::size_t n, d, pad;
  double offset;
};
const std::vector<trial> trials = {{1, 1, 0, 0},   {2, 31, 3, 1e6},  {7, 32, 0, 1},     {8, 33, 1, -1e6},
                                   {257, 5, 2, 3}, {255, 64, 0, 10}, {1025, 3, 0, 1e6}, {1023, 34, 1, 0}};

struct answer {
  comparison result;
  std::vector<float> bits;
};

/// Means, centred data and sum of squares against long double sums.
answer run(const trial& t, const cuda_host::execution& how) {
  cuda_host::machine machine(how);
  const std::size_t ld = t.d + t.pad, size = (t.n - 1) * ld + t.d;
  philox random(t.n * 100 + t.d);
  std::vector<float> x(size, std::numeric_limits<float>::quiet_NaN());
  for (std::size_t i = 0; i < t.n; ++i)
    for (std::size_t j = 0; j < t.d; ++j) x[i * ld + j] = static_cast<float>(t.offset + random.next_normal());
  const view<const float, 2> rows(machine.upload(x, "x"), {t.n, t.d}, {ld, 1});
  float* const means = machine.allocate<float>(2 * t.d, "means");
  float* const sums = machine.allocate<float>(2 * centre::groups_of(t.n) * t.d, "sums");
  float* const squares = machine.allocate<float>(centre::squares_of(t.n, t.d), "squares");
  const view<float, 2> out(machine.allocate<float>(t.n * t.d, "out"), {t.n, t.d});
  centre::column_means(machine.device(), rows, means, means + t.d, sums);
  centre::subtract(machine.device(), rows, means, means + t.d, out, squares);

  answer a;
  long double energy = 0;
  for (std::size_t j = 0; j < t.d; ++j) {
    long double sum = 0, far = 0;
    for (std::size_t i = 0; i < t.n; ++i) {
      sum += static_cast<long double>(x[i * ld + j]);
      far = std::max(far, std::abs(static_cast<long double>(x[i * ld + j]) - static_cast<long double>(x[j])));
    }
    const long double mean = sum / static_cast<long double>(t.n);
    const double second_order = rounding<float>(rounding<float>(std::abs(static_cast<double>(mean))) +
                                                centre::means_promise(t.n) * static_cast<double>(far));
    a.result.add(static_cast<double>(
                     std::abs(static_cast<long double>(means[j]) + static_cast<long double>(means[t.d + j]) - mean)),
                 second_order);
    for (std::size_t i = 0; i < t.n; ++i) {
      const long double expected = static_cast<long double>(x[i * ld + j]) - mean;
      energy += expected * expected;
      // two subtractions, each rounded once; the mean's own error
      a.result.add(static_cast<double>(std::abs(static_cast<long double>(out(i, j)) - expected)),
                   rounding<float>(static_cast<double>(std::abs(expected) + far)) + second_order);
    }
  }
  double total = 0;
  for (std::size_t i = 0; i < centre::squares_of(t.n, t.d); ++i) total += static_cast<double>(squares[i]);
  a.result.add(std::abs(total - static_cast<double>(energy)), 4 * rounding<float>(static_cast<double>(energy)));
  a.bits.assign(means, means + 2 * t.d);
  a.bits.insert(a.bits.end(), out.data(), out.data() + out.size());
  a.bits.insert(a.bits.end(), squares, squares + centre::squares_of(t.n, t.d));
  return a;
}

}  // namespace

TEST_CASE("means and centred data on CUDA", "[centre][cuda_host]") {
  for (const trial& t : trials) {
    std::vector<float> first;
    for (const auto& how : cuda_host::all_orders()) {
      const answer a = run(t, how);
      INFO(t.n << " x " << t.d << ", offset " << t.offset << " " << a.result.message());
      CHECK(a.result);
      if (first.empty()) first = a.bits;
      CHECK(std::memcmp(first.data(), a.bits.data(), first.size() * sizeof(float)) == 0);
    }
  }
}

TEST_CASE("the centring tests notice damage to the kernels", "[centre][cuda_host][mutation]") {
  const auto report = cuda_host::try_mutants([] {
    for (const std::size_t at : std::vector<std::size_t>{1, 3, 4, 7})
      if (!run(trials[at], {}).result) return false;
    return true;
  });
  INFO(report.message());
  CHECK(report.total() >= 6);
  CHECK(report.survivors.empty());
}

TEST_CASE("centring on CUDA refuses what does not fit", "[centre][cuda_host]") {
  cuda_host::machine machine;
  float* const p = machine.allocate<float>(64, "p");
  std::vector<float> host(64);
  const auto kind_of = [&](const view<const float, 2>& x, const view<float, 2>& out, float* means) {
    return tests::kind_of([&] {
      centre::column_means(machine.device(), x, means, means + 4, p);
      centre::subtract(machine.device(), x, means, means + 4, out, p);
    });
  };
  const view<const float, 2> x(p + 16, {4, 4});
  const view<float, 2> out(p + 32, {4, 4});
  CHECK(kind_of(x, out, p + 48) == "accepted");
  CHECK(kind_of(view<const float, 2>(host.data(), {4, 4}), out, p + 48) == "bad_pointer");
  CHECK(kind_of(x, view<float, 2>(host.data(), {4, 4}), p + 48) == "bad_pointer");
  CHECK(kind_of(x, out, p + 60) == "bad_pointer");
  CHECK(kind_of(x, view<float, 2>(p + 32, {4, 3}), p + 48) == "unsupported_shape");
  CHECK(kind_of(view<const float, 2>(p, {4, 4}, {3, 1}), out, p + 48) == "unsupported_shape");
  CHECK(kind_of(view<const float, 2>(p, {0, 4}), out, p + 48) == "unsupported_shape");
}
