// Tolerances are derived, never typed in. Two rules:
//
//   the 2x rule     |ours - f64 reference| <= 2 x the peer's own error in the same precision (3x for gradients),
//                   with a floor of epsilon(T) x the magnitude of the values that were summed;
//   a promise       an arm promises `units` (arms.hpp): |ours - reference| <= units x epsilon(T) x magnitude.
//
// Comparisons are written so that a NaN on either side fails.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>

#include <hocket/core/error.hpp>

namespace hocket {

/// Outcome of a comparison: prints what failed worst.
struct comparison {
  bool ok = true;
  std::size_t count = 0;  ///< elements compared
  std::size_t worst = 0;  ///< index of the largest error relative to its bound
  double error = 0;       ///< |ours - reference| there
  double bound = 0;       ///< what was allowed there
  double max_abs = 0;     ///< largest |ours - reference|
  double max_units = 0;   ///< largest error in units of the bound; NaN counts as infinite
  explicit operator bool() const { return ok; }

  /// Takes in one element: error `e` against `allowed`. Infinite or NaN errors fail.
  void add(double e, double allowed) {
    const bool within = e <= allowed;  // false for NaN
    double units = allowed > 0 ? e / allowed : (e == 0 ? 0 : std::numeric_limits<double>::infinity());
    if (!(units == units)) units = std::numeric_limits<double>::infinity();
    if (count == 0 || units > max_units) {
      max_units = units;
      worst = count;
      error = e;
      bound = allowed;
    }
    if (!(e <= max_abs)) max_abs = e;
    ok = ok && within;
    ++count;
  }

  std::string message() const {
    return text(ok ? "ok" : "FAILED", ": element ", worst, " of ", count, " is off by ", error, ", allowed ", bound,
                " (", max_units, " x the bound)");
  }
};

/// epsilon of T in units of `magnitude`: the smallest error one can ask for.
template <class T>
constexpr double rounding(double magnitude) {
  return static_cast<double>(std::numeric_limits<T>::epsilon()) * magnitude;
}

/// What the 2x rule allows for one output whose peer is `peer_error` away from the reference. `factor` is 2, or 3 for
/// gradients; `magnitude` is the largest value that entered the sum.
template <class T>
constexpr double peer_bound(double peer_error, double magnitude, double factor = 2) {
  const double floor = rounding<T>(magnitude);
  const double scaled = factor * peer_error;
  return scaled > floor ? scaled : floor;
}

/// Compares ours[i] with reference[i] under one bound.
template <class A, class B>
comparison compare(const A* ours, const B* reference, std::size_t n, double bound) {
  comparison result;
  for (std::size_t i = 0; i < n; ++i)
    result.add(std::abs(static_cast<double>(ours[i]) - static_cast<double>(reference[i])), bound);
  return result;
}

/// Largest |a[i] - b[i]|; NaN if either holds one.
template <class A, class B>
double max_abs_difference(const A* a, const B* b, std::size_t n) {
  double largest = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double e = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(e <= largest)) {
      largest = e;
      if (e != e) return e;
    }
  }
  return largest;
}

/// Largest |a[i]|; NaN if a holds one.
template <class A>
double max_abs(const A* a, std::size_t n) {
  double largest = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double e = std::abs(static_cast<double>(a[i]));
    if (!(e <= largest)) {
      largest = e;
      if (e != e) return e;
    }
  }
  return largest;
}

}  // namespace hocket
