// The arms of this room. Only tests and bench include it. Magnitudes of the promises: 1 for y; for a row of dx max |dy|
// sqrt(columns) / max(|x|, least).
#pragma once

#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/kernels/unit_rows/cpu.hpp>

namespace hocket::kernels::unit_rows {

using hocket::pass;

/// What an arm is asked to do.
struct problem {
  shape size;
  pass which = pass::forward;
};

template <Real T>
struct passes {
  void (*forward)(const cpu&, const view<const T, 2>& x, T least, const view<T, 2>& y,
                  const view<T, 1>& lengths) noexcept;
  void (*backward)(const cpu&, const view<const T, 2>& y, const view<const T, 1>& lengths, T least,
                   const view<const T, 2>& dy, bool add, const view<T, 2>& dx) noexcept;
};
template <Real T>
using unit_rows_arm = arm<problem, passes<T>>;

inline bool any_problem(const problem&) { return true; }
/// Sums in f64 cost half a rounding a term there: nothing in f32, `columns` in f64; length, quotient and its use a few.
template <Real T>
double promise_of(const problem& p) {
  return 4 + (dtype_of<T> == dtype::f64 ? static_cast<double>(p.size.columns) : 0.0);
}
inline double flops_of(const problem& p) {
  return (p.which == pass::forward ? 3.0 : 5.0) * static_cast<double>(p.size.rows * p.size.columns);
}
inline double bytes_of(const problem& p, std::size_t element) {
  return (p.which == pass::forward ? 2.0 : 3.0) * static_cast<double>(p.size.rows * p.size.columns * element);
}
template <Real T>
double dense_bytes(const problem& p) {
  return bytes_of(p, sizeof(T));
}

/// Every arm for T.
template <Real T>
std::vector<unit_rows_arm<T>> arms() {
  return {{"own",
           backend::cpu,
           dtype_of<T>,
           &any_problem,
           &promise_of<T>,
           &flops_of,
           &dense_bytes<T>,
           {&forward<T>, &backward<T>}}};
}

}  // namespace hocket::kernels::unit_rows
