// Every arm of kernels/low_rank on one thread: what LoRA adds to a block of rows, with dropout and without.
#include <cmath>
#include <memory>
#include <vector>

#include <hocket/kernels/low_rank/arms.hpp>

#include "bench/support/bench.hpp"

namespace {

namespace low_rank = hocket::kernels::low_rank;
using hocket::bench::ready;

template <class T>
struct operands {
  explicit operands(const low_rank::problem& p)
      : x(hocket::bench::normal_values<T>(p.rows * p.in, 1)),
        a(hocket::bench::normal_values<T>(p.rank * p.in, 2)),
        du(hocket::bench::normal_values<T>(p.rows * p.rank, 3)),
        u(p.rows * p.rank),
        da(p.rank * p.in),
        dx(p.rows * p.in),
        bits(p.rows * low_rank::mask_bytes(p.in)) {
    if (p.dropout == 0) return;
    const auto drop = low_rank::make_dropout(p.dropout, 1, 2);
    keep = {bits.data(), low_rank::mask_bytes(p.in), drop.scale};
    low_rank::make_masks(drop, p.in, 0, p.rows, bits.data(), keep.apart);
  }
  const std::vector<T> x, a, du;
  std::vector<T> u, da, dx;
  std::vector<std::byte> bits;
  low_rank::kept_elements keep;
};

template <class T>
ready prepare(const low_rank::low_rank_arm<T>& arm, const low_rank::problem& p) {
  namespace reference = low_rank::reference;
  using W = reference::wide<T>;
  const auto with = std::make_shared<operands<T>>(p);
  const auto taken = [&](std::vector<T> values) {
    low_rank::round_operands<T>(arm, values);
    return values;
  };
  const std::vector<T> of_x = taken(with->x), of_a = taken(with->a), of_du = taken(with->du);
  const hocket::view<const T, 2> x{of_x.data(), {p.rows, p.in}}, a{of_a.data(), {p.rank, p.in}},
      du{of_du.data(), {p.rows, p.rank}};
  ready made;
  const auto check = [&](const std::vector<T>& got, std::size_t columns, auto&& wanted) {
    for (std::size_t i = 0; i < got.size(); ++i) {
      const reference::element<T> sum = wanted(i / columns, i % columns);
      made.check.add(static_cast<double>(std::abs(static_cast<W>(got[i]) - sum.value)),
                     hocket::rounding<T>(arm.promise(p) * static_cast<double>(sum.magnitude)));
    }
  };
  switch (p.which) {
    case low_rank::product::project:
      made.run = [=] {
        arm.run.project(p.rows, p.in, with->x.data(), p.in, with->keep, p.rank, with->a.data(), p.in, with->u.data(),
                        p.rank);
      };
      made.run();
      check(with->u, p.rank,
            [&](std::size_t r, std::size_t j) { return reference::project<T>(x, with->keep, a, r, j); });
      break;
    case low_rank::product::outer:
      made.run = [=] {
        arm.run.add_outer(p.rows, p.rank, with->du.data(), p.rank, p.in, with->x.data(), p.in, with->keep,
                          with->da.data(), p.in);
      };
      made.run();
      check(with->da, p.in, [&](std::size_t i, std::size_t c) { return reference::outer<T>(du, x, with->keep, i, c); });
      break;
    case low_rank::product::back:
      made.run = [=] {
        arm.run.add_back(p.rows, p.rank, with->du.data(), p.rank, p.in, with->a.data(), p.in, with->keep,
                         with->dx.data(), p.in);
      };
      made.run();
      check(with->dx, p.in, [&](std::size_t r, std::size_t c) { return reference::back<T>(du, a, with->keep, r, c); });
      break;
  }
  return made;
}

template <class T>
void add_arms(const std::string& shape, const low_rank::problem& p) {
  hocket::bench::add_arms("low_rank", shape, low_rank::arms<T>(), p, static_cast<double>(p.rows), "rows",
                          [p](const auto& arm) { return prepare<T>(arm, p); });
}

const bool registered = hocket::bench::register_operation([] {
  using enum low_rank::product;
  for (const std::size_t in : {384U, 1536U})
    for (const std::size_t rank : {8U, 32U})
      for (const auto which : {project, outer, back})
        for (const double dropout : {0.0, 0.1}) {
          const low_rank::problem p{256, in, rank, which, dropout};
          const std::string shape = hocket::text("rows=256/in=", in, "/rank=", rank, "/", hocket::name_of(which),
                                                 dropout > 0 ? "/dropped" : "");
          add_arms<float>(shape, p);
          add_arms<double>(shape, p);
        }
});

}  // namespace
