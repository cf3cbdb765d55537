// The arms of this room. Only tests and bench include it. Magnitudes of the promises: for an element of y the mean over
// its rows of |x|; for one of dx |dy|.
#pragma once

#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/kernels/pooling/cpu.hpp>

namespace hocket::kernels::pooling {

using hocket::pass;

/// What an arm is asked to do.
struct problem {
  shape size;
  pass which = pass::forward;
};

template <Real T>
struct passes {
  void (*forward)(const cpu&, pool, const ragged&, const view<const T, 2>& x, const view<T, 2>& y) noexcept;
  void (*backward)(const cpu&, pool, const ragged&, const view<const T, 2>& dy, bool add,
                   const view<T, 2>& dx) noexcept;
};
template <Real T>
using pooling_arm = arm<problem, passes<T>>;

inline bool any_problem(const problem&) { return true; }
/// Half a rounding a row of an item (at most all rows), one for the quotient and one for the product.
inline double promise_of(const problem& p) {
  return (p.which == pass::forward ? static_cast<double>(p.size.rows) / 2 : 0.0) + 2;
}
inline double flops_of(const problem& p) { return static_cast<double>(p.size.rows * p.size.columns); }
/// All rows, and one an item.
inline double bytes_of(const problem& p, std::size_t element) {
  return static_cast<double>((p.size.rows + p.size.items) * p.size.columns * element);
}
template <Real T>
double dense_bytes(const problem& p) {
  return bytes_of(p, sizeof(T));
}

/// Every arm for T.
template <Real T>
std::vector<pooling_arm<T>> arms() {
  return {{"own",
           backend::cpu,
           dtype_of<T>,
           &any_problem,
           &promise_of,
           &flops_of,
           &dense_bytes<T>,
           {&forward<T>, &backward<T>}}};
}

}  // namespace hocket::kernels::pooling
