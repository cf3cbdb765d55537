// L-BFGS with a strong-Wolfe line search: Nocedal & Wright, "Numerical Optimization", 2nd edition, algorithms 7.4, 7.5,
// 3.5 and 3.6, with the cubic interpolation of eq. 3.59. Deterministic: the same function values give the same steps.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/core/error.hpp>
#include <hocket/core/options.hpp>
#include <hocket/core/view.hpp>

namespace hocket::nn {

struct lbfgs_options {
  std::size_t memory = 10;
  std::size_t max_iterations = 1000;
  double tolerance = 1e-8;
  double sufficient_decrease = 1e-4;
  double curvature = 0.9;
  std::size_t max_line_evaluations = 40;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("memory", self.memory, "pairs of steps and gradient changes that model the curvature");
    visit("max_iterations", self.max_iterations, "line searches at most");
    visit("tolerance", self.tolerance, "stop when the largest |gradient| is at most this");
    visit("sufficient_decrease", self.sufficient_decrease, "c1 of the Wolfe conditions, 0 < c1 < c2");
    visit("curvature", self.curvature, "c2 of the Wolfe conditions, c1 < c2 < 1");
    visit("max_line_evaluations", self.max_line_evaluations, "function evaluations of one line search at most");
  }
};

enum class lbfgs_stop { converged, no_progress, max_iterations };

struct lbfgs_result {
  double value = 0;
  double largest_gradient = 0;
  std::size_t iterations = 0;
  std::size_t evaluations = 0;
  lbfgs_stop stop = lbfgs_stop::max_iterations;  ///< no_progress: the line search is at the limit of rounding
};

/// A smooth function: writes its gradient at x and returns its value.
template <class F>
concept Objective = requires(F& f, view<const double, 1> x, view<double, 1> gradient) {
  { f(x, gradient) } -> std::convertible_to<double>;
};

namespace detail {

inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

inline double largest_magnitude(const std::vector<double>& a) {
  double largest = 0;
  for (const double value : a) largest = std::max(largest, std::abs(value));
  return largest;
}

/// One point on the ray x + step * direction.
struct line_point {
  double step = 0, value = 0, slope = 0;
};

/// Minimum of the cubic through both values and slopes, kept inside the middle 80 % of the bracket; its middle when the
/// cubic has none.
inline double interpolate(const line_point& a, const line_point& b) {
  const double low = std::min(a.step, b.step), high = std::max(a.step, b.step);
  const double d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step);
  const double radicand = d1 * d1 - a.slope * b.slope;
  double step = (low + high) / 2;
  if (radicand >= 0) {
    const double d2 = std::copysign(std::sqrt(radicand), b.step - a.step);
    const double candidate = b.step - (b.step - a.step) * (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2);
    if (std::isfinite(candidate)) step = candidate;
  }
  const double margin = 0.1 * (high - low);
  return std::clamp(step, low + margin, high - margin);
}

/// Finds a step that satisfies the strong Wolfe conditions. `evaluate(step)` returns the point and leaves its gradient
/// where the caller reads it. Returns false, at the last step tried, when rounding leaves nothing to gain.
template <class Evaluate>
bool wolfe_search(const line_point& start, line_point& current, const lbfgs_options& options, Evaluate&& evaluate) {
  // Near the optimum the decrease drowns in the rounding of the value: then the slope alone decides (Hager & Zhang's
  // approximate Wolfe condition, "A new conjugate gradient method with guaranteed descent", 2005, eq. 4.1).
  const double noise = 4 * std::numeric_limits<double>::epsilon() * std::abs(start.value);
  const auto decreases = [&](const line_point& p) {
    if (p.value <= start.value + options.sufficient_decrease * p.step * start.slope) return true;
    return p.value <= start.value + noise && p.slope <= (2 * options.sufficient_decrease - 1) * start.slope;
  };
  const auto flat = [&](const line_point& p) { return std::abs(p.slope) <= -options.curvature * start.slope; };
  line_point previous = start, low, high;
  double step = current.step;
  bool bracketed = false;
  for (std::size_t i = 0; i < options.max_line_evaluations; ++i) {
    current = evaluate(step);
    if (!std::isfinite(current.value) || !std::isfinite(current.slope)) {
      step = ((bracketed ? low.step : previous.step) + step) / 2;
      continue;
    }
    if (!bracketed) {
      if (!decreases(current) || (i > 0 && current.value > previous.value + noise)) {
        low = previous;
        high = current;
        bracketed = true;
      } else if (flat(current)) {
        return true;
      } else if (current.slope >= 0) {
        low = current;
        high = previous;
        bracketed = true;
      } else {
        previous = current;
        step *= 2;
        continue;
      }
    } else if (!decreases(current) || current.value > low.value + noise) {
      high = current;
    } else {
      if (flat(current)) return true;
      if (current.slope * (high.step - low.step) >= 0) high = low;
      low = current;
    }
    if (!(std::abs(high.step - low.step) > std::numeric_limits<double>::epsilon() * std::abs(low.step))) break;
    step = interpolate(low, high);
  }
  return false;
}

}  // namespace detail

/// Minimises f from x, which becomes the solution.
template <Objective F>
lbfgs_result minimise(F&& f, std::vector<double>& x, const lbfgs_options& options = {}) {
  expects(options.memory >= 1, errc::bad_option, "lbfgs memory is ", options.memory, "; it must be at least 1");
  expects(0 < options.sufficient_decrease && options.sufficient_decrease < options.curvature && options.curvature < 1,
          errc::bad_option, "lbfgs needs 0 < sufficient_decrease < curvature < 1, got ", options.sufficient_decrease,
          " and ", options.curvature);
  const std::size_t n = x.size();
  std::vector<double> gradient(n), trial(n), trial_gradient(n), direction(n), coefficients(options.memory);
  std::vector<std::vector<double>> steps(options.memory, std::vector<double>(n)), changes = steps;
  std::vector<double> curvature(options.memory);
  std::size_t held = 0, newest = 0;  // pairs stored, and the index of the newest

  lbfgs_result result;
  const auto evaluate = [&](const std::vector<double>& at, std::vector<double>& into) {
    ++result.evaluations;
    return static_cast<double>(f(view<const double, 1>(at.data(), {n}), view<double, 1>(into.data(), {n})));
  };
  result.value = evaluate(x, gradient);
  expects(std::isfinite(result.value), errc::bad_value, "lbfgs: the function is not finite at the starting point");
  result.largest_gradient = detail::largest_magnitude(gradient);
  while (true) {
    if (result.largest_gradient <= options.tolerance) {
      result.stop = lbfgs_stop::converged;
      return result;
    }
    if (result.iterations == options.max_iterations) {
      result.stop = lbfgs_stop::max_iterations;
      return result;
    }
    // Two-loop recursion: direction = - H gradient.
    for (std::size_t i = 0; i < n; ++i) direction[i] = -gradient[i];
    for (std::size_t back = 0; back < held; ++back) {
      const std::size_t m = (newest + options.memory - back) % options.memory;
      coefficients[m] = detail::dot(steps[m], direction) / curvature[m];
      for (std::size_t i = 0; i < n; ++i) direction[i] -= coefficients[m] * changes[m][i];
    }
    if (held > 0) {
      const double scale = curvature[newest] / detail::dot(changes[newest], changes[newest]);
      for (double& value : direction) value *= scale;
    }
    for (std::size_t back = held; back-- > 0;) {
      const std::size_t m = (newest + options.memory - back) % options.memory;
      const double correction = detail::dot(changes[m], direction) / curvature[m];
      for (std::size_t i = 0; i < n; ++i) direction[i] += (coefficients[m] - correction) * steps[m][i];
    }
    detail::line_point start{0, result.value, detail::dot(gradient, direction)};
    if (!(start.slope < 0)) {  // the memory has lost its meaning: start again from the gradient
      if (held == 0) {
        result.stop = lbfgs_stop::no_progress;
        return result;
      }
      held = 0;
      continue;
    }
    detail::line_point end;
    end.step = held > 0 ? 1.0 : std::min(1.0, 1.0 / detail::largest_magnitude(gradient));
    const bool found = detail::wolfe_search(start, end, options, [&](double step) {
      for (std::size_t i = 0; i < n; ++i) trial[i] = x[i] + step * direction[i];
      detail::line_point p{step, evaluate(trial, trial_gradient), 0};
      p.slope = detail::dot(trial_gradient, direction);
      return p;
    });
    if (!found && !(end.value < result.value)) {
      if (held > 0) {
        held = 0;
        continue;
      }
      result.stop = lbfgs_stop::no_progress;
      return result;
    }
    const std::size_t slot = held == 0 ? 0 : (newest + 1) % options.memory;
    for (std::size_t i = 0; i < n; ++i) {
      steps[slot][i] = trial[i] - x[i];
      changes[slot][i] = trial_gradient[i] - gradient[i];
    }
    curvature[slot] = detail::dot(steps[slot], changes[slot]);
    if (curvature[slot] > 0) {
      newest = slot;
      held = std::min(held + 1, options.memory);
    } else if (held == options.memory) {
      --held;  // the slot held the oldest pair
    }
    x.swap(trial);
    gradient.swap(trial_gradient);
    result.value = end.value;
    result.largest_gradient = detail::largest_magnitude(gradient);
    ++result.iterations;
  }
}

}  // namespace hocket::nn

template <>
struct hocket::enum_names<hocket::nn::lbfgs_stop> {
  using enum hocket::nn::lbfgs_stop;
  static constexpr std::array values = {std::pair{converged, std::string_view{"converged"}},
                                        std::pair{no_progress, std::string_view{"no_progress"}},
                                        std::pair{max_iterations, std::string_view{"max_iterations"}}};
};
