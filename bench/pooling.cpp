// Every arm of kernels/pooling on one thread, and the CUDA kernels: the sentences of a batch.
#include <cmath>
#include <memory>
#include <vector>

#include <hocket/kernels/pooling/arms.hpp>
#include <hocket/kernels/pooling/reference.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/cuda.hpp"

namespace {

namespace pooling = hocket::kernels::pooling;
using hocket::bench::ready;
using pooling::pool;

/// Items of one length, one after the other.
template <class T>
struct operands {
  explicit operands(const pooling::shape& s)
      : wide{s.rows, s.columns},
        small{s.items, s.columns},
        x(hocket::bench::normal_values<T>(s.rows * s.columns, 1)),
        dx(x.size()),
        dy(hocket::bench::normal_values<T>(s.items * s.columns, 2)),
        y(dy.size()),
        lengths(s.items, static_cast<std::uint32_t>(s.rows / s.items)) {
    for (std::size_t b = 0; b < s.items; ++b) starts.push_back(static_cast<std::uint32_t>(b) * lengths[0]);
  }
  pooling::ragged at() const { return {starts, lengths}; }
  hocket::shape<2> wide, small;
  const std::vector<T> x;
  std::vector<T> dx;
  const std::vector<T> dy;
  std::vector<T> y;
  std::vector<std::uint32_t> lengths, starts;
};

template <class T>
ready prepare(const pooling::pooling_arm<T>& arm, const pooling::problem& p) {
  using W = pooling::reference::wide<T>;
  const auto with = std::make_shared<operands<T>>(p.size);
  const bool first = p.which == pooling::pass::forward;
  ready made;
  std::vector<W> wanted(first ? with->y.size() : with->dx.size());
  if (first) {
    made.run = [=] {
      arm.run.forward(hocket::cpu{}, pool::mean, with->at(), {with->x.data(), with->wide},
                      {with->y.data(), with->small});
    };
    pooling::reference::forward<T>(pool::mean, with->at(), {with->x.data(), with->wide}, {wanted.data(), with->small});
  } else {
    made.run = [=] {
      arm.run.backward(hocket::cpu{}, pool::mean, with->at(), {with->dy.data(), with->small}, false,
                       {with->dx.data(), with->wide});
    };
    pooling::reference::backward<T>(pool::mean, with->at(), {with->dy.data(), with->small},
                                    {wanted.data(), with->wide});
  }
  made.run();
  const double largest =
      first ? hocket::max_abs(with->x.data(), with->x.size()) : hocket::max_abs(with->dy.data(), with->dy.size());
  const std::vector<T>& ours = first ? with->y : with->dx;
  for (std::size_t i = 0; i < wanted.size(); ++i)
    made.check.add(std::abs(static_cast<double>(static_cast<W>(ours[i]) - wanted[i])),
                   hocket::rounding<T>(arm.promise(p) * largest));
  return made;
}

template <class T>
void add_arms(const std::string& shape, const pooling::problem& p) {
  hocket::bench::add_arms("pooling", shape, pooling::arms<T>(), p, static_cast<double>(p.size.rows), "rows",
                          [p](const auto& arm) { return prepare<T>(arm, p); });
}

const bool registered = hocket::bench::register_operation([] {
  for (const pooling::shape& size : {pooling::shape{32, 2048, 384}, {8, 4096, 768}, {1024, 16384, 384}})
    for (const auto which : {pooling::pass::forward, pooling::pass::backward}) {
      const pooling::problem p{size, which};
      const bool first = which == pooling::pass::forward;
      const std::string shape = hocket::text("items=", size.items, "/rows=", size.rows, "/columns=", size.columns,
                                             first ? "/forward" : "/backward");
      add_arms<float>(shape, p);
      add_arms<double>(shape, p);
      hocket::bench::add_cuda_arms("pooling", first ? "forward" : "backward", shape,
                                   {{"items", size.items},
                                    {"longest", size.rows / size.items},
                                    {"columns", size.columns},
                                    {"mean", 1},
                                    {"ragged", 0}},
                                   [p](std::size_t element) {
                                     return hocket::bench::cuda_work{pooling::flops_of(p),
                                                                     pooling::bytes_of(p, element),
                                                                     static_cast<double>(p.size.rows), "rows"};
                                   });
    }
});

}  // namespace
