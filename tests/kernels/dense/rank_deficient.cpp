// A few eigenvectors of a matrix of low rank: those past the rank lie inside a cluster of zeros.
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/kernels/dense/arms.hpp>

#include "catch.hpp"

#if defined(HOCKET_HAVE_LAPACK)
TEST_CASE("LAPACK finds k eigenvectors beyond the rank", "[kernels][dense]") {
  using namespace hocket;
  for (const std::size_t n : {std::size_t{40}, std::size_t{200}})
    for (const std::size_t k : {std::size_t{2}, std::size_t{30}, std::size_t{39}}) {
      constexpr std::size_t rank = 29;
      INFO("n = " << n << ", k = " << k);
      philox random(n);
      std::vector<double> factor(n * rank), a(n * n, 0.0), values(k), vectors(k * n);
      for (double& value : factor) value = random.next_normal();
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j)
          for (std::size_t q = 0; q < rank; ++q) a[i * n + j] += factor[i * rank + q] * factor[j * rank + q];
      std::vector<double> kept = a, workspace(kernels::dense::lapack_eigen_workspace<double>(n, k));
      REQUIRE(kernels::dense::lapack_eigen(n, k, a.data(), values.data(), vectors.data(), workspace.data()));
      const double unit = static_cast<double>(n) * std::numeric_limits<double>::epsilon() * values[0];
      double worst = 0;
      for (std::size_t v = 0; v < k; ++v)
        for (std::size_t i = 0; i < n; ++i) {
          double sum = 0;
          for (std::size_t j = 0; j < n; ++j) sum += kept[i * n + j] * vectors[v * n + j];
          worst = std::max(worst, std::abs(sum - values[v] * vectors[v * n + i]));
        }
      CHECK(worst <= unit);
      for (std::size_t v = rank; v < k; ++v) CHECK(std::abs(values[v]) <= unit);
    }
}
#endif
