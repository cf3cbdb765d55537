// The vendors' libraries behind the device layer: what reaches them is what their manuals ask for (the stand-ins answer
// column-major calls), results agree with the reference, calls are counted, and what they cannot take is refused by
// name.
#include "cuda_host/vendors.hpp"

#include <cmath>
#include <complex>
#include <limits>
#include <string>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/dense/reference.hpp>
#include <hocket/kernels/fft/reference.hpp>

#include "catch.hpp"
#include "error_kind.hpp"

using namespace hocket;
using tests::kind_of;
namespace gemm = kernels::gemm;

namespace {

/// count stored matrices (rows, columns), rows ld apart, `stride` apart; NaN between them.
template <class T>
std::vector<T> matrices(std::size_t count, std::size_t stride, std::size_t rows, std::size_t columns, std::size_t ld,
                        std::uint64_t seed) {
  philox random(seed);
  std::vector<T> x(count && rows && columns ? (count - 1) * stride + (rows - 1) * ld + columns : 0,
                   from_f32<T>(std::numeric_limits<float>::quiet_NaN()));
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t c = 0; c < columns; ++c)
        x[i * stride + r * ld + c] = from_f32<T>(static_cast<float>(random.next_normal()));
  return x;
}

/// multiply(shape, alpha, a, b, beta, c, batch) against the reference product of every matrix.
template <class T, class Multiply>
void check_products(cuda_host::machine_with_vendors& machine, Multiply&& multiply) {
  struct trial {
    std::size_t m, n, k, count;
    float alpha, beta;
  };
  for (const trial& t : {trial{1, 1, 1, 1, 1, 0}, {5, 7, 3, 1, 2, -1}, {17, 4, 33, 3, 1, 0}, {8, 9, 10, 2, -1, 1}})
    for (const bool ta : {false, true})
      for (const bool tb : {false, true}) {
        const gemm::shape s{t.m, t.n, t.k, ta, tb, (ta ? t.m : t.k) + 2, (tb ? t.k : t.n) + 1, t.n + 3};
        // strides of a multiple of four elements: every matrix of a batch starts as well as the first
        const gemm::batch of{t.count, ((ta ? t.k : t.m) * s.lda + 7) / 4 * 4, ((tb ? t.n : t.k) * s.ldb + 7) / 4 * 4,
                             (t.m * s.ldc + 7) / 4 * 4};
        const auto a = matrices<T>(t.count, of.stride_a, ta ? t.k : t.m, ta ? t.m : t.k, s.lda, 1),
                   b = matrices<T>(t.count, of.stride_b, tb ? t.n : t.k, tb ? t.k : t.n, s.ldb, 2);
        auto c = matrices<float>(t.count, of.stride_c, t.m, t.n, s.ldc, 3);
        const device_buffer<T, cuda_on_host> da(machine.device(), "A", a), db(machine.device(), "B", b);
        device_buffer<float, cuda_on_host> dc(machine.device(), "C", c);
        multiply(s, t.alpha, da.data(), db.data(), t.beta, dc.data(), of);
        const auto ours = dc.download();
        comparison result;
        for (std::size_t i = 0; i < t.count; ++i)
          for (std::size_t r = 0; r < t.m; ++r)
            for (std::size_t j = 0; j < t.n; ++j) {
              double sum = 0, terms = 0;
              for (std::size_t k = 0; k < t.k; ++k) {
                const double left =
                    static_cast<double>(to_f32(a[i * of.stride_a + (ta ? k * s.lda + r : r * s.lda + k)]));
                const double right =
                    static_cast<double>(to_f32(b[i * of.stride_b + (tb ? j * s.ldb + k : k * s.ldb + j)]));
                sum += left * right;
                terms += std::abs(left * right);
              }
              const std::size_t at = i * of.stride_c + r * s.ldc + j;
              const double kept = t.beta == 0 ? 0 : static_cast<double>(t.beta) * static_cast<double>(c[at]);
              const double alpha = static_cast<double>(t.alpha);
              result.add(std::abs(static_cast<double>(ours[at]) - (alpha * sum + kept)),
                         rounding<float>(static_cast<double>(t.k + 2) * (std::abs(alpha) * terms + std::abs(kept))));
            }
        INFO(t.m << " x " << t.n << " x " << t.k << (ta ? " t" : " n") << (tb ? "t " : "n ") << result.message());
        CHECK(result);
        CHECK(result.count == t.count * t.m * t.n);
      }
}

}  // namespace

TEMPLATE_TEST_CASE("products through cuBLAS and cuBLASLt", "[cuda_host][gemm]", float, f16, bf16) {
  cuda_host::machine_with_vendors machine;
  cuda_host::launch_counts.clear();
  gemm::cublas_plan<cuda_on_host> cublas(machine.device());
  check_products<TestType>(
      machine, [&](const gemm::shape& s, float alpha, const TestType* a, const TestType* b, float beta, float* c,
                   const gemm::batch& of) { cublas.multiply(s, alpha, a, b, beta, c, of); });
  check_products<TestType>(machine, [&](const gemm::shape& s, float alpha, const TestType* a, const TestType* b,
                                        float beta, float* c, const gemm::batch& of) {
    gemm::cublaslt_plan<cuda_on_host, TestType>(machine.device(), s, of).run(alpha, a, b, beta, c);
  });
  CHECK(cuda_host::launch_counts.at("cublasGemmStridedBatchedEx") == 16);
  CHECK(cuda_host::launch_counts.at("cublasLtMatmul") == 16);
  CHECK(cuda_host::launch_counts.size() == 2);
}

TEST_CASE("cuBLAS and cuBLASLt are not given what they cannot take", "[cuda_host][gemm]") {
  cuda_host::machine_with_vendors machine;
  cuda_host::machine plain;
  device_buffer<float, cuda_on_host> x(machine.device(), "x", 100);
  std::vector<float> host(100);
  gemm::cublas_plan<cuda_on_host> cublas(machine.device());
  const auto run = [&](const gemm::shape& s, const float* a, float* c) {
    return kind_of([&] { cublas.multiply(s, 1, a, x.data(), 0, c); });
  };
  const auto run_lt = [&](const gemm::shape& s, const float* a, float* c) {
    return kind_of([&] { gemm::cublaslt_plan<cuda_on_host, float>(machine.device(), s).run(1, a, x.data(), 0, c); });
  };
  const gemm::shape square{4, 4, 4, false, false, 4, 4, 4};
  CHECK(run(square, x.data(), x.data() + 16) == "accepted");
  CHECK(run(square, host.data(), x.data()) == "bad_pointer");
  CHECK(run(square, x.data(), host.data()) == "bad_pointer");
  CHECK(run(square, x.data() + 85, x.data()) == "bad_pointer");  // reaches past the end
  CHECK(run({4, 4, 4, false, false, 3, 4, 4}, x.data(), x.data()) == "unsupported_shape");
  CHECK(run({std::size_t{1} << 32, 4, 4, false, false, 4, 4, 4}, x.data(), x.data()) == "unsupported_shape");
  CHECK(run(square, reinterpret_cast<const float*>(reinterpret_cast<const char*>(x.data()) + 2), x.data()) ==
        "misaligned");
  CHECK(run_lt(square, x.data(), x.data() + 16) == "accepted");
  CHECK(run_lt(square, x.data() + 1, x.data()) == "misaligned");  // its fast algorithms need 16 bytes
  CHECK(run_lt(square, host.data(), x.data()) == "bad_pointer");
  CHECK(run_lt({4, 4, 0, false, false, 0, 4, 4}, x.data(), x.data()) == "unsupported_shape");
  CHECK(run_lt({0, 4, 4, false, false, 4, 4, 4}, x.data(), x.data()) == "accepted");
  CHECK(kind_of([&] { gemm::cublas_plan<cuda_on_host>(plain.device()); }) == "not_built");
  CHECK(kind_of([&] { gemm::cublas_plan<cuda_on_host>(cuda_on_host{}); }) == "no_device");
}

TEST_CASE("cuBLASLt's layouts are those of the stored matrices", "[cuda_host][gemm]") {
  // op(A) (2,3) stored (3,2) with rows 4 apart; B (3,5) with rows 6 apart; C (2,5) with rows 7 apart
  const auto call = gemm::to_cublaslt({2, 5, 3, true, false, 4, 6, 7}, {9, 100, 200, 300});
  CHECK(!call.transpose_first);
  CHECK(call.transpose_second);
  CHECK((call.first.rows == 5 && call.first.columns == 3 && call.first.ld == 6 && call.first.stride == 200));
  CHECK((call.second.rows == 2 && call.second.columns == 3 && call.second.ld == 4 && call.second.stride == 100));
  CHECK((call.result.rows == 5 && call.result.columns == 2 && call.result.ld == 7 && call.result.stride == 300));
  CHECK((call.first.batch_count == 9 && call.second.batch_count == 9 && call.result.batch_count == 9));
}

TEST_CASE("rows through cuFFT, also overlapping ones", "[cuda_host][fft]") {
  cuda_host::machine_with_vendors machine;
  for (const std::size_t n : std::vector<std::size_t>{1, 2, 3, 7, 8, 30, 97})
    for (const std::size_t hop : {n, n + 3, n / 2 + 1}) {
      const std::size_t batch = 5, bins = n / 2 + 1, stride_out = bins + 2;
      const auto x = matrices<float>(1, 0, 1, (batch - 1) * hop + n, (batch - 1) * hop + n, n);
      const device_buffer<float, cuda_on_host> in(machine.device(), "signal", x);
      device_buffer<std::complex<float>, cuda_on_host> out(machine.device(), "spectra", batch * stride_out);
      kernels::fft::cufft_plan<cuda_on_host> plan(machine.device(), {n, batch, hop, stride_out});
      plan.run(in.data(), out.data());
      const auto ours = out.download();
      comparison result;
      for (std::size_t b = 0; b < batch; ++b) {
        const std::vector<float> row(x.begin() + static_cast<std::ptrdiff_t>(b * hop),
                                     x.begin() + static_cast<std::ptrdiff_t>(b * hop + n));
        const auto expected = kernels::fft::reference::real_forward(row);
        double sum = 0;
        for (const float v : row) sum += std::abs(static_cast<double>(v));
        for (std::size_t k = 0; k < bins; ++k)
          result.add(std::abs(std::complex<double>(ours[b * stride_out + k]) - expected[k]), 8 * rounding<float>(sum));
      }
      INFO("n " << n << " hop " << hop << " " << result.message());
      CHECK(result);
    }
}

TEST_CASE("cuFFT's advanced layout, and what it refuses", "[cuda_host][fft]") {
  const auto call = kernels::fft::to_cufft({400, 7, 160, 256});
  CHECK((call.rank == 1 && call.n == 400 && call.batch == 7));
  CHECK((call.inembed == 400 && call.istride == 1 && call.idist == 160));
  CHECK((call.onembed == 201 && call.ostride == 1 && call.odist == 256));
  cuda_host::machine_with_vendors machine;
  device_buffer<float, cuda_on_host> in(machine.device(), "in", 64);
  device_buffer<std::complex<float>, cuda_on_host> out(machine.device(), "out", 64);
  std::vector<float> host(64);
  const auto run = [&](const kernels::fft::real_rows& rows, const float* from) {
    return kind_of([&] { kernels::fft::cufft_plan<cuda_on_host>(machine.device(), rows).run(from, out.data()); });
  };
  CHECK(run({8, 8, 8, 5}, in.data()) == "accepted");
  CHECK(run({8, 0, 8, 5}, nullptr) == "accepted");
  CHECK(run({0, 8, 8, 5}, in.data()) == "unsupported_shape");
  CHECK(run({8, 8, 8, 4}, in.data()) == "unsupported_shape");
  CHECK(run({8, 7, 8, 5}, in.data() + 1) == "misaligned");
  CHECK(run({8, 8, 8, 5}, host.data()) == "bad_pointer");
  CHECK(run({8, 9, 8, 5}, in.data()) == "bad_pointer");
  cuda_host::machine plain;
  CHECK(kind_of([&] { kernels::fft::cufft_plan<cuda_on_host>(plain.device(), {8, 1, 8, 5}); }) == "not_built");
}

TEST_CASE("symmetric eigenproblems through cuSOLVER", "[cuda_host][dense]") {
  cuda_host::machine_with_vendors machine;
  kernels::dense::cusolver_plan<cuda_on_host> solver(machine.device());
  for (const std::size_t n : std::vector<std::size_t>{0, 1, 2, 5, 17}) {
    philox random(n);
    std::vector<double> a(n * n), values(n), vectors(n * n);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j <= i; ++j) a[i * n + j] = a[j * n + i] = random.next_normal();
    device_buffer<double, cuda_on_host> matrix(machine.device(), "matrix", a), found(machine.device(), "values", n);
    solver.eigen(n, matrix.data(), found.data());
    kernels::dense::reference_eigen(n, a.data(), values.data(), vectors.data());
    const auto ours = found.download(), rows = matrix.download();
    comparison result;
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t at = kernels::dense::falling(i, n);
      const double unit = 16 * rounding<double>(static_cast<double>(n) * std::max(std::abs(values[0]), 1.0));
      result.add(std::abs(ours[at] - values[i]), unit);
      for (std::size_t r = 0; r < n; ++r) {  // A v = lambda v
        double sum = 0;
        for (std::size_t c = 0; c < n; ++c) sum += a[r * n + c] * rows[at * n + c];
        result.add(std::abs(sum - ours[at] * rows[at * n + r]), unit);
      }
    }
    INFO("n " << n << " " << result.message());
    CHECK(result);
  }
  std::vector<double> host(16);
  device_buffer<double, cuda_on_host> x(machine.device(), "x", 16);
  CHECK(kind_of([&] { solver.eigen(4, host.data(), x.data()); }) == "bad_pointer");
  CHECK(kind_of([&] { solver.eigen(5, x.data(), x.data()); }) == "bad_pointer");
  device_buffer<double, cuda_on_host> nan(machine.device(), "nan",
                                          std::vector<double>(4, std::numeric_limits<double>::quiet_NaN()));
  CHECK(kind_of([&] { solver.eigen(2, nan.data(), x.data()); }) == "bad_value");
}
