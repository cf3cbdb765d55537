// Every arm of kernels/epilogue on one thread, and the CUDA kernels: the outputs of an encoder's products.
#include <memory>
#include <vector>

#include <hocket/kernels/epilogue/arms.hpp>
#include <hocket/kernels/epilogue/reference.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/cuda.hpp"

namespace {

namespace epilogue = hocket::kernels::epilogue;
using epilogue::activation;
using hocket::bench::ready;

/// Everything that one arm reads and writes.
template <class T>
struct operands {
  explicit operands(const epilogue::shape& s)
      : size{s.rows, s.columns},
        x(hocket::bench::normal_values<T>(s.rows * s.columns, 1)),
        residual(hocket::bench::normal_values<T>(s.rows * s.columns, 2)),
        bias(hocket::bench::normal_values<T>(s.columns, 3)),
        u(x.size()),
        y(x.size()),
        dbias(s.columns),
        work(epilogue::workspace_size(s.rows, s.columns)) {}
  hocket::view<const T, 2> in(const std::vector<T>& v) const { return {v.data(), size}; }
  hocket::view<T, 2> out(std::vector<T>& v) const { return {v.data(), size}; }
  hocket::shape<2> size;
  const std::vector<T> x, residual, bias;
  std::vector<T> u, y, dbias, work;
};

template <class T>
ready prepare(const epilogue::epilogue_arm<T>& arm, const epilogue::problem& p) {
  using W = epilogue::reference::wide<T>;
  const auto with = std::make_shared<operands<T>>(p.size);
  const std::size_t n = with->x.size();
  const bool first = p.which == epilogue::pass::forward;
  std::vector<W> wanted(n), wanted_bias(p.size.columns);
  ready made;
  if (first) {
    made.run = [=, s = p.size] {
      arm.run.forward(hocket::cpu{}, with->in(with->x), hocket::make_view(with->bias), with->in(with->residual),
                      with->out(with->y), s.act, s.drop, with->out(with->u));
    };
    epilogue::reference::forward<T>(p.size, with->in(with->x), hocket::make_view(with->bias), with->in(with->residual),
                                    {wanted.data(), with->size});
  } else {  // x stands for dy, residual for u
    made.run = [=, s = p.size] {
      arm.run.backward(hocket::cpu{}, with->in(with->x), with->in(with->residual), with->out(with->y),
                       hocket::make_view(with->dbias), false, with->work.data(), s.act, s.drop);
    };
    epilogue::reference::backward<T>(p.size, with->in(with->x), with->in(with->residual), {wanted.data(), with->size},
                                     hocket::make_view(wanted_bias));
  }
  made.run();
  const double largest = hocket::max_abs(with->x.data(), n);
  for (std::size_t i = 0; i < n; ++i) {
    const double magnitude = first ? std::abs(static_cast<double>(with->x[i])) + 1 +
                                         std::abs(static_cast<double>(with->residual[i])) +
                                         std::abs(static_cast<double>(with->bias[i % p.size.columns]))
                                   : largest;
    made.check.add(std::abs(static_cast<double>(static_cast<W>(with->y[i]) - wanted[i])),
                   hocket::rounding<T>(arm.promise(p) * magnitude));
  }
  const double rows = static_cast<double>(p.size.rows);
  for (std::size_t c = 0; !first && c < p.size.columns; ++c)
    made.check.add(std::abs(static_cast<double>(static_cast<W>(with->dbias[c]) - wanted_bias[c])),
                   hocket::rounding<T>((arm.promise(p) + rows) * largest * p.size.drop.scale * rows));
  return made;
}

template <class T>
void add_arms(const std::string& shape, const epilogue::problem& p) {
  hocket::bench::add_arms("epilogue", shape, epilogue::arms<T>(), p, static_cast<double>(p.size.rows), "rows",
                          [p](const auto& arm) { return prepare<T>(arm, p); });
}

const bool registered = hocket::bench::register_operation([] {
  struct axis {
    std::size_t columns;
    activation act;
    std::size_t percent;
  };
  for (const axis a : {axis{384, activation::none, 0}, axis{384, activation::none, 10}, axis{1536, activation::gelu, 0},
                       axis{3072, activation::gelu, 10}})
    for (const auto which : {epilogue::pass::forward, epilogue::pass::backward}) {
      const bool first = which == epilogue::pass::forward;
      const epilogue::problem p{
          {2048, a.columns, a.act, epilogue::make_dropout(static_cast<double>(a.percent) / 100, 1, 2)}, which};
      const std::string shape = hocket::text("rows=", p.size.rows, "/columns=", a.columns, "/", hocket::name_of(a.act),
                                             "/dropout=", a.percent, "%", first ? "/forward" : "/backward");
      add_arms<float>(shape, p);
      add_arms<double>(shape, p);
      hocket::bench::add_cuda_arms("epilogue", first ? "forward" : "backward", shape,
                                   {{"rows", p.size.rows},
                                    {"columns", a.columns},
                                    {"act", static_cast<std::size_t>(a.act)},
                                    {"percent", a.percent}},
                                   [p](std::size_t element) {
                                     return hocket::bench::cuda_work{epilogue::flops_of(p),
                                                                     epilogue::bytes_of(p, element),
                                                                     static_cast<double>(p.size.rows), "rows"};
                                   });
    }
});

}  // namespace
