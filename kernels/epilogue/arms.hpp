// The arms of this room. Only tests and bench include it. Magnitudes of the promises: for an element of y, |x| + |bias|
// + |residual| + 1; for du max |dy|.
#pragma once

#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/kernels/epilogue/cpu.hpp>
#include <hocket/kernels/epilogue/shape.hpp>

namespace hocket::kernels::epilogue {

using hocket::pass;

/// What an arm is asked to do.
struct problem {
  shape size;
  pass which = pass::forward;
};

template <Real T>
struct passes {
  void (*forward)(const cpu&, const view<const T, 2>& x, const view<const T, 1>& bias, const view<const T, 2>& residual,
                  const view<T, 2>& y, activation, const dropout&, const view<T, 2>& u) noexcept;
  void (*backward)(const cpu&, const view<const T, 2>& dy, const view<const T, 2>& u, const view<T, 2>& du,
                   const view<T, 1>& dbias, bool add_to_dbias, T* work, activation, const dropout&) noexcept;
};
template <Real T>
using epilogue_arm = arm<problem, passes<T>>;

inline bool any_problem(const problem&) { return true; }
inline double promise_of(const problem& p) {
  return p.which == pass::forward ? promise_forward(p.size) : promise_backward(p.size);
}
inline double flops_of(const problem& p) {
  return p.which == pass::forward ? flops_forward(p.size) : flops_backward(p.size);
}
/// x, residual, u and y; dy, u and du.
inline double bytes_of(const problem& p, std::size_t element) {
  return (p.which == pass::forward ? 4.0 : 3.0) * static_cast<double>(p.size.rows * p.size.columns * element);
}
template <Real T>
double dense_bytes(const problem& p) {
  return bytes_of(p, sizeof(T));
}

/// Every arm for T.
template <Real T>
std::vector<epilogue_arm<T>> arms() {
  return {{"own",
           backend::cpu,
           dtype_of<T>,
           &any_problem,
           &promise_of,
           &flops_of,
           &dense_bytes<T>,
           {&forward<T>, &backward<T>}}};
}

}  // namespace hocket::kernels::epilogue
