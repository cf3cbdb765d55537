// Cepstra, mel and log-mel bands of a preset, pooled over time.
#pragma once

#include <optional>

#include "experiments/audio_features/arm.hpp"

namespace hocket::experiments::audio_features {

/// Any real feature of any preset: mean and deviation of every row.
template <Real T>
class pooled_feature final : public arm<T> {
 public:
  pooled_feature(const audio::mfcc_options& nominal, double nominal_rate, audio::feature what, double rate)
      : plan_(at_rate(nominal, nominal_rate, rate), rate, what) {}

  std::size_t size() const override { return 2 * plan_.rows(); }
  void run(const view<const T, 1>& clip, std::span<double> out) override {
    const std::size_t frames = plan_.frames(clip.extent(0));
    if (values_.size() < plan_.rows() * frames) values_ = buffer<T>(plan_.rows() * frames);
    if (!space_ || clip.extent(0) > room_) {
      space_.emplace(plan_.make_workspace(clip.extent(0)));
      room_ = clip.extent(0);
    }
    const view<T, 2> result(values_.data(), {plan_.rows(), frames});
    plan_.run(clip, result, *space_);
    pool<T>(result, out);
  }

 private:
  audio::mfcc_plan<T> plan_;
  std::optional<audio::mfcc_workspace<T>> space_;
  buffer<T> values_;
  std::size_t room_ = 0;
};

}  // namespace hocket::experiments::audio_features
