// Every arm of kernels/cross_entropy on one thread, and the CUDA kernels: the classes of a head, the words of a model.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include <hocket/kernels/cross_entropy/arms.hpp>
#include <hocket/kernels/cross_entropy/reference.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/cuda.hpp"

namespace {

namespace cross_entropy = hocket::kernels::cross_entropy;
using hocket::bench::ready;

template <class T>
struct operands {
  explicit operands(const cross_entropy::shape& s)
      : size{s.rows, s.classes},
        z(hocket::bench::normal_values<T>(s.rows * s.classes, 1)),
        dz(z.size()),
        loss(s.rows),
        kept(2 * s.rows),
        labels(s.rows) {
    for (std::size_t r = 0; r < s.rows; ++r) labels[r] = static_cast<std::uint32_t>(r * 7 % s.classes);
  }
  cross_entropy::targets<T> targets() const { return {labels, {}, T(0.1)}; }
  hocket::shape<2> size;
  const std::vector<T> z;
  std::vector<T> dz, loss, kept;
  std::vector<std::uint32_t> labels;
};

template <class T>
ready prepare(const cross_entropy::cross_entropy_arm<T>& arm, const cross_entropy::problem& p) {
  using W = cross_entropy::reference::wide<T>;
  const auto with = std::make_shared<operands<T>>(p.size);
  const auto forward = [=] {
    arm.run.forward(hocket::cpu{}, {with->z.data(), with->size}, with->targets(), hocket::make_view(with->loss),
                    {with->kept.data(), {with->size[0], 2}});
  };
  const auto backward = [=] {
    arm.run.backward(hocket::cpu{}, {with->z.data(), with->size}, with->targets(),
                     {with->kept.data(), {with->size[0], 2}}, T(1), false, {with->dz.data(), with->size});
  };
  const bool first = p.which == cross_entropy::pass::forward;
  forward();
  if (!first) backward();
  std::vector<W> wanted(first ? p.size.rows : with->z.size());
  if (first)
    cross_entropy::reference::forward<T>({with->z.data(), with->size}, with->targets(), hocket::make_view(wanted));
  else
    cross_entropy::reference::backward<T>({with->z.data(), with->size}, with->targets(), T(1),
                                          {wanted.data(), with->size});
  const double magnitude = 1 + hocket::max_abs(with->z.data(), with->z.size());
  ready made;
  for (std::size_t i = 0; i < wanted.size(); ++i)
    made.check.add(std::abs(static_cast<double>(static_cast<W>(first ? with->loss[i] : with->dz[i]) - wanted[i])),
                   hocket::rounding<T>(arm.promise(p) * magnitude));
  made.run = first ? std::function<void()>(forward) : backward;
  return made;
}

template <class T>
void add_arms(const std::string& shape, const cross_entropy::problem& p) {
  hocket::bench::add_arms("cross_entropy", shape, cross_entropy::arms<T>(), p, static_cast<double>(p.size.rows), "rows",
                          [p](const auto& arm) { return prepare<T>(arm, p); });
}

const bool registered = hocket::bench::register_operation([] {
  for (const cross_entropy::shape& size : {cross_entropy::shape{32, 3}, {1024, 64}, {256, 30522}})
    for (const auto which : {cross_entropy::pass::forward, cross_entropy::pass::backward}) {
      const cross_entropy::problem p{size, which};
      const bool first = which == cross_entropy::pass::forward;
      const std::string shape =
          hocket::text("rows=", size.rows, "/classes=", size.classes, first ? "/forward" : "/backward");
      add_arms<float>(shape, p);
      add_arms<double>(shape, p);
      hocket::bench::add_cuda_arms(
          "cross_entropy", first ? "forward" : "backward", shape,
          {{"rows", size.rows}, {"classes", size.classes}, {"smoothing", 10}, {"soft", 0}}, [p](std::size_t element) {
            return hocket::bench::cuda_work{cross_entropy::flops_of(p), cross_entropy::bytes_of(p, element),
                                            static_cast<double>(p.size.rows), "rows"};
          });
    }
});

}  // namespace
