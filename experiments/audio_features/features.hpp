// From a data set to one row per clip and arm: every recording is decoded once and all arms run on its clips. A piece
// of music gives at most 20 clips of 10 s, evenly spread; a short sound is one clip of at most 3 s.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/audio_features/arms.hpp"
#include "experiments/support/data_sets.hpp"
#include "experiments/support/driver.hpp"

namespace hocket::experiments::audio_features {

struct clip_options {
  double seconds = 10;
  std::size_t most_per_file = 20;
  bool whole_clips_only = true;
  double least_seconds = 0.1;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("seconds", self.seconds, "s: length of a clip");
    visit("most_per_file", self.most_per_file, "clips of one recording, evenly spread");
    visit("whole_clips_only", self.whole_clips_only,
          "whether a recording shorter than a clip is left out (music) or is one clip");
    visit("least_seconds", self.least_seconds, "s: shorter sounds are lengthened with silence");
  }
};

inline clip_options clips_of(std::string_view set) {
  if (set == "music_style") return {};
  return {.seconds = 3, .most_per_file = 1, .whole_clips_only = false};
}

/// One row per clip: where it is from, and its vector per arm.
struct feature_table {
  std::vector<std::string> ids;
  std::vector<std::uint32_t> labels, units;
  std::vector<std::size_t> sizes;           ///< of the arms of arm_table
  std::vector<std::vector<double>> values;  ///< per arm: (clips, size)
  std::size_t left_out = 0;                 ///< recordings of too low a rate or too short
  double seconds = 0;                       ///< of audio that went in
};

/// Start and length in samples of the clips of a recording.
std::vector<std::pair<std::size_t, std::size_t>> cut(const clip_options& options, std::size_t samples, unsigned rate);

/// The table of a set, from the cache where the same content was seen before. Files are handed out to the device's
/// threads, the result does not depend on their number.
feature_table cached_features(case_run& run, const data_set& set);

}  // namespace hocket::experiments::audio_features
