// Every arm of kernels/centre and the CUDA kernels: the passes of a PCA over its data that are not products, limited by
// memory.
#include <cmath>
#include <memory>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/kernels/centre/arms.hpp>
#include <hocket/kernels/centre/reference.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/cuda.hpp"

namespace {

namespace centre = hocket::kernels::centre;
using centre::pass;
using hocket::bench::ready;

/// What all passes read and write: x (rows, columns), a centre for each column, and room for either result.
template <class T>
struct data {
  explicit data(const centre::problem& p)
      : x(hocket::bench::normal_values<T>(p.rows * p.columns, 1)),
        high(hocket::bench::normal_values<T>(p.columns, 2)),
        low(p.columns, T(0)),
        out(p.which == pass::subtract ? p.rows * p.columns : 0),
        sums(p.which == pass::add ? p.rows * p.columns : p.columns) {}
  std::vector<T> x, high, low, out;
  std::vector<double> sums;
  double square = 0;
};

template <class T>
void run(const centre::centre_arm<T>& arm, const centre::problem& p, data<T>& d) {
  switch (p.which) {
    case pass::column_sums:
      return arm.run.column_sums(p.rows, p.columns, d.x.data(), p.columns, d.high.data(), d.sums.data());
    case pass::subtract:
      return arm.run.subtract(p.rows, p.columns, d.x.data(), p.columns, d.high.data(), d.low.data(), d.out.data(),
                              p.columns);
    case pass::squares: d.square = arm.run.squares(p.rows, p.columns, d.x.data(), p.columns); return;
    case pass::add: return arm.run.add(p.rows, p.columns, d.x.data(), p.columns, d.sums.data(), p.columns);
  }
}

/// The first run, whose sums start at zero, against the reference.
template <class T>
hocket::comparison check(const centre::centre_arm<T>& arm, const centre::problem& p, const data<T>& d) {
  const std::size_t all = p.rows * p.columns;
  hocket::comparison result;
  const auto add = [&](double ours, long double wanted, double magnitude) {
    result.add(static_cast<double>(std::abs(static_cast<long double>(ours) - wanted)),
               arm.promise(p) * hocket::rounding<T>(magnitude));
  };
  const auto value = [&](std::size_t e) { return static_cast<double>(d.x[e]); };
  const auto high = [&](std::size_t e) { return static_cast<double>(d.high[e % p.columns]); };
  std::vector<long double> wanted(p.which == pass::column_sums ? p.columns : all);
  switch (p.which) {
    case pass::column_sums: {
      std::vector<double> sizes(p.columns);
      for (std::size_t e = 0; e < all; ++e) sizes[e % p.columns] += std::abs(value(e) - high(e));
      centre::reference_column_sums<T>(p.rows, p.columns, d.x.data(), p.columns, d.high.data(), wanted.data());
      for (std::size_t j = 0; j < p.columns; ++j) add(d.sums[j], wanted[j], sizes[j]);
      break;
    }
    case pass::subtract:
      centre::reference_subtract<T>(p.rows, p.columns, d.x.data(), p.columns, d.high.data(), d.low.data(),
                                    wanted.data(), p.columns);
      for (std::size_t e = 0; e < all; ++e) add(static_cast<double>(d.out[e]), wanted[e], std::abs(value(e) - high(e)));
      break;
    case pass::squares: {
      const long double sum = centre::reference_squares<T>(p.rows, p.columns, d.x.data(), p.columns);
      add(d.square, sum, static_cast<double>(sum));
      break;
    }
    case pass::add:
      centre::reference_add<T>(p.rows, p.columns, d.x.data(), p.columns, wanted.data(), p.columns);
      for (std::size_t e = 0; e < all; ++e) add(d.sums[e], wanted[e], std::abs(value(e)));
  }
  return result;
}

template <class T>
ready prepare(const centre::centre_arm<T>& arm, const centre::problem& p) {
  auto kept = std::make_shared<data<T>>(p);
  ready made;
  run(arm, p, *kept);
  made.check = check(arm, p, *kept);
  made.run = [=] { run(arm, p, *kept); };
  return made;
}

template <class T>
void add_arms() {
  struct size {
    std::size_t rows, columns;
  };
  for (const size& one : {size{240, 512}, size{2000, 512}, size{2000, 2048}})  // a tile of the PCA; beyond the caches
    for (const pass which : centre::every_pass) {
      const centre::problem p{one.rows, one.columns, which};
      hocket::bench::add_arms("centre", hocket::text(name_of(which), "/n=", p.rows, "/d=", p.columns),
                              centre::arms<T>(), p, static_cast<double>(p.rows), "rows",
                              [p](const auto& arm) { return prepare<T>(arm, p); });
    }
}

/// The CUDA kernels: column means (two kernels) beside the column sums, centring with its sum of squares.
void add_cuda() {
  for (const centre::problem& size : {centre::problem{2000, 2048}, centre::problem{65536, 1024}})
    for (const pass which : {pass::column_sums, pass::subtract}) {
      const centre::problem p{size.rows, size.columns, which};
      hocket::bench::add_cuda_arms("centre", name_of(which),
                                   hocket::text(name_of(which), "/n=", p.rows, "/d=", p.columns),
                                   {{"n", p.rows}, {"d", p.columns}}, [p](std::size_t) {
                                     return hocket::bench::cuda_work{centre::flops_of(p), centre::bytes_of<float>(p)};
                                   });
    }
}

const bool registered = hocket::bench::register_operation([] {
  add_arms<float>();
  add_arms<double>();
  add_cuda();
});

}  // namespace
