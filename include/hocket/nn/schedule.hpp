// Learning rates over a run, and when to stop it: pure functions and small states that a checkpoint can hold.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <string_view>
#include <utility>

#include <hocket/core/error.hpp>
#include <hocket/core/options.hpp>

namespace hocket::nn {

enum class decay_shape { constant, linear, cosine };

}  // namespace hocket::nn

template <>
struct hocket::enum_names<hocket::nn::decay_shape> {
  using enum hocket::nn::decay_shape;
  static constexpr std::array values = {std::pair{constant, std::string_view{"constant"}},
                                        std::pair{linear, std::string_view{"linear"}},
                                        std::pair{cosine, std::string_view{"cosine"}}};
};

namespace hocket::nn {

struct schedule_options {
  decay_shape shape = decay_shape::linear;
  std::size_t warm_up = 0;
  std::size_t total = 0;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("shape", self.shape, "constant, linear or cosine: how the rate falls after the warm-up");
    visit("warm_up", self.warm_up, "steps: the rate rises from 0 in equal parts");
    visit("total", self.total, "steps: where linear and cosine reach 0");
  }
};

/// The factor of the rate in step `step` (from 0), as transformers' schedules have it: with a warm-up the first step's
/// is 0.
inline double schedule_factor(const schedule_options& s, std::size_t step) {
  expects(s.shape == decay_shape::constant || s.total > 0, errc::bad_option, "schedule: total is 0; ",
          hocket::name_of(s.shape), " needs to know the number of steps");
  const auto number = [](std::size_t n) { return static_cast<double>(n); };
  if (step < s.warm_up) return number(step) / number(s.warm_up);
  if (s.shape == decay_shape::constant) return 1;
  if (step >= s.total) return 0;
  const double span = number(std::max<std::size_t>(1, s.total - std::min(s.total, s.warm_up)));
  if (s.shape == decay_shape::linear) return number(s.total - step) / span;
  return std::max(0.0, (1 + std::cos(std::numbers::pi * number(step - s.warm_up) / span)) / 2);
}

/// Stops a run whose validation metric has not become better for a while.
struct early_stopping {
  std::size_t patience = 3;  ///< evaluations without improvement that are waited for
  double least_gain = 0;     ///< an improvement is more than this
  bool higher_is_better = true;

  std::size_t waited = 0;
  std::size_t evaluations = 0;
  std::size_t best_evaluation = 0;  ///< from 1; 0: none yet
  double best = std::numeric_limits<double>::quiet_NaN();

  /// Takes in the metric of one evaluation; returns whether it is the best so far. A NaN is never better.
  bool add(double metric) {
    ++evaluations;
    const double gain = higher_is_better ? metric - best : best - metric;
    const bool better = best_evaluation == 0 ? metric == metric : gain > least_gain;
    if (better) {
      best = metric;
      best_evaluation = evaluations;
      waited = 0;
    } else {
      ++waited;
    }
    return better;
  }
  bool should_stop() const { return waited > patience; }
};

}  // namespace hocket::nn
