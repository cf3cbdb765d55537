// Eigenproblems of matrices of low rank or with a steep spectrum: most eigenvalues lie inside a cluster of zeros.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/dense/arms.hpp>

#include "catch.hpp"
#include "machine_sets.hpp"

TEMPLATE_TEST_CASE("our eigensolver converges whatever the spectrum", "[kernels][dense]", float, double) {
  using namespace hocket;
  using T = TestType;
  enum class spectrum { low_rank, steep, two_levels };
  for (const isa level : tests::machine_sets()) {
    const tests::on_isa guard(level);
    for (const spectrum kind : {spectrum::low_rank, spectrum::steep, spectrum::two_levels})
      for (const std::size_t n : {2u, 3u, 33u, 90u, 200u}) {
        INFO("n = " << n << ", spectrum " << static_cast<int>(kind) << ", " << std::string(name_of(level)));
        philox random(n, 5);
        std::vector<double> factor(n * n), exact(n * n);
        for (double& value : factor) value = random.next_normal();
        for (std::size_t q = 0; q < n; ++q) {
          const double at = static_cast<double>(q) / static_cast<double>(n);
          const double weight = kind == spectrum::low_rank ? (at < 0.2 ? 1 : 0)
                                : kind == spectrum::steep  ? std::pow(10, -2.0 * std::numeric_limits<T>::digits10 * at)
                                                           : (q % 3 == 0 ? 1 : 1e-9);
          for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j < n; ++j) exact[i * n + j] += weight * factor[i * n + q] * factor[j * n + q];
        }
        std::vector<T> a(n * n), values(n), vectors(n * n), workspace(kernels::dense::own_eigen_workspace(n, n));
        std::transform(exact.begin(), exact.end(), a.begin(), [](double value) { return static_cast<T>(value); });
        const std::vector<T> rounded = a;
        REQUIRE(kernels::dense::own_eigen<T>(n, n, a.data(), values.data(), vectors.data(), workspace.data()));
        CHECK(std::is_sorted(values.rbegin(), values.rend()));
        double worst = 0;
        for (std::size_t v = 0; v < n; ++v)
          for (std::size_t i = 0; i < n; ++i) {
            double sum = 0;
            for (std::size_t j = 0; j < n; ++j)
              sum += static_cast<double>(rounded[i * n + j]) * static_cast<double>(vectors[v * n + j]);
            worst = std::max(worst,
                             std::abs(sum - static_cast<double>(values[v]) * static_cast<double>(vectors[v * n + i])));
          }
        CHECK(worst <= static_cast<double>(n) * static_cast<double>(std::numeric_limits<T>::epsilon()) *
                           static_cast<double>(values[0]));
      }
  }
}

TEMPLATE_TEST_CASE("every engine finds k eigenvectors beyond the rank", "[kernels][dense]", float, double) {
  using namespace hocket;
  for (const auto& arm : kernels::dense::arms<TestType>())
    for (const std::size_t rank : {std::size_t{1}, std::size_t{11}, std::size_t{29}})
      for (const std::size_t n : {std::size_t{40}, std::size_t{90}, std::size_t{200}})
        for (const std::size_t k : {std::size_t{2}, std::size_t{30}, std::size_t{39}, n}) {
          INFO(std::string(arm.name) << ", n = " << n << ", rank " << rank << ", k = " << k);
          philox random(n);
          std::vector<TestType> factor(n * rank), a(n * n, 0), values(k), vectors(k * n);
          for (TestType& value : factor) value = static_cast<TestType>(random.next_normal());
          for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j < n; ++j)
              for (std::size_t q = 0; q < rank; ++q) a[i * n + j] += factor[i * rank + q] * factor[j * rank + q];
          std::vector<TestType> kept = a, workspace(arm.run.eigen_workspace(n, k));
          REQUIRE(arm.run.eigen(n, k, a.data(), values.data(), vectors.data(), workspace.data()));
          const double unit = static_cast<double>(n) * rounding<TestType>(static_cast<double>(values[0]));
          double worst = 0;
          for (std::size_t v = 0; v < k; ++v)
            for (std::size_t i = 0; i < n; ++i) {
              double sum = 0;
              for (std::size_t j = 0; j < n; ++j)
                sum += static_cast<double>(kept[i * n + j]) * static_cast<double>(vectors[v * n + j]);
              worst = std::max(
                  worst, std::abs(sum - static_cast<double>(values[v]) * static_cast<double>(vectors[v * n + i])));
            }
          CHECK(worst <= unit);
          for (std::size_t v = rank; v < k; ++v) CHECK(std::abs(static_cast<double>(values[v])) <= unit);
        }
}
