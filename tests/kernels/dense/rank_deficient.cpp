// A few eigenvectors of a matrix of low rank: those past the rank lie inside a cluster of zeros.
#include <string>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/dense/arms.hpp>

#include "catch.hpp"

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
