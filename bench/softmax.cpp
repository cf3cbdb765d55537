// Every arm of kernels/softmax on one thread, and the CUDA kernels: rows of attention scores, rows of a vocabulary.
#include <algorithm>
#include <memory>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/kernels/softmax/arms.hpp>
#include <hocket/kernels/softmax/reference.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/cuda.hpp"

namespace {

namespace softmax = hocket::kernels::softmax;
using hocket::bench::ready;

template <class T>
ready prepare(const softmax::softmax_arm<T>& arm, const softmax::problem& p) {
  const hocket::shape<2> size{p.size.rows, p.size.columns};
  const std::size_t n = size[0] * size[1];
  const auto x = std::make_shared<hocket::buffer<T>>(hocket::bench::aligned_normals<T>(n, 1));
  const auto dy = std::make_shared<hocket::buffer<T>>(hocket::bench::aligned_normals<T>(n, 2));
  const auto y = std::make_shared<hocket::buffer<T>>(n), dx = std::make_shared<hocket::buffer<T>>(n);
  const auto passes = arm.run;
  const auto forward = [=] { passes.forward({x->data(), size}, {y->data(), size}, hocket::cpu{}); };
  const auto backward = [=] {
    passes.backward({y->data(), size}, {dy->data(), size}, {dx->data(), size}, hocket::cpu{});
  };
  const bool first = p.which == softmax::pass::forward;
  forward();
  if (!first) backward();
  std::vector<double> wanted(n);
  if (first)
    softmax::reference::forward<T>({x->data(), size}, {wanted.data(), size});
  else
    softmax::reference::backward<T>({y->data(), size}, {dy->data(), size}, {wanted.data(), size});
  // In f64 the reference's own sums, in index order, are as far off as ours.
  const double own = std::is_same_v<T, double> ? static_cast<double>(size[1]) / 2 : 0;
  const double magnitude = first ? 1 : hocket::max_abs(dy->data(), n);
  ready made;
  made.check = hocket::compare(first ? y->data() : dx->data(), wanted.data(), n,
                               hocket::rounding<T>((arm.promise(p) + own) * magnitude));
  made.run = first ? std::function<void()>(forward) : backward;
  return made;
}

std::string shape_text(const softmax::problem& p) {
  return hocket::text("rows=", p.size.rows, "/columns=", p.size.columns,
                      p.which == softmax::pass::forward ? "/forward" : "/backward");
}

template <class T>
void add_arms(const softmax::problem& p) {
  hocket::bench::add_arms("softmax", shape_text(p), softmax::arms<T>(), p, static_cast<double>(p.size.rows), "rows",
                          [p](const auto& arm) { return prepare<T>(arm, p); });
}

const bool registered = hocket::bench::register_operation([] {
  for (const softmax::shape size : {softmax::shape{4096, 64}, {4096, 512}, {1024, 4096}, {64, 32768}})
    for (const auto which : {softmax::pass::forward, softmax::pass::backward}) {
      const softmax::problem p{size, which};
      add_arms<float>(p);
      add_arms<double>(p);
      hocket::bench::add_cuda_arms(
          "softmax", which == softmax::pass::forward ? "forward" : "backward", shape_text(p),
          {{"rows", size.rows}, {"columns", size.columns}}, [p](std::size_t element) {
            return hocket::bench::cuda_work{softmax::flops_of(p), softmax::bytes_of(p, element)};
          });
    }
});

}  // namespace
