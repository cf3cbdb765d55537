// Every arm of kernels/pointwise_loss on one thread, and the CUDA kernels: a head's outputs, a batch of targets.
#include <cmath>
#include <memory>
#include <vector>

#include <hocket/kernels/pointwise_loss/arms.hpp>
#include <hocket/kernels/pointwise_loss/reference.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/cuda.hpp"

namespace {

namespace pointwise = hocket::kernels::pointwise_loss;
using hocket::bench::ready;
using pointwise::loss;

template <class T>
struct operands {
  explicit operands(const pointwise::shape& s)
      : size{s.rows, s.columns},
        x(hocket::bench::normal_values<T>(s.rows * s.columns, 1)),
        t(hocket::bench::normal_values<T>(s.rows * s.columns, 2)),
        dx(x.size()) {
    for (T& each : t) each = each > 0 ? T(1) : T(0);
  }
  hocket::shape<2> size;
  const std::vector<T> x;
  std::vector<T> t, dx;
  double total = 0;
};

template <class T>
ready prepare(const pointwise::pointwise_loss_arm<T>& arm, const pointwise::problem& p, loss kind) {
  using W = pointwise::reference::wide<T>;
  const auto with = std::make_shared<operands<T>>(p.size);
  const hocket::view<const T, 2> x(with->x.data(), with->size), t(with->t.data(), with->size);
  const bool first = p.which == pointwise::pass::forward;
  ready made;
  made.run = [=] {
    if (first)
      with->total = arm.run.forward(kind, x, t);
    else
      arm.run.backward(kind, x, t, T(1), false, false, {with->dx.data(), with->size});
  };
  made.run();
  double magnitude = 0;
  for (std::size_t i = 0; i < with->x.size(); ++i) {
    const double size = 1 + std::abs(static_cast<double>(with->x[i])) + static_cast<double>(with->t[i]);
    magnitude += size * size;
    if (!first)
      made.check.add(std::abs(static_cast<double>(static_cast<W>(with->dx[i]) -
                                                  pointwise::reference::slope_of<T>(kind, with->x[i], with->t[i]))),
                     hocket::rounding<T>(arm.promise(p) * size));
  }
  if (first)
    made.check.add(
        std::abs(static_cast<double>(static_cast<W>(with->total) - pointwise::reference::forward<T>(kind, x, t))),
        hocket::rounding<T>(arm.promise(p) * magnitude));
  return made;
}

const bool registered = hocket::bench::register_operation([] {
  for (const pointwise::shape& size : {pointwise::shape{32, 384}, {4096, 384}})
    for (const loss kind : {loss::squared, loss::logistic})
      for (const auto which : {pointwise::pass::forward, pointwise::pass::backward}) {
        const pointwise::problem p{size, which};
        const bool first = which == pointwise::pass::forward;
        const std::string shape = hocket::text("rows=", size.rows, "/columns=", size.columns, "/",
                                               hocket::name_of(kind), first ? "/forward" : "/backward");
        const auto add = [&](auto type) {
          using T = decltype(type);
          hocket::bench::add_arms("pointwise_loss", shape, pointwise::arms<T>(), p, static_cast<double>(size.rows),
                                  "rows", [p, kind](const auto& arm) { return prepare<T>(arm, p, kind); });
        };
        add(0.0f);
        add(0.0);
        hocket::bench::add_cuda_arms(
            "pointwise_loss", first ? "forward" : "backward", shape,
            {{"rows", size.rows}, {"columns", size.columns}, {"kind", static_cast<std::size_t>(kind)}},
            [p](std::size_t element) {
              return hocket::bench::cuda_work{pointwise::flops_of(p), pointwise::bytes_of(p, element),
                                              static_cast<double>(p.size.rows), "rows"};
            });
      }
});

}  // namespace
