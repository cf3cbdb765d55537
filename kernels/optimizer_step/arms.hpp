// The arms of this room. Only tests and bench include it. Magnitudes of the promises, an element: |p| + the size of its
// change; for a moment its own terms' sizes.
#pragma once

#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/kernels/optimizer_step/cpu.hpp>

namespace hocket::kernels::optimizer_step {

enum class rule { sgd, adam };

/// What an arm is asked to do with n weights.
struct problem {
  std::size_t n = 0;
  rule which = rule::adam;
};

template <Real T>
struct passes {
  void (*sgd)(const cpu&, const sgd_settings&, std::size_t n, T* p, T* g, T* buffer, bool clear) noexcept;
  void (*adam)(const cpu&, const adam_settings&, std::size_t n, T* p, T* g, T* m, T* v, bool clear) noexcept;
};
template <Real T>
using optimizer_arm = arm<problem, passes<T>>;

inline bool any_problem(const problem&) { return true; }
/// Each of a handful of operations rounds once; a quotient of two rounded moments carries both.
inline double promise_of(const problem& p) { return p.which == rule::sgd ? 4 : 10; }
inline double flops_of(const problem& p) { return (p.which == rule::sgd ? 6.0 : 14.0) * static_cast<double>(p.n); }
/// Weights, gradient and one or two moments, read and written.
inline double bytes_of(const problem& p, std::size_t element) {
  return (p.which == rule::sgd ? 6.0 : 8.0) * static_cast<double>(p.n * element);
}
template <Real T>
double dense_bytes(const problem& p) {
  return bytes_of(p, sizeof(T));
}

/// Every arm for T.
template <Real T>
std::vector<optimizer_arm<T>> arms() {
  return {
      {"own", backend::cpu, dtype_of<T>, &any_problem, &promise_of, &flops_of, &dense_bytes<T>, {&sgd<T>, &adam<T>}}};
}

}  // namespace hocket::kernels::optimizer_step
