// Every dense solver: symmetric eigenproblems whose eigenvalues are known, at sizes a PCA meets.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/kernels/dense/arms.hpp>

#include "bench/support/bench.hpp"

namespace {

namespace dense = hocket::kernels::dense;
using hocket::bench::ready;

constexpr std::size_t leading = 32;  // eigenpairs asked for

double eigenvalue(std::size_t i) { return 1 / static_cast<double>(i + 1); }

/// H diag(1, 1/2, 1/3, ...) H with the reflector H = I - 2 v v' / v'v, as A = D - w v' - v w' in O(n^2).
std::vector<double> with_known_spectrum(std::size_t n) {
  std::vector<double> v = hocket::bench::normal_values<double>(n, 3), u(n), a(n * n);
  double square = 0, weighted = 0;
  for (const double x : v) square += x * x;
  for (std::size_t i = 0; i < n; ++i) weighted += v[i] * v[i] * eigenvalue(i);
  for (std::size_t i = 0; i < n; ++i)
    u[i] = 2 * eigenvalue(i) * v[i] / square - 2 * weighted * v[i] / (square * square);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) a[i * n + j] = (i == j ? eigenvalue(i) : 0) - u[i] * v[j] - v[i] * u[j];
  return a;
}

/// The solver destroys its matrix: a copy is part of every run, for every arm alike.
template <class T>
ready prepare(const dense::dense_arm<T>& arm, const dense::problem& p) {
  const std::size_t n = p.n, k = std::min(leading, n);
  const std::vector<double> exact = with_known_spectrum(n);
  auto kept = std::make_shared<std::vector<T>>(exact.begin(), exact.end());
  auto a = std::make_shared<hocket::buffer<T>>(n * n);
  auto values = std::make_shared<hocket::buffer<T>>(n);
  auto vectors = std::make_shared<hocket::buffer<T>>(n * n);
  auto workspace = std::make_shared<hocket::buffer<T>>(arm.run.eigen_workspace(n, k));
  auto converged = std::make_shared<bool>(true);
  ready made;
  made.run = [=, eigen = arm.run.eigen] {
    std::copy(kept->begin(), kept->end(), a->begin());
    *converged = eigen(n, k, a->data(), values->data(), vectors->data(), workspace->data());
  };
  made.run();
  const double bound = arm.promise(p) * hocket::rounding<T>(eigenvalue(0));
  made.check.add(*converged ? 0 : 1, 0);
  for (std::size_t i = 0; i < k; ++i) {
    made.check.add(std::abs(static_cast<double>((*values)[i]) - eigenvalue(i)), bound);
    for (std::size_t r = 0; r < n; ++r) {
      double product = 0;
      for (std::size_t j = 0; j < n; ++j)
        product += static_cast<double>((*kept)[r * n + j]) * static_cast<double>((*vectors)[i * n + j]);
      made.check.add(std::abs(product - static_cast<double>((*values)[i]) * static_cast<double>((*vectors)[i * n + r])),
                     bound);
    }
  }
  return made;
}

template <class T>
void add_arms() {
  for (const std::size_t n : {32u, 64u, 128u, 256u, 512u})
    for (const auto& arm : dense::arms<T>())
      if (const dense::problem p{n, n}; arm.accepts(p) && arm.run.eigen != nullptr)
        hocket::bench::subjects().push_back({"dense", hocket::text("eigen/n=", n, "/k=", std::min(leading, n)),
                                             std::string(arm.name), std::string(name_of(arm.type)), arm.flops(p),
                                             arm.bytes(p), 1, "problems", [arm, p] { return prepare<T>(arm, p); }});
}

const bool registered = hocket::bench::register_operation([] {
  add_arms<float>();
  add_arms<double>();
});

}  // namespace
