// The arms of this room on the CPU; the kernels of cuda.cuh are listed in docs/kernels.json. Only tests and bench
// include it.
//
// Magnitudes of the promises, a row: spread x max |gain| + max |bias| for y, spread x max |gain| x max |dy| / sd for
// dx, with spread = max(max |x| / sd, 1).
#pragma once

#include <string_view>
#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/kernels/layernorm/cpu.hpp>
#include <hocket/kernels/layernorm/shape.hpp>

namespace hocket::kernels::layernorm {

using hocket::pass;

/// What an arm is asked to do.
struct problem {
  shape size;
  norm kind = norm::layer;
  pass which = pass::forward;
};

/// Both passes of an arm.
template <Real T>
struct passes {
  void (*forward)(norm, const view<const T, 2>& x, const view<const T, 1>& gain, const view<const T, 1>& bias, T eps,
                  const view<T, 2>& y, const kept<T>& keep, const cpu&) noexcept;
  void (*backward)(norm, const view<const T, 2>& x, const view<const T, 1>& gain, const view<const T, 2>& dy,
                   const kept<T>& keep, const view<T, 2>& dx, const view<T, 1>& dgain, const view<T, 1>& dbias, T* work,
                   const cpu&) noexcept;
};
template <Real T>
using norm_arm = arm<problem, passes<T>>;

inline bool any_problem(const problem&) { return true; }
inline double promise_of(const problem& p) {
  return p.which == pass::forward ? promise_forward(p.size) : promise_backward(p.size);
}
inline double flops_of(const problem& p) {
  return p.which == pass::forward ? flops_forward(p.size) : flops_backward(p.size);
}
/// x read, y written; x and dy read, dx written. Parameters and row facts are counted too. `element` bytes each.
inline double bytes_of(const problem& p, std::size_t element) {
  const std::size_t all = p.size.rows * p.size.columns;
  return static_cast<double>(element * (p.which == pass::forward ? 2 * all + 2 * p.size.columns + 2 * p.size.rows
                                                                 : 3 * all + 3 * p.size.columns + 2 * p.size.rows));
}
template <Real T>
double dense_bytes(const problem& p) {
  return bytes_of(p, sizeof(T));
}

/// Every arm for T.
template <Real T>
std::vector<norm_arm<T>> arms() {
  return {{"own",
           backend::cpu,
           dtype_of<T>,
           &any_problem,
           &promise_of,
           &flops_of,
           &dense_bytes<T>,
           {&forward<T>, &backward<T>}}};
}

}  // namespace hocket::kernels::layernorm
