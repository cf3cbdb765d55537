// The CUDA kernels of kernels/covariance, and the products of a PCA that they join: data of many rows, squares of
// columns.
#include <hocket/core/error.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/cuda.hpp"

namespace {

using hocket::bench::cuda_work;

const bool registered = hocket::bench::register_operation([] {
  struct size {
    std::size_t n, d;
  };
  constexpr std::size_t groups = 64;
  for (const auto& [n, d] : {size{16384, 512}, size{65536, 1024}}) {
    const std::size_t count = d * d;
    const double result = static_cast<double>(count), data = static_cast<double>(n * d);
    const hocket::bench::dimensions sizes{{"n", n}, {"d", d}, {"groups", groups}, {"count", count}};
    hocket::bench::add_cuda_arms(
        "covariance", "join", hocket::text("groups=", groups, "/count=", count), sizes,
        [=](std::size_t element) {  // sums are in f64, parts in f32
          return cuda_work{groups * result, result * (4.0 * groups + static_cast<double>(element))};
        });
    hocket::bench::add_cuda_arms("covariance", "narrow", hocket::text("count=", count), sizes,
                                 [=](std::size_t element) {
                                   return cuda_work{0, result * (8 + static_cast<double>(element))};
                                 });
    for (const char* arm : {"own", "cublas"})
      hocket::bench::add_cuda_library("covariance", arm, "f32", hocket::text("n=", n, "/d=", d), sizes,
                                      {2 * data * static_cast<double>(d), 4 * data + 8 * result});
  }
});

}  // namespace
