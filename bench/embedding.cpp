// Every arm of kernels/embedding on one thread, and the CUDA kernels: words, places and types of an encoder.
#include <cmath>
#include <memory>
#include <span>
#include <vector>

#include <hocket/kernels/embedding/arms.hpp>
#include <hocket/kernels/embedding/reference.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/cuda.hpp"

namespace {

namespace embedding = hocket::kernels::embedding;
using hocket::bench::ready;

constexpr std::size_t words = 30522;  // of BERT's vocabulary

template <class T>
struct operands {
  explicit operands(const embedding::shape& s)
      : size{s.rows, s.columns},
        table(hocket::bench::normal_values<T>(words * s.columns, 1)),
        dy(hocket::bench::normal_values<T>(s.rows * s.columns, 2)),
        y(dy.size()),
        ids(s.tables) {
    for (std::size_t t = 0; t < s.tables; ++t) {
      hocket::philox random(3, t);
      for (std::size_t r = 0; r < s.rows; ++r)
        ids[t].push_back(r % 3 ? static_cast<std::uint32_t>(random.next_below(words)) : 7);  // one word is frequent
      tables.push_back({{table.data(), {words, s.columns}}, ids[t]});
    }
  }
  hocket::shape<2> size;
  const std::vector<T> table, dy;
  std::vector<T> y;
  std::vector<std::vector<std::uint32_t>> ids;
  std::vector<embedding::lookup<T>> tables;
};

template <class T>
ready prepare(const embedding::embedding_arm<T>& arm, const embedding::problem& p) {
  using W = embedding::reference::wide<T>;
  const auto with = std::make_shared<operands<T>>(p.size);
  ready made;
  if (p.which == embedding::pass::forward) {
    made.run = [=] { arm.run.forward(hocket::cpu{}, with->tables, {with->y.data(), with->size}); };
    made.run();
    std::vector<W> wanted(with->y.size());
    embedding::reference::forward<T>(with->tables, {wanted.data(), with->size});
    const double largest = static_cast<double>(p.size.tables) * hocket::max_abs(with->table.data(), with->table.size());
    for (std::size_t i = 0; i < wanted.size(); ++i)
      made.check.add(std::abs(static_cast<double>(static_cast<W>(with->y[i]) - wanted[i])),
                     hocket::rounding<T>(arm.promise(p) * largest));
    return made;
  }
  const auto dtable = std::make_shared<std::vector<T>>(words * p.size.columns);
  const hocket::shape<2> size{words, p.size.columns};
  made.run = [=] {
    arm.run.backward(hocket::cpu{}, {with->dy.data(), with->size}, with->ids[0], {dtable->data(), size});
  };
  made.run();
  std::vector<W> wanted(dtable->size());
  embedding::reference::backward<T>({with->dy.data(), with->size}, with->ids[0], {wanted.data(), size});
  const double most = static_cast<double>(p.size.rows) * hocket::max_abs(with->dy.data(), with->dy.size());
  for (std::size_t i = 0; i < wanted.size(); ++i)
    made.check.add(std::abs(static_cast<double>(static_cast<W>((*dtable)[i]) - wanted[i])),
                   hocket::rounding<T>(arm.promise(p) * most));
  return made;
}

template <class T>
void add_arms(const std::string& shape, const embedding::problem& p) {
  hocket::bench::add_arms("embedding", shape, embedding::arms<T>(), p, static_cast<double>(p.size.rows), "rows",
                          [p](const auto& arm) { return prepare<T>(arm, p); });
}

const bool registered = hocket::bench::register_operation([] {
  for (const embedding::shape& size : {embedding::shape{2048, 384, 3}, {512, 768, 3}, {8192, 384, 1}})
    for (const auto which : {embedding::pass::forward, embedding::pass::backward}) {
      const embedding::problem p{size, which};
      const bool first = which == embedding::pass::forward;
      const std::string shape = hocket::text("rows=", size.rows, "/columns=", size.columns, "/tables=", size.tables,
                                             first ? "/forward" : "/backward");
      add_arms<float>(shape, p);
      add_arms<double>(shape, p);
      hocket::bench::add_cuda_arms(
          "embedding", first ? "forward" : "backward", shape,
          {{"rows", size.rows}, {"columns", size.columns}, {"tables", size.tables}, {"words", words}},
          [p](std::size_t element) {
            return hocket::bench::cuda_work{embedding::flops_of(p), embedding::bytes_of(p, element),
                                            static_cast<double>(p.size.rows), "rows"};
          });
    }
});

}  // namespace
