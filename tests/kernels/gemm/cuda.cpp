// The CUDA matrix products on the host executor: layouts, awkward sizes, padding filled with NaN, every order, both
// device generations, against the f64 sum of the same rounded inputs.
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/gemm/cuda_launch.cuh>

#include "catch.hpp"
#include "cuda_host/machine.hpp"
#include "cuda_host/mutants.hpp"
#include "error_kind.hpp"

using namespace hocket;
namespace gemm = kernels::gemm;
using gemm::gpu::arm;

namespace {

struct trial {
  std::size_t m, n, k, pad_a, pad_b, pad_c;  ///< pads: elements between the rows
  float alpha, beta;
};
const std::vector<trial> trials = {
    {1, 1, 1, 0, 0, 0, 1, 0},      {64, 64, 32, 0, 0, 0, 1, 0}, {65, 63, 33, 3, 5, 1, 1, 0},
    {16, 8, 16, 0, 0, 0, 2, 1},    {7, 97, 40, 8, 7, 2, 1, -1}, {70, 72, 80, 0, 8, 0, 0.5, 0},
    {128, 10, 64, 16, 6, 0, 1, 1}, {5, 6, 0, 0, 0, 0, 1, 0.5f},
};

/// A stored matrix whose padding is NaN: (rows, columns), rows ld apart, ending with the last element.
template <class T>
std::vector<T> matrix(std::size_t rows, std::size_t columns, std::size_t ld, std::uint64_t seed) {
  philox random(seed);
  const T nan = from_f32<T>(std::numeric_limits<float>::quiet_NaN());
  std::vector<T> x(rows && columns ? (rows - 1) * ld + columns : 0, nan);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < columns; ++c) x[r * ld + c] = from_f32<T>(static_cast<float>(random.next_normal()));
  return x;
}

template <class T>
comparison run(arm which, const trial& t, bool ta, bool tb, const cuda_host::execution& how, std::vector<float>* bits) {
  cuda_host::machine machine(how);
  gemm::shape s{t.m, t.n, t.k, ta, tb, (ta ? t.m : t.k) + t.pad_a, (tb ? t.k : t.n) + t.pad_b, t.n + t.pad_c};
  const auto a = matrix<T>(ta ? t.k : t.m, ta ? t.m : t.k, s.lda, 1),
             b = matrix<T>(tb ? t.n : t.k, tb ? t.k : t.n, s.ldb, 2);
  auto before = matrix<float>(t.m, t.n, s.ldc, 3);
  if (t.beta == 0)
    std::fill(before.begin(), before.end(), std::numeric_limits<float>::quiet_NaN());  // must not be read
  float* const c = machine.upload(before, "C");
  gemm::gpu::multiply<cuda_on_host, T>(machine.device(), s, t.alpha, machine.upload(a, "A"), machine.upload(b, "B"),
                                       t.beta, c, which);
  comparison result;
  for (std::size_t i = 0; i < t.m; ++i)
    for (std::size_t j = 0; j < t.n; ++j) {
      double sum = 0, terms = 0;
      for (std::size_t k = 0; k < t.k; ++k) {
        const double left = static_cast<double>(to_f32(a[ta ? k * s.lda + i : i * s.lda + k]));
        const double right = static_cast<double>(to_f32(b[tb ? j * s.ldb + k : k * s.ldb + j]));
        sum += left * right;
        terms += std::abs(left * right);
      }
      const double kept = t.beta == 0 ? 0 : static_cast<double>(t.beta) * static_cast<double>(before[i * s.ldc + j]);
      const double expected = static_cast<double>(t.alpha) * sum + kept;
      result.add(std::abs(static_cast<double>(c[i * s.ldc + j]) - expected),
                 rounding<float>(gemm::gpu::promise(which, t.k) *
                                 (std::abs(static_cast<double>(t.alpha)) * terms + std::abs(kept))));
      bits->push_back(c[i * s.ldc + j]);
    }
  for (std::size_t i = 0; i + 1 < t.m; ++i)  // the padding of C is not ours
    for (std::size_t j = t.n; j < s.ldc; ++j) result.add(std::isnan(c[i * s.ldc + j]) ? 0 : 1, 0);
  return result;
}

template <class T>
void check(arm which, const std::vector<cuda_host::execution>& orders) {
  for (const trial& t : trials)
    for (const bool ta : {false, true})
      for (const bool tb : {false, true}) {
        std::vector<float> first;
        for (const auto& how : orders) {
          std::vector<float> bits;
          const comparison result = run<T>(which, t, ta, tb, how, &bits);
          INFO(t.m << " x " << t.n << " x " << t.k << (ta ? " t" : " n") << (tb ? "t " : "n ") << result.message());
          CHECK(result);
          if (first.empty()) first = bits;
          CHECK(std::memcmp(first.data(), bits.data(), bits.size() * sizeof(float)) == 0);
        }
      }
}

const std::vector<cuda_host::execution> few_orders = {{cuda_host::order::ascending, 1}, {cuda_host::order::random, 2}};

}  // namespace

TEST_CASE("tiled f32 products on CUDA", "[gemm][cuda_host]") { check<float>(arm::tiled_f32, few_orders); }
TEST_CASE("tensor-core products on CUDA", "[gemm][cuda_host]") {
  check<f16>(arm::mma_f16, few_orders);
  check<bf16>(arm::mma_bf16, few_orders);
  check<float>(arm::mma_tf32, few_orders);
}
TEST_CASE("products on CUDA, every order", "[gemm][cuda_host][.long]") {
  check<float>(arm::tiled_f32, cuda_host::all_orders());
  check<f16>(arm::mma_f16, cuda_host::all_orders());
  check<bf16>(arm::mma_bf16, cuda_host::all_orders());
  check<float>(arm::mma_tf32, cuda_host::all_orders());
}
TEST_CASE("without tensor cores the twin answers under the same name", "[gemm][cuda_host]") {
  cu::has_mma = false;
  check<f16>(arm::mma_f16, {{}});
  check<bf16>(arm::mma_bf16, {{}});
  check<float>(arm::mma_tf32, {{}});
  cu::has_mma = true;
}

TEST_CASE("a batch gives the bits of its products one by one", "[gemm][cuda_host]") {
  const auto check_batch = [](auto zero, arm which) {
    using T = decltype(zero);
    const std::size_t m = 66, n = 20, k = 35, count = 3;
    const gemm::shape s{m, n, k, true, false, m, n, n};
    // an odd stride: the second matrix allows no 16-byte copies, so neither may the first use them
    const gemm::batch of{count, k * m + 1, k * n + 3, m * n + 2};
    cuda_host::machine machine;
    const T* const a = machine.upload(matrix<T>(count, k * m, of.stride_a, 1), "A");
    const T* const b = machine.upload(matrix<T>(count, k * n, of.stride_b, 2), "B");
    float* const together = machine.allocate<float>(2 * of.stride_c + m * n, "C");
    float* const alone = machine.allocate<float>(m * n, "C alone");
    cuda_host::launch_counts.clear();
    gemm::gpu::multiply<cuda_on_host, T>(machine.device(), s, 1, a, b, 0, together, which, of);
    CHECK(cuda_host::launch_counts.begin()->second == 1);
    CHECK(std::isnan(together[m * n]));  // between the results
    for (std::size_t i = 0; i < count; ++i) {
      gemm::gpu::multiply<cuda_on_host, T>(machine.device(), s, 1, a + i * of.stride_a, b + i * of.stride_b, 0, alone,
                                           which);
      CHECK(std::memcmp(alone, together + i * of.stride_c, m * n * sizeof(float)) == 0);
    }
  };
  check_batch(0.0f, arm::tiled_f32);
  check_batch(0.0f, arm::mma_tf32);
  check_batch(f16{}, arm::mma_f16);
  check_batch(bf16{}, arm::mma_bf16);
}

TEST_CASE("the product tests notice damage to the kernels", "[gemm][cuda_host][mutation]") {
  const auto try_arm = [](auto zero, arm which) {
    using T = decltype(zero);
    return cuda_host::try_mutants([which] {
      std::vector<float> bits;
      for (const trial& t : {trials[2], trials[4], trials[5]})
        for (const int layout : {0, 3})
          if (!run<T>(which, t, layout & 1, layout & 2, {}, &bits)) return false;
      return true;
    });
  };
  for (const auto& report :
       {try_arm(0.0f, arm::tiled_f32), try_arm(f16{}, arm::mma_f16), try_arm(0.0f, arm::mma_tf32)}) {
    INFO(report.message());
    CHECK(report.total() >= 4);
    CHECK(report.survivors.empty());
  }
}

TEST_CASE("products refuse what does not fit", "[gemm][cuda_host]") {
  cuda_host::machine machine;
  float* const x = machine.allocate<float>(64, "x");
  std::vector<float> host(64);
  const auto kind_of = [&](const gemm::shape& s, const float* a, arm which) {
    return tests::kind_of([&] { gemm::gpu::multiply<cuda_on_host, float>(machine.device(), s, 1, a, x, 0, x, which); });
  };
  CHECK(kind_of({4, 4, 4, false, false, 3, 4, 4}, x, arm::tiled_f32) == "unsupported_shape");
  CHECK(kind_of({4, 4, 4, false, false, 4, 4, 4}, host.data(), arm::tiled_f32) == "bad_pointer");
  CHECK(kind_of({9, 8, 8, false, false, 8, 8, 8}, x, arm::tiled_f32) == "bad_pointer");
  CHECK(kind_of({4, 4, 4, false, false, 4, 4, 4}, x, arm::mma_f16) == "bad_option");
  CHECK(kind_of({0, 4, 4, false, false, 4, 4, 4}, x, arm::tiled_f32) == "accepted");
}
