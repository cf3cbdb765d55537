// The arms of this room: each runs the four passes of a PCA over its data. Only tests and bench include it.
//
// Magnitudes of the promises: column_sums, for each column, the sum of |x - origin|; subtract, for each element,
// |x - high| + |low|; squares, the sum itself; add, for each element, |sum| + |x|.
#pragma once

#include <array>
#include <cstddef>
#include <limits>
#include <string_view>
#include <vector>

#include <hocket/core/arm.hpp>
#include <hocket/kernels/centre/cpu.hpp>

namespace hocket::kernels::centre {

enum class pass { column_sums, subtract, squares, add };
inline constexpr std::array every_pass = {pass::column_sums, pass::subtract, pass::squares, pass::add};

constexpr std::string_view name_of(pass which) {
  switch (which) {
    case pass::column_sums: return "column_sums";
    case pass::subtract: return "subtract";
    case pass::squares: return "squares";
    case pass::add: return "add";
  }
  return "unknown";
}

/// What an arm is asked to do with x (rows, columns).
struct problem {
  std::size_t rows = 0, columns = 0;
  pass which = pass::column_sums;
};

/// The passes of an arm; reference.hpp says what each one is.
template <Real T>
struct passes {
  void (*column_sums)(std::size_t rows, std::size_t columns, const T* x, std::size_t ldx, const T* origin,
                      double* sums) noexcept;
  void (*subtract)(std::size_t rows, std::size_t columns, const T* x, std::size_t ldx, const T* high, const T* low,
                   T* out, std::size_t ldout) noexcept;
  double (*squares)(std::size_t rows, std::size_t columns, const T* x, std::size_t ldx) noexcept;
  void (*add)(std::size_t rows, std::size_t columns, const T* x, std::size_t ldx, double* sum,
              std::size_t ldsum) noexcept;
};
template <Real T>
using centre_arm = arm<problem, passes<T>>;

inline bool any_problem(const problem&) { return true; }

/// A sum of n terms in f64 errs by at most n / 2 epsilon(f64) of the sum of their sizes, and each term by half of one;
/// one rounding in T, or two, by at most epsilon(T).
template <Real T>
double promise_of(const problem& p) {
  constexpr double f64_in_t = std::numeric_limits<double>::epsilon() / double{std::numeric_limits<T>::epsilon()};
  switch (p.which) {
    case pass::column_sums: return f64_in_t * (static_cast<double>(p.rows) / 2 + 1);
    case pass::squares: return f64_in_t * (static_cast<double>(p.rows * p.columns) / 2 + 1);
    case pass::add: return f64_in_t;
    case pass::subtract: break;
  }
  return 1;
}

/// One operation for each element when it is added, two otherwise.
inline double flops_of(const problem& p) {
  return (p.which == pass::add ? 1.0 : 2.0) * static_cast<double>(p.rows * p.columns);
}

template <Real T>
double bytes_of(const problem& p) {
  const double all = static_cast<double>(p.rows * p.columns), columns = static_cast<double>(p.columns);
  const double x = all * sizeof(T);
  switch (p.which) {
    case pass::column_sums: return x + columns * (sizeof(T) + 2 * sizeof(double));
    case pass::subtract: return 2 * x + 2 * columns * sizeof(T);
    case pass::add: return x + 2 * all * sizeof(double);
    case pass::squares: break;
  }
  return x;
}

/// Every arm for T.
template <Real T>
std::vector<centre_arm<T>> arms() {
  return {{"own",
           backend::cpu,
           dtype_of<T>,
           &any_problem,
           &promise_of<T>,
           &flops_of,
           &bytes_of<T>,
           {&column_sums<T>, &subtract<T>, &squares<T>, &add<T>}}};
}

}  // namespace hocket::kernels::centre
