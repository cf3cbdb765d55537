// Every arm of kernels/unit_rows on one thread, and the CUDA kernels: embeddings of sentences.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include <hocket/kernels/unit_rows/arms.hpp>
#include <hocket/kernels/unit_rows/reference.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/cuda.hpp"

namespace {

namespace unit_rows = hocket::kernels::unit_rows;
using hocket::bench::ready;

template <class T>
struct operands {
  explicit operands(const unit_rows::shape& s)
      : size{s.rows, s.columns},
        x(hocket::bench::normal_values<T>(s.rows * s.columns, 1)),
        dy(hocket::bench::normal_values<T>(s.rows * s.columns, 2)),
        y(x.size()),
        dx(x.size()),
        lengths(s.rows) {}
  hocket::shape<2> size;
  const std::vector<T> x, dy;
  std::vector<T> y, dx, lengths;
};

template <class T>
ready prepare(const unit_rows::unit_rows_arm<T>& arm, const unit_rows::problem& p) {
  using W = unit_rows::reference::wide<T>;
  const auto with = std::make_shared<operands<T>>(p.size);
  const T least = T(1e-12);
  const auto forward = [=] {
    arm.run.forward(hocket::cpu{}, {with->x.data(), with->size}, least, {with->y.data(), with->size},
                    hocket::make_view(with->lengths));
  };
  const auto backward = [=] {
    arm.run.backward(hocket::cpu{}, {with->y.data(), with->size}, hocket::make_view(std::as_const(with->lengths)),
                     least, {with->dy.data(), with->size}, false, {with->dx.data(), with->size});
  };
  const bool first = p.which == unit_rows::pass::forward;
  forward();
  if (!first) backward();
  std::vector<W> wanted(with->x.size());
  if (first)
    unit_rows::reference::forward<T>({with->x.data(), with->size}, least, {wanted.data(), with->size});
  else
    unit_rows::reference::backward<T>({with->x.data(), with->size}, least, {with->dy.data(), with->size},
                                      {wanted.data(), with->size});
  const double steepest =
      hocket::max_abs(with->dy.data(), with->dy.size()) * std::sqrt(static_cast<double>(p.size.columns));
  ready made;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const double magnitude = first ? 1 : steepest / static_cast<double>(with->lengths[i / p.size.columns]);
    made.check.add(std::abs(static_cast<double>(static_cast<W>(first ? with->y[i] : with->dx[i]) - wanted[i])),
                   hocket::rounding<T>(arm.promise(p) * magnitude));
  }
  made.run = first ? std::function<void()>(forward) : backward;
  return made;
}

template <class T>
void add_arms(const std::string& shape, const unit_rows::problem& p) {
  hocket::bench::add_arms("unit_rows", shape, unit_rows::arms<T>(), p, static_cast<double>(p.size.rows), "rows",
                          [p](const auto& arm) { return prepare<T>(arm, p); });
}

const bool registered = hocket::bench::register_operation([] {
  for (const unit_rows::shape& size : {unit_rows::shape{32, 384}, {4096, 384}, {4096, 1024}})
    for (const auto which : {unit_rows::pass::forward, unit_rows::pass::backward}) {
      const unit_rows::problem p{size, which};
      const bool first = which == unit_rows::pass::forward;
      const std::string shape =
          hocket::text("rows=", size.rows, "/columns=", size.columns, first ? "/forward" : "/backward");
      add_arms<float>(shape, p);
      add_arms<double>(shape, p);
      hocket::bench::add_cuda_arms("unit_rows", first ? "forward" : "backward", shape,
                                   {{"rows", size.rows}, {"columns", size.columns}}, [p](std::size_t element) {
                                     return hocket::bench::cuda_work{unit_rows::flops_of(p),
                                                                     unit_rows::bytes_of(p, element),
                                                                     static_cast<double>(p.size.rows), "rows"};
                                   });
    }
});

}  // namespace
