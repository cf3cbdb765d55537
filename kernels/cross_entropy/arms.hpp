// The arms of this room. Only tests and bench include it. Magnitudes of the promises: for a loss (1 + max |z|) sum |q|;
// for dz the same times the scale.
#pragma once

#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/kernels/cross_entropy/cpu.hpp>

namespace hocket::kernels::cross_entropy {

using hocket::pass;

/// What an arm is asked to do.
struct problem {
  shape size;
  pass which = pass::forward;
};

template <Real T>
struct passes {
  void (*forward)(const cpu&, const view<const T, 2>& z, const targets<T>&, const view<T, 1>& loss,
                  const view<T, 2>& kept) noexcept;
  void (*backward)(const cpu&, const view<const T, 2>& z, const targets<T>&, const view<const T, 2>& kept, T scale,
                   bool add, const view<T, 2>& dz) noexcept;
};
template <Real T>
using cross_entropy_arm = arm<problem, passes<T>>;

inline bool any_problem(const problem&) { return true; }
/// The sum of K exponentials and K products with targets: one rounding a term, and a few for each.
inline double promise_of(const problem& p) { return static_cast<double>(p.size.classes) + 6; }
inline double flops_of(const problem& p) { return 6.0 * static_cast<double>(p.size.rows * p.size.classes); }
/// z read; z read and dz written.
inline double bytes_of(const problem& p, std::size_t element) {
  return (p.which == pass::forward ? 1.0 : 2.0) * static_cast<double>(p.size.rows * p.size.classes * element);
}
template <Real T>
double dense_bytes(const problem& p) {
  return bytes_of(p, sizeof(T));
}

/// Every arm for T.
template <Real T>
std::vector<cross_entropy_arm<T>> arms() {
  return {{"own",
           backend::cpu,
           dtype_of<T>,
           &any_problem,
           &promise_of,
           &flops_of,
           &dense_bytes<T>,
           {&forward<T>, &backward<T>}}};
}

}  // namespace hocket::kernels::cross_entropy
