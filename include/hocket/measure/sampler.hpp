// Times any number of arms against each other, interleaved in one process.
//
// A round runs every arm twice: in an order taken from a random Latin square, then in the reverse order (for two arms:
// ABBA or BAAB), and keeps each arm's mean, so that a drift within the round cancels and no arm is always first. A
// two-thread canary runs between rounds; a round whose canary is more than 1.2 x the best seen is dropped, and the
// number of dropped rounds is reported. Ratios are medians of per-round log ratios with an order-statistic interval
// (order_statistics.hpp).
//
// How many rounds: one of 12, 17, 20, 25, chosen from the spread of the warm-up rounds before the first sample is
// taken. Stopping by a look at the samples themselves would make equal arms come out different too often.
//
// No arm is timed before its result was checked.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <hocket/core/error.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/measure/canary.hpp>
#include <hocket/measure/order_statistics.hpp>
#include <hocket/measure/record.hpp>
#include <hocket/measure/timer.hpp>

namespace hocket::measure {

struct sampling_options {
  std::size_t warmup_rounds = 4;  ///< untimed; they also choose the number of samples
  double sample_ns = 2e6;         ///< an arm is repeated within a sample until it takes at least this long
  double half_width = 0.01;       ///< wanted half-width of the interval of a log ratio: 0.01 is about 1 %
  double budget_s = 20;           ///< expected total beyond this: 12 samples
  double canary_limit = 1.2;      ///< x the best canary
  std::size_t patience = 4;       ///< at most this many times the chosen number of rounds
  std::uint64_t seed = 1;         ///< of the random orders

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("warmup_rounds", self.warmup_rounds,
          "rounds before the first sample; their spread chooses the number of samples");
    visit("sample_ns", self.sample_ns, "ns: an arm is repeated within a sample until it takes this long");
    visit("half_width", self.half_width, "wanted half-width of a log ratio's interval");
    visit("budget_s", self.budget_s, "s: beyond this expected total, 12 samples");
    visit("canary_limit", self.canary_limit, "a round whose canary exceeds this multiple of the best is dropped");
    visit("patience", self.patience, "at most this many times the chosen number of rounds");
    visit("seed", self.seed, "of the random orders");
  }
};

/// Kept rounds: ns[arm][round].
struct rounds {
  std::vector<std::vector<double>> ns;
  std::size_t warmup = 0;
  std::size_t dropped = 0;  ///< rounds measured and not kept
  bool noisy = false;       ///< fewer than 12 rounds had a good canary: the 12 with the best canaries were kept

  std::vector<double> log_ratios(std::size_t numerator, std::size_t denominator) const {
    std::vector<double> out(ns.at(numerator).size());
    for (std::size_t r = 0; r < out.size(); ++r) out[r] = std::log(ns[numerator][r] / ns.at(denominator)[r]);
    return out;
  }
};

namespace detail {

/// Orders of rounds: rows of random cyclic Latin squares, so that in every N rounds each arm stands once in each place.
class latin_orders {
 public:
  latin_orders(std::size_t arms, std::uint64_t seed)
      : random_(seed, 0x6f72646572), symbols_(arms), rows_(arms), at_(arms) {
    std::iota(symbols_.begin(), symbols_.end(), std::size_t{0});
    std::iota(rows_.begin(), rows_.end(), std::size_t{0});
  }
  std::vector<std::size_t> next() {
    const std::size_t n = symbols_.size();
    if (at_ == n) {
      random_.shuffle(symbols_);
      random_.shuffle(rows_);
      at_ = 0;
    }
    std::vector<std::size_t> order(n);
    for (std::size_t i = 0; i < n; ++i) order[i] = symbols_[(rows_[at_] + i) % n];
    ++at_;
    return order;
  }

 private:
  philox random_;
  std::vector<std::size_t> symbols_, rows_;
  std::size_t at_;
};

inline double spread(const std::vector<double>& values) {
  const double n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double sum = 0;
  for (const double v : values) sum += (v - mean) * (v - mean);
  return n > 1 ? std::sqrt(sum / (n - 1)) : 0;
}

/// The smallest sample count whose interval should be as narrow as wanted. A median of n normal values has standard
/// error sqrt(pi / 2) sd / sqrt(n).
inline std::size_t choose_samples(const rounds& pilot, double round_s, const sampling_options& options) {
  double sd = 0;
  for (std::size_t a = 1; a < pilot.ns.size(); ++a) sd = std::max(sd, spread(pilot.log_ratios(a, 0)));
  if (pilot.ns.size() == 1) {
    std::vector<double> logs;
    for (const double ns : pilot.ns[0]) logs.push_back(std::log(ns));
    sd = spread(logs);
  }
  for (const std::size_t n : sample_counts) {
    const bool narrow = 1.96 * 1.2533 * sd / std::sqrt(static_cast<double>(n)) <= options.half_width;
    const auto larger = std::upper_bound(sample_counts.begin(), sample_counts.end(), n);
    if (narrow || larger == sample_counts.end() || static_cast<double>(*larger) * round_s > options.budget_s) return n;
  }
  return sample_counts.back();
}

}  // namespace detail

/// The procedure itself. arms[a]() runs arm a once and returns its nanoseconds; canary() returns the canary's. Both are
/// arguments so that the statistics can be tested on simulated times.
inline rounds sample_rounds(const std::vector<std::function<double()>>& arms, const std::function<double()>& canary,
                            const sampling_options& options) {
  expects(!arms.empty(), errc::bad_option, "nothing to time");
  detail::latin_orders orders(arms.size(), options.seed);
  std::vector<std::vector<double>> ns(arms.size());
  const auto one_round = [&] {
    const auto order = orders.next();
    std::vector<double> sum(arms.size(), 0);
    for (std::size_t i = 0; i < order.size(); ++i) sum[order[i]] += arms[order[i]]();
    for (std::size_t i = order.size(); i-- > 0;) sum[order[i]] += arms[order[i]]();
    double total = 0;
    for (std::size_t a = 0; a < arms.size(); ++a) {
      ns[a].push_back(std::max(sum[a] / 2, 1e-3));
      total += sum[a];
    }
    return total;
  };

  rounds out;
  out.warmup = std::max<std::size_t>(options.warmup_rounds, 3);
  double pilot_ns = 0, best = canary();
  for (std::size_t r = 0; r < out.warmup; ++r) pilot_ns += one_round();
  out.ns = std::exchange(ns, std::vector<std::vector<double>>(arms.size()));
  const double round_s = pilot_ns / static_cast<double>(out.warmup) * 1e-9;
  std::size_t wanted = detail::choose_samples(out, round_s, options);

  std::vector<double> canaries;  // of round r: the worse of the one before and the one after it
  double before = canary();
  const auto good = [&](std::size_t r) { return canaries[r] <= options.canary_limit * best; };
  const auto count_good = [&] {
    std::size_t count = 0;
    for (std::size_t r = 0; r < canaries.size(); ++r) count += good(r);
    return count;
  };
  while (canaries.size() < options.patience * wanted && (canaries.size() < wanted || count_good() < wanted)) {
    one_round();
    const double after = canary();
    canaries.push_back(std::max(before, after));
    best = std::min({best, before, after});
    before = after;
  }

  std::vector<std::size_t> kept;
  for (std::size_t r = 0; r < canaries.size(); ++r)
    if (good(r)) kept.push_back(r);
  if (kept.size() < min_samples) {
    out.noisy = true;
    kept.resize(canaries.size());
    std::iota(kept.begin(), kept.end(), std::size_t{0});
    std::stable_sort(kept.begin(), kept.end(), [&](std::size_t a, std::size_t b) { return canaries[a] < canaries[b]; });
    kept.resize(min_samples);
    std::sort(kept.begin(), kept.end());
  } else {  // the largest proper count that was reached
    wanted = *std::prev(std::upper_bound(sample_counts.begin(), sample_counts.end(), std::min(wanted, kept.size())));
    kept.resize(wanted);
  }
  for (std::size_t a = 0; a < arms.size(); ++a) {
    out.ns[a].clear();
    for (const std::size_t r : kept) out.ns[a].push_back(ns[a][r]);
  }
  out.dropped = canaries.size() - kept.size();
  return out;
}

/// One contender. `check` runs the arm and compares its result with the reference: empty when it agrees, else what is
/// wrong.
struct timed_arm {
  std::string name;
  std::function<void()> run;
  std::function<std::string()> check;
  std::string backend = "cpu";
  std::string dtype = "f32";
  int threads = 1;
  double work = 1;                ///< work units of one call
  std::string work_unit{};        ///< "seconds of audio", "rows"
  std::optional<double> flops{};  ///< of one call
  std::optional<double> bytes{};
};

/// Checked arms with their rounds.
class timed_arms {
 public:
  /// Checks and times all arms. Throws bad_value for an arm that has no check or whose result is wrong.
  timed_arms(std::vector<timed_arm> arms, const sampling_options& options = {}) : arms_(std::move(arms)) {
    bool parallel = false;
    for (const auto& arm : arms_) {
      expects(arm.run && arm.check, errc::bad_option, "arm ", arm.name, ": no time without a check of its result");
      const std::string wrong = arm.check();
      expects(wrong.empty(), errc::bad_value, "arm ", arm.name, " is not timed, its result is wrong: ", wrong);
      parallel = parallel || arm.threads > 1;
    }
    std::vector<std::function<double()>> timed;
    for (const auto& arm : arms_) {
      const std::size_t repeats = repeats_of(arm, options.sample_ns);
      timed.push_back([&arm, repeats] {
        const timer clock;
        for (std::size_t i = 0; i < repeats; ++i) arm.run();
        return clock.ns() / static_cast<double>(repeats);
      });
    }
    const auto canary = [parallel] {
      if (parallel)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));  // idle workers of a thread pool still spin
      return canary_ns();
    };
    rounds_ = sample_rounds(timed, canary, options);
  }

  const rounds& samples() const { return rounds_; }

  timing timing_of(std::size_t a) const {
    const timed_arm& arm = arms_.at(a);
    timing out;
    out.arm = arm.name;
    out.backend = arm.backend;
    out.dtype = arm.dtype;
    out.threads = arm.threads;
    out.warmup = static_cast<std::int64_t>(rounds_.warmup);
    out.samples_ns = rounds_.ns[a];
    const median_estimate estimate = median_interval(out.samples_ns);
    out.median_ns = estimate.median;
    out.ci95_ns = estimate.ci95;
    out.work = arm.work;
    out.work_unit = arm.work_unit;
    out.flops = arm.flops;
    out.bytes = arm.bytes;
    out.rounds_dropped = static_cast<std::int64_t>(rounds_.dropped);
    out.noisy = rounds_.noisy;
    return out;
  }
  std::vector<timing> timings() const {
    std::vector<timing> out;
    for (std::size_t a = 0; a < arms_.size(); ++a) out.push_back(timing_of(a));
    return out;
  }

  /// Time of arm a / time of arm b. With a target and better = "lower", met says that the ratio is at most the target;
  /// with "higher", pass the slower side as a (a peer) and the target it must be beaten by.
  ratio ratio_of(std::size_t a, std::size_t b, std::string name, std::optional<double> target = {},
                 std::string better = "lower") const {
    ratio out;
    out.name = std::move(name);
    out.numerator = arms_.at(a).name;
    out.denominator = arms_.at(b).name;
    out.log_ratios = rounds_.log_ratios(a, b);
    const median_estimate estimate = median_interval(out.log_ratios);
    out.value = std::exp(estimate.median);
    out.ci95 = {std::exp(estimate.ci95.first), std::exp(estimate.ci95.second)};
    out.better = std::move(better);
    out.target = target;
    if (target) out.met = out.better == "lower" ? out.value <= *target : out.value >= *target;
    out.rounds_dropped = static_cast<std::int64_t>(rounds_.dropped);
    out.noisy = rounds_.noisy;
    return out;
  }

 private:
  /// Calls per sample, after a first call that fills caches and plans.
  static std::size_t repeats_of(const timed_arm& arm, double sample_ns) {
    arm.run();
    std::size_t repeats = 1;
    while (true) {
      const timer clock;
      for (std::size_t i = 0; i < repeats; ++i) arm.run();
      const double took = clock.ns();
      if (took >= sample_ns || repeats >= (std::size_t{1} << 30)) return repeats;
      const double grow = std::clamp(1.2 * sample_ns / std::max(took, 1.0), 2.0, 1000.0);
      repeats = static_cast<std::size_t>(static_cast<double>(repeats) * grow);
    }
  }

  std::vector<timed_arm> arms_;
  rounds rounds_;
};

}  // namespace hocket::measure
