// Every arm of kernels/optimizer_step on one thread, the norm of a gradient, and the CUDA kernels: an adapter's
// weights, a head's, all of a small encoder's.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include <hocket/kernels/optimizer_step/arms.hpp>
#include <hocket/kernels/optimizer_step/reference.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/cuda.hpp"

namespace {

namespace steps = hocket::kernels::optimizer_step;
using hocket::bench::ready;

template <class T>
struct operands {
  explicit operands(std::size_t n)
      : p(hocket::bench::normal_values<T>(n, 1)), g(hocket::bench::normal_values<T>(n, 2)), m(n), v(n) {}
  std::vector<T> p, g, m, v;
};

template <class T>
ready prepare(const steps::optimizer_arm<T>& arm, const steps::problem& problem) {
  using W = steps::reference::wide<T>;
  const auto with = std::make_shared<operands<T>>(problem.n);
  // The gradient is cleared by the first run. Moments that then decayed by 0.9 a run would be subnormal before the
  // timing ends, and slow.
  const steps::sgd_settings sgd{0.01, 0.9999};
  const steps::adam_settings adam{1e-3, 0.9999};
  ready made;
  made.run = [=, n = problem.n, first = problem.which == steps::rule::sgd] {
    if (first)
      arm.run.sgd(hocket::cpu{}, sgd, n, with->p.data(), with->g.data(), with->m.data(), true);
    else
      arm.run.adam(hocket::cpu{}, adam, n, with->p.data(), with->g.data(), with->m.data(), with->v.data(), true);
  };
  std::vector<W> p(with->p.begin(), with->p.end()), m(problem.n), v(problem.n);
  if (problem.which == steps::rule::sgd)
    steps::reference::sgd<T>(sgd, problem.n, with->g.data(), p.data(), m.data());
  else
    steps::reference::adam<T>(adam, problem.n, with->g.data(), p.data(), m.data(), v.data());
  made.run();
  for (std::size_t i = 0; i < problem.n; ++i)
    made.check.add(std::abs(static_cast<double>(static_cast<W>(with->p[i]) - p[i])),
                   hocket::rounding<T>(arm.promise(problem) * (std::abs(static_cast<double>(p[i])) + 1)));
  return made;
}

template <class T>
void add_arms(const std::string& shape, const steps::problem& p) {
  hocket::bench::add_arms("optimizer_step", shape, steps::arms<T>(), p, static_cast<double>(p.n), "weights",
                          [p](const auto& arm) { return prepare<T>(arm, p); });
}

const bool registered = hocket::bench::register_operation([] {
  for (const std::size_t n : {std::size_t{73'728}, std::size_t{1'000'000}, std::size_t{22'713'216}}) {
    for (const auto which : {steps::rule::sgd, steps::rule::adam}) {
      const steps::problem p{n, which};
      const bool sgd = which == steps::rule::sgd;
      const std::string shape = hocket::text("n=", n, sgd ? "/sgd" : "/adam");
      add_arms<float>(shape, p);
      add_arms<double>(shape, p);
      hocket::bench::add_cuda_arms("optimizer_step", sgd ? "sgd" : "adam", shape, {{"n", n}}, [p](std::size_t element) {
        return hocket::bench::cuda_work{steps::flops_of(p), steps::bytes_of(p, element), static_cast<double>(p.n),
                                        "weights"};
      });
    }
    hocket::bench::add_cuda_arms(
        "optimizer_step", "squares", hocket::text("n=", n, "/squares"), {{"n", n}}, [n](std::size_t element) {
          return hocket::bench::cuda_work{2 * static_cast<double>(n), static_cast<double>(n * element),
                                          static_cast<double>(n), "weights"};
        });
  }
});

}  // namespace
