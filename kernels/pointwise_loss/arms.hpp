// The arms of this room. Only tests and bench include it. Magnitudes of the promises: for the sum of losses the sum
// over elements of (1 + |x| + |t|)^2; for a slope scale (1 + |x| + |t|).
#pragma once

#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/kernels/pointwise_loss/cpu.hpp>

namespace hocket::kernels::pointwise_loss {

using hocket::pass;

/// What an arm is asked to do.
struct problem {
  shape size;
  pass which = pass::forward;
};

template <Real T>
struct passes {
  double (*forward)(loss, const view<const T, 2>& x, const view<const T, 2>& t) noexcept;
  void (*backward)(loss, const view<const T, 2>& x, const view<const T, 2>& t, T scale, bool of_target, bool add,
                   const view<T, 2>& dx) noexcept;
};
template <Real T>
using pointwise_loss_arm = arm<problem, passes<T>>;

inline bool any_problem(const problem&) { return true; }
/// f64 inside: in f32 only the result is rounded; in f64 half a rounding a term.
template <Real T>
double promise_of(const problem& p) {
  const bool sum = dtype_of<T> == dtype::f64 && p.which == pass::forward;
  return 4 + (sum ? static_cast<double>(p.size.rows * p.size.columns) / 2 : 0.0);
}
inline double flops_of(const problem& p) { return 4.0 * static_cast<double>(p.size.rows * p.size.columns); }
inline double bytes_of(const problem& p, std::size_t element) {
  return (p.which == pass::forward ? 2.0 : 3.0) * static_cast<double>(p.size.rows * p.size.columns * element);
}
template <Real T>
double dense_bytes(const problem& p) {
  return bytes_of(p, sizeof(T));
}

/// Every arm for T.
template <Real T>
std::vector<pointwise_loss_arm<T>> arms() {
  return {{"own",
           backend::cpu,
           dtype_of<T>,
           &any_problem,
           &promise_of<T>,
           &flops_of,
           &dense_bytes<T>,
           {&forward<T>, &backward<T>}}};
}

}  // namespace hocket::kernels::pointwise_loss
