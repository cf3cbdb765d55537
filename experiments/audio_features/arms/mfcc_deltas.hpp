// librosa's MFCC with their first and second differences over time (Savitzky-Golay, width 9), pooled. The mean of a
// difference says next to nothing, so only its deviation is kept: 4 C values.
#pragma once

#include <hocket/audio/delta.hpp>

#include "experiments/audio_features/arm.hpp"

namespace hocket::experiments::audio_features {

template <Real T>
class mfcc_deltas final : public arm<T> {
 public:
  explicit mfcc_deltas(double rate) : plan_(at_rate(audio::presets::librosa_0_11(), 22050, rate), rate) {}

  std::size_t size() const override { return 4 * plan_.rows(); }
  void run(const view<const T, 1>& clip, std::span<double> out) override {
    const std::size_t rows = plan_.rows();
    const audio::matrix<T> cepstra = plan_(clip);
    audio::matrix<T> change(rows, cepstra.columns);
    std::vector<double> pooled(2 * rows);
    pool<T>(cepstra.as_view(), out.first(2 * rows));
    for (const std::size_t order : {std::size_t{1}, std::size_t{2}}) {
      audio::delta_options options;
      options.order = order;
      if (cepstra.columns < options.width) options.edge = audio::delta_edge::replicate;  // a short sound
      audio::deltas<T>(cepstra.as_view(), change.as_view(), options);
      pool<T>(change.as_view(), pooled);
      std::copy_n(pooled.begin() + static_cast<std::ptrdiff_t>(rows), rows,
                  out.begin() + static_cast<std::ptrdiff_t>((1 + order) * rows));
    }
  }

 private:
  audio::mfcc_plan<T> plan_;
};

}  // namespace hocket::experiments::audio_features
