// Every arm of X^T X against plain sums in long double: awkward sizes, rows padded with NaN, every instruction set.
#include <cmath>
#include <limits>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/covariance/arms.hpp>
#include <hocket/kernels/covariance/reference.hpp>

#include "catch.hpp"
#include "machine_sets.hpp"

namespace {

using namespace hocket;
namespace covariance = hocket::kernels::covariance;

template <Real T>
comparison run(const covariance::covariance_arm<T>& arm, const covariance::problem& p) {
  const std::size_t ld = p.d + 3, shift = p.d % 4;
  const philox random(p.n * 1000 + p.d);
  buffer<T> padded(shift + p.n * ld);
  std::fill(padded.begin(), padded.end(), std::numeric_limits<T>::quiet_NaN());
  std::vector<T> dense(p.n * p.d);
  for (std::size_t e = 0; e < dense.size(); ++e)
    dense[e] = padded[shift + e / p.d * ld + e % p.d] = static_cast<T>(random.normal_at(e) + 0.5);
  std::vector<double> ours(p.d * p.d, std::numeric_limits<double>::quiet_NaN()), expected(p.d * p.d);
  arm.run(p, padded.data() + shift, ld, ours.data());
  covariance::reference<T>(p.n, p.d, p.d, dense.data(), dense.data(), expected.data());
  comparison result;
  for (std::size_t i = 0; i < p.d; ++i)
    for (std::size_t j = 0; j < p.d; ++j) {
      double terms = 0;
      for (std::size_t row = 0; row < p.n; ++row)
        terms += std::abs(static_cast<double>(dense[row * p.d + i]) * static_cast<double>(dense[row * p.d + j]));
      result.add(std::abs(ours[i * p.d + j] - expected[i * p.d + j]), arm.promise(p) * rounding<T>(terms));
      result.add(std::abs(ours[i * p.d + j] - ours[j * p.d + i]), 0);  // symmetric to the last bit
    }
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("covariance: every arm keeps its promise", "[covariance]", float, double) {
  for (const isa level : tests::machine_sets()) {
    const tests::on_isa guard(level);
    for (const auto& arm : covariance::arms<TestType>())
      for (const std::size_t d : {0u, 1u, 2u, 15u, 16u, 17u, 31u, 32u, 33u, 63u, 65u, 100u, 130u})
        for (const std::size_t n : {0u, 1u, 3u, 4u, 5u, 239u, 240u, 241u, 487u}) {
          const covariance::problem p{n, d};
          const comparison result = run<TestType>(arm, p);
          CAPTURE(arm.name, name_of(best_isa()), n, d);
          INFO(result.message());
          CHECK(result);
          CHECK(result.count == 2 * d * d);
        }
  }
}
