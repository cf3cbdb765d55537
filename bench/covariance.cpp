// Every arm of kernels/covariance and the CUDA kernels, with the products of a PCA that they join: data of many rows,
// squares of columns.
#include <cmath>
#include <memory>
#include <vector>

#include <hocket/core/error.hpp>
#include <hocket/kernels/covariance/arms.hpp>
#include <hocket/kernels/covariance/reference.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/cuda.hpp"

namespace {

namespace covariance = hocket::kernels::covariance;
using hocket::bench::cuda_work;
using hocket::bench::ready;

template <class T>
ready prepare(const covariance::covariance_arm<T>& arm, const covariance::problem& p) {
  auto x = std::make_shared<std::vector<T>>(hocket::bench::normal_values<T>(p.n * p.d, 1));
  auto out = std::make_shared<std::vector<double>>(p.d * p.d);
  const auto call = arm.run;
  ready made;
  made.run = [=] { call(p, x->data(), p.d, out->data()); };
  made.run();
  std::vector<double> wanted(p.d * p.d);
  covariance::reference<T>(p.n, p.d, p.d, x->data(), x->data(), wanted.data());
  for (std::size_t i = 0; i < p.d; ++i)
    for (std::size_t j = 0; j < p.d; ++j) {
      double terms = 0;
      for (std::size_t row = 0; row < p.n; ++row)
        terms += std::abs(static_cast<double>((*x)[row * p.d + i]) * static_cast<double>((*x)[row * p.d + j]));
      made.check.add(std::abs((*out)[i * p.d + j] - wanted[i * p.d + j]), arm.promise(p) * hocket::rounding<T>(terms));
    }
  return made;
}

template <class T>
void add_arms() {
  for (const covariance::problem& p : {covariance::problem{960, 128}, {960, 512}})
    hocket::bench::add_arms("covariance", hocket::text("n=", p.n, "/d=", p.d), covariance::arms<T>(), p,
                            static_cast<double>(p.n), "rows", [p](const auto& arm) { return prepare<T>(arm, p); });
}

const bool registered = hocket::bench::register_operation([] {
  add_arms<float>();
  add_arms<double>();
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
