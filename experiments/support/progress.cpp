#include "experiments/support/progress.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include <unistd.h>

#include <hocket/core/error.hpp>

namespace hocket::experiments {

std::string clock_text(double seconds) {
  const long all = std::lround(std::max(0.0, seconds));
  char out[32];
  if (all < 3600) {
    std::snprintf(out, sizeof out, "%02ld:%02ld", all / 60, all % 60);
  } else {
    std::snprintf(out, sizeof out, "%ld:%02ld:%02ld", all / 3600, all / 60 % 60, all % 60);
  }
  return out;
}

progress::progress(std::size_t cases, double cost_s) : cases_(cases), expected_left_s_(cost_s) {
  terminal_ = isatty(STDERR_FILENO) == 1;
  const char* no_color = std::getenv("NO_COLOR");
  colour_ = terminal_ && !(no_color && *no_color);
}

/// What is left at the guessed cost, scaled by how long finished cases took against their guess.
std::string progress::eta() const {
  const double scale = expected_done_s_ > 0 ? took_s_ / expected_done_s_ : 1;
  return clock_text(expected_left_s_ * scale);
}

void progress::step(const std::string& name, const std::string& outcome, double expected_s, double took_s, bool bad) {
  ++done_;
  expected_left_s_ = std::max(0.0, expected_left_s_ - expected_s);
  expected_done_s_ += expected_s;
  took_s_ += took_s;
  const auto now = std::chrono::steady_clock::now();
  const bool due = terminal_ || now - last_ >= std::chrono::seconds(2) || done_ == cases_;
  if (!due && !bad) return;
  last_ = now;
  const char* begin = !colour_ ? "" : bad ? "\033[31m" : "\033[32m";
  const char* end = colour_ ? "\033[0m" : "";
  line(text("[", done_, "/", cases_, "] ", name, "  ", begin, outcome, end, "  ETA ", eta()));
}

void progress::line(const std::string& content) const { std::fprintf(stderr, "%s\n", content.c_str()); }

}  // namespace hocket::experiments
