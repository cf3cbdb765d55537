// The arms of this room. Only tests and bench include it. Magnitudes of the promises: for an element of y the sum over
// tables of |entry|; for an element of dtable the sum over rows of |dy|.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/kernels/embedding/cpu.hpp>

namespace hocket::kernels::embedding {

using hocket::pass;

/// What an arm is asked to do. The backward pass is that of one table.
struct problem {
  shape size;
  pass which = pass::forward;
};

template <Real T>
struct passes {
  void (*forward)(const cpu&, std::span<const lookup<T>>, const view<T, 2>& y) noexcept;
  void (*backward)(const cpu&, const view<const T, 2>& dy, std::span<const std::uint32_t> ids,
                   const view<T, 2>& dtable) noexcept;
};
template <Real T>
using embedding_arm = arm<problem, passes<T>>;

inline bool any_problem(const problem&) { return true; }
/// Half a rounding a term.
inline double promise_of(const problem& p) {
  return static_cast<double>(p.which == pass::forward ? p.size.tables : p.size.rows) / 2;
}
inline double flops_of(const problem& p) {
  return static_cast<double>(p.size.rows * p.size.columns) *
         (p.which == pass::forward ? static_cast<double>(p.size.tables) - 1 : 1.0);
}
/// Rows of tables read and y written; dy read, dtable read and written.
inline double bytes_of(const problem& p, std::size_t element) {
  return static_cast<double>(p.size.rows * p.size.columns * element) *
         (p.which == pass::forward ? static_cast<double>(p.size.tables) + 1 : 3.0);
}
template <Real T>
double dense_bytes(const problem& p) {
  return bytes_of(p, sizeof(T));
}

/// Every arm for T.
template <Real T>
std::vector<embedding_arm<T>> arms() {
  return {{"own",
           backend::cpu,
           dtype_of<T>,
           &any_problem,
           &promise_of,
           &flops_of,
           &dense_bytes<T>,
           {&forward<T>, &backward<T>}}};
}

}  // namespace hocket::kernels::embedding
