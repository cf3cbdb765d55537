// Every arm of kernels/layernorm on one thread, and the CUDA kernels: rows as wide as transformers are.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/kernels/layernorm/arms.hpp>
#include <hocket/kernels/layernorm/reference.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/cuda.hpp"

namespace {

namespace layernorm = hocket::kernels::layernorm;
using hocket::bench::ready;
using layernorm::norm;
using layernorm::pass;

constexpr double eps = 1e-5;

/// Everything that one arm reads and writes.
template <class T>
struct operands {
  explicit operands(const layernorm::shape& s)
      : size{s.rows, s.columns},
        x(hocket::bench::normal_values<T>(s.rows * s.columns, 1)),
        dy(hocket::bench::normal_values<T>(s.rows * s.columns, 2)),
        gain(hocket::bench::normal_values<T>(s.columns, 3)),
        bias(hocket::bench::normal_values<T>(s.columns, 4)),
        y(x.size()),
        dx(x.size()),
        mean(s.rows),
        inverse_sd(s.rows),
        dgain(s.columns),
        dbias(s.columns),
        work(layernorm::workspace_size(s)) {}
  hocket::view<const T, 2> in(const std::vector<T>& v) const { return {v.data(), size}; }
  layernorm::kept<T> keep() { return {hocket::make_view(mean), hocket::make_view(inverse_sd)}; }
  hocket::shape<2> size;
  const std::vector<T> x, dy, gain, bias;
  std::vector<T> y, dx, mean, inverse_sd, dgain, dbias, work;
};

template <class T>
ready prepare(const layernorm::norm_arm<T>& arm, const layernorm::problem& p) {
  const auto with = std::make_shared<operands<T>>(p.size);
  const auto passes = arm.run;
  const auto forward = [=, kind = p.kind] {
    passes.forward(kind, with->in(with->x), hocket::make_view(with->gain), hocket::make_view(with->bias), T(eps),
                   {with->y.data(), with->size}, with->keep(), hocket::cpu{});
  };
  const auto backward = [=, kind = p.kind] {
    passes.backward(kind, with->in(with->x), hocket::make_view(with->gain), with->in(with->dy), with->keep(),
                    {with->dx.data(), with->size}, hocket::make_view(with->dgain), hocket::make_view(with->dbias),
                    with->work.data(), hocket::cpu{});
  };
  const bool first = p.which == pass::forward;
  forward();
  if (!first) backward();
  const std::size_t n = with->x.size();
  std::vector<double> wanted(n), dgain(p.size.columns), dbias(p.size.columns);
  if (first)
    layernorm::reference::forward<T, T>(p.kind, with->in(with->x), hocket::make_view(with->gain),
                                        hocket::make_view(with->bias), static_cast<double>(T(eps)),
                                        {wanted.data(), with->size});
  else
    layernorm::reference::backward<T, T>(p.kind, with->in(with->x), hocket::make_view(with->gain), with->in(with->dy),
                                         static_cast<double>(T(eps)), {wanted.data(), with->size},
                                         hocket::make_view(dgain), hocket::make_view(dbias));
  // In f64 the reference's own sums, in index order, are as far off as ours.
  const double own = std::is_same_v<T, double> ? static_cast<double>(p.size.columns) / 2 : 0;
  const double g = hocket::max_abs(with->gain.data(), with->gain.size());
  const double b = p.kind == norm::layer ? hocket::max_abs(with->bias.data(), with->bias.size()) : 0;
  const double d = hocket::max_abs(with->dy.data(), n);
  ready made;
  for (std::size_t r = 0; r < p.size.rows; ++r) {
    const auto facts = layernorm::reference::facts_of<T>(p.kind, with->in(with->x)[r], static_cast<double>(T(eps)));
    double peak = 0;
    for (const T v : with->in(with->x)[r]) peak = std::max(peak, std::abs(static_cast<double>(v)));
    const double spread = std::max(peak * facts.inverse_sd, 1.0);
    const double magnitude = first ? spread * g + b : spread * g * d * facts.inverse_sd;
    for (std::size_t i = r * p.size.columns; i < (r + 1) * p.size.columns; ++i)
      made.check.add(std::abs(static_cast<double>(first ? with->y[i] : with->dx[i]) - wanted[i]),
                     hocket::rounding<T>((arm.promise(p) + own) * magnitude));
  }
  made.run = first ? std::function<void()>(forward) : backward;
  return made;
}

std::string shape_text(const layernorm::problem& p) {
  return hocket::text("rows=", p.size.rows, "/columns=", p.size.columns, p.kind == norm::layer ? "/layer" : "/rms",
                      p.which == pass::forward ? "/forward" : "/backward");
}

template <class T>
void add_arms(const layernorm::problem& p) {
  hocket::bench::add_arms("layernorm", shape_text(p), layernorm::arms<T>(), p, static_cast<double>(p.size.rows), "rows",
                          [p](const auto& arm) { return prepare<T>(arm, p); });
}

const bool registered = hocket::bench::register_operation([] {
  for (const layernorm::shape size : {layernorm::shape{4096, 128}, {4096, 768}, {1024, 4096}})
    for (const norm kind : {norm::layer, norm::rms})
      for (const pass which : {pass::forward, pass::backward}) {
        const layernorm::problem p{size, kind, which};
        add_arms<float>(p);
        add_arms<double>(p);
        hocket::bench::add_cuda_arms(
            "layernorm",
            hocket::text(kind == norm::layer ? "" : "rmsnorm_", which == pass::forward ? "forward" : "backward"),
            shape_text(p), {{"rows", size.rows}, {"columns", size.columns}}, [p](std::size_t element) {
              return hocket::bench::cuda_work{layernorm::flops_of(p), layernorm::bytes_of(p, element)};
            });
      }
});

}  // namespace
