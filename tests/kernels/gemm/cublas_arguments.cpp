// The translation to cuBLAS, checked against a plain column-major product written from cuBLAS's own definition.
#include <vector>

#include <hocket/kernels/gemm/cublas_arguments.hpp>

#include "catch.hpp"

using namespace hocket;
using namespace hocket::kernels::gemm;

namespace {

/// C = alpha op(first) op(second) + beta C, column-major, as cuBLAS defines it: op(first) is (m,k), op(second) is
/// (k,n).
void column_major(const cublas_arguments& a, double alpha, const double* first, const double* second, double beta,
                  double* c) {
  const auto at = [](const double* x, int ld, int row, int column) { return x[row + column * ld]; };
  for (int j = 0; j < a.n; ++j)
    for (int i = 0; i < a.m; ++i) {
      double sum = 0;
      for (int p = 0; p < a.k; ++p)
        sum += (a.transpose_first ? at(first, a.ld_first, p, i) : at(first, a.ld_first, i, p)) *
               (a.transpose_second ? at(second, a.ld_second, j, p) : at(second, a.ld_second, p, j));
      double& out = c[i + j * a.ld_result];
      out = alpha * sum + beta * out;
    }
}

}  // namespace

TEST_CASE("row-major products through a column-major library", "[gemm]") {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      const std::size_t m = 3, n = 5, k = 4;
      const shape s{m, n, k, ta, tb, (ta ? m : k) + 2, (tb ? k : n) + 1, n + 3};
      std::vector<double> a((ta ? k : m) * s.lda), b((tb ? n : k) * s.ldb), ours(m * s.ldc, 7), theirs(m * s.ldc, 7);
      for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<double>(i % 7) - 3;  // small integers: exact sums
      for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<double>(i % 5) - 2;
      reference<double>(s, 2, a.data(), b.data(), -1, ours.data());
      column_major(to_cublas(s), 2, b.data(), a.data(), -1, theirs.data());
      CHECK(ours == theirs);
    }
}

TEST_CASE("sizes beyond cuBLAS's counters are refused, empty products are not", "[gemm]") {
  const std::size_t large = std::size_t{1} << 31;
  CHECK_THROWS_AS(to_cublas({large, 1, 1, false, false, 1, 1, 1}), error);
  CHECK_THROWS_AS(to_cublas({1, 1, 1, false, false, large, 1, 1}), error);
  const auto none = to_cublas({0, 3, 0, false, false, 0, 3, 3});
  CHECK(none.ld_second == 1);
}
