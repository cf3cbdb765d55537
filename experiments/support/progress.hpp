// One line per case on stderr: "[12/240] digits/full/k=8/seed=0  ok 0.8 s  ETA 00:41". Colour only on a terminal
// without NO_COLOR; anywhere else at most one line every two seconds, failures always.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace hocket::experiments {

class progress {
 public:
  /// `cost_s`: expected wall time of all cases that will really run.
  progress(std::size_t cases, double cost_s);

  /// Reports one case; `expected_s` is what it was expected to take (0 when reused), `bad` prints it in any case.
  void step(const std::string& name, const std::string& outcome, double expected_s, double took_s, bool bad);
  void line(const std::string& text) const;

 private:
  std::string eta() const;

  std::size_t cases_, done_ = 0;
  double expected_left_s_, expected_done_s_ = 0, took_s_ = 0;
  bool terminal_, colour_;
  std::chrono::steady_clock::time_point last_{};
};

/// "00:41", "2:05:10"
std::string clock_text(double seconds);

}  // namespace hocket::experiments
