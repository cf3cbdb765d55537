// The arms of this room on the CPU; the kernels of cuda.cuh are listed in docs/kernels.json. Only tests and bench
// include it.
//
// Magnitudes of the promises: 1 for the forward pass (a probability), max |dy| for the backward pass.
#pragma once

#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/kernels/softmax/cpu.hpp>
#include <hocket/kernels/softmax/shape.hpp>

namespace hocket::kernels::softmax {

using hocket::pass;

/// What an arm is asked to do.
struct problem {
  shape size;
  pass which = pass::forward;
};

/// Both passes of an arm.
template <Real T>
struct passes {
  void (*forward)(const view<const T, 2>& x, const view<T, 2>& y, const cpu&) noexcept;
  void (*backward)(const view<const T, 2>& y, const view<const T, 2>& dy, const view<T, 2>& dx, const cpu&) noexcept;
};
template <Real T>
using softmax_arm = arm<problem, passes<T>>;

inline bool any_problem(const problem&) { return true; }
inline double promise_of(const problem& p) {
  return p.which == pass::forward ? promise_forward(p.size) : promise_backward(p.size);
}
inline double flops_of(const problem& p) {
  return p.which == pass::forward ? flops_forward(p.size) : flops_backward(p.size);
}
/// x read and y written; y and dy read and dx written. `element` bytes each.
inline double bytes_of(const problem& p, std::size_t element) {
  return (p.which == pass::forward ? 2.0 : 3.0) * static_cast<double>(p.size.rows * p.size.columns * element);
}
template <Real T>
double dense_bytes(const problem& p) {
  return bytes_of(p, sizeof(T));
}

/// Every arm for T.
template <Real T>
std::vector<softmax_arm<T>> arms() {
  return {{"own",
           backend::cpu,
           dtype_of<T>,
           &any_problem,
           &promise_of,
           &flops_of,
           &dense_bytes<T>,
           {&forward<T>, &backward<T>}}};
}

}  // namespace hocket::kernels::softmax
