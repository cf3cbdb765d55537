#include <hocket/core/tolerance.hpp>
#include <hocket/eval/distributions.hpp>
#include <hocket/measure/sampler.hpp>

#include "catch.hpp"

using namespace hocket;
using namespace hocket::measure;

namespace {

/// A simulated machine: two arms whose times carry log-normal noise, rare long interruptions, a drift within the run,
/// and slow phases of which only the canary tells.
struct simulated_machine {
  philox random;
  double noise = 0.01;      ///< sd of the log of one call
  double slowdown = 0;      ///< of arm 1, as a log ratio
  double interrupts = 0.0;  ///< probability that a call takes three times as long
  double slow_share = 0;    ///< share of rounds in a slow phase
  double clock = 0;
  bool slow = false;

  double call(std::size_t arm) {
    clock += 1;
    double ns = 1e6 * std::exp(noise * random.next_normal() + (arm == 1 ? slowdown : 0) + 0.001 * clock);
    if (random.next_uniform() < interrupts) ns *= 3;
    return slow ? ns * (2 + 4 * random.next_uniform()) : ns;
  }
  double canary() {
    slow = random.next_uniform() < slow_share;
    return (slow ? 900 : 300) * (1 + 0.05 * random.next_uniform());
  }

  rounds run(const sampling_options& options) {
    return sample_rounds(
        {[this] { return call(0); }, [this] { return call(1); }}, [this] { return canary(); }, options);
  }
};

/// Share of `runs` simulated comparisons whose interval of the log ratio excludes 0.
double share_different(simulated_machine machine, sampling_options options, std::size_t runs) {
  std::size_t different = 0;
  for (std::size_t i = 0; i < runs; ++i) {
    machine.random = philox(i, 99);
    options.seed = i;
    const median_estimate m = median_interval(machine.run(options).log_ratios(1, 0));
    different += m.ci95.first > 0 || m.ci95.second < 0;
  }
  return static_cast<double>(different) / static_cast<double>(runs);
}

}  // namespace

TEST_CASE("equal arms come out different in 5 % +- 1.5 of 2,000 simulated comparisons", "[measure][sampler]") {
  sampling_options options;
  for (const double wanted : {0.001, 0.008, 1.0}) {  // 25 samples, a mixture, 12 samples
    options.half_width = wanted;
    simulated_machine machine{philox(0)};
    machine.interrupts = 0.02;
    INFO("wanted half-width " << wanted);
    const double share = share_different(machine, options, 2000);
    INFO("different in " << share);
    CHECK(share >= 0.035);
    CHECK(share <= 0.065);
  }
}

TEST_CASE("slow phases do not make equal arms different", "[measure][sampler]") {
  simulated_machine machine{philox(0)};
  machine.slow_share = 0.2;
  const double share = share_different(machine, {}, 2000);
  INFO("different in " << share);
  CHECK(share >= 0.035);
  CHECK(share <= 0.065);
}

TEST_CASE("a 2 % slowdown is found", "[measure][sampler]") {
  simulated_machine machine{philox(0)};
  machine.slowdown = std::log(1.02);
  machine.interrupts = 0.02;
  machine.slow_share = 0.1;
  const double found = share_different(machine, {}, 2000);
  INFO("found in " << found);
  CHECK(found >= 0.95);
}

TEST_CASE("rounds with a slow canary are dropped and counted", "[measure][sampler]") {
  // Canaries in turn: every fourth is slow. A round counts the canaries on both its sides.
  std::size_t calls = 0;
  const auto canary = [&] { return ++calls % 4 == 0 ? 1000.0 : 300.0; };
  std::size_t timed = 0;
  const rounds r = sample_rounds({[&] { return static_cast<double>(++timed); }}, canary, {});
  CHECK_FALSE(r.noisy);
  CHECK(r.ns[0].size() >= min_samples);
  CHECK(r.dropped > 0);
  CHECK(timed == 2 * (r.warmup + r.ns[0].size() + r.dropped));
  // Two quiet rounds in four: as many dropped as kept, but for the ends.
  CHECK(r.dropped + 2 >= r.ns[0].size());
  CHECK(r.dropped <= r.ns[0].size() + 2);
}

TEST_CASE("too few quiet rounds: the twelve quietest are kept and the result says so", "[measure][sampler]") {
  double next = 100;
  const rounds r = sample_rounds({[] { return 5.0; }}, [&] { return next *= 1.5; }, {});
  CHECK(r.noisy);
  CHECK(r.ns[0].size() == min_samples);
  CHECK(r.dropped > 0);
}

TEST_CASE("each arm stands as often in each place, and every round is a palindrome", "[measure][sampler]") {
  const std::size_t arms = 3;
  std::vector<std::size_t> calls;
  std::vector<std::function<double()>> timed;
  for (std::size_t a = 0; a < arms; ++a) timed.push_back([&calls, a] { return calls.push_back(a), 100.0; });
  sampling_options options;
  options.warmup_rounds = 3;
  const rounds r = sample_rounds(
      timed, [] { return 300.0; }, options);
  REQUIRE(r.ns[0].size() == 12);
  REQUIRE(calls.size() == 2 * arms * 15);
  std::vector<std::size_t> first(arms);
  for (std::size_t round = 0; round < 15; ++round) {
    const std::size_t* c = calls.data() + round * 2 * arms;
    for (std::size_t i = 0; i < arms; ++i) CHECK(c[i] == c[2 * arms - 1 - i]);
    ++first[c[0]];
  }
  for (const std::size_t count : first) CHECK(count == 5);
}

TEST_CASE("the number of samples is decided by the warm-up", "[measure][sampler]") {
  philox random(3);
  const auto samples_with = [&](double noise, double budget_s) {
    sampling_options options;
    options.budget_s = budget_s;
    options.warmup_rounds = 8;
    const auto arm = [&] { return 1e6 * std::exp(noise * random.next_normal()); };
    return sample_rounds(
               {arm, arm}, [] { return 300.0; }, options)
        .ns[0]
        .size();
  };
  CHECK(samples_with(0.0001, 100) == 12);
  CHECK(samples_with(0.5, 100) == 25);
  CHECK(samples_with(0.5, 0.001) == 12);
}

TEST_CASE("no arm is timed unchecked or wrong", "[measure][sampler]") {
  int runs = 0;
  timed_arm arm;
  arm.name = "fast";
  arm.run = [&] { ++runs; };
  CHECK_THROWS_AS(timed_arms({arm}), error);
  arm.check = [] { return std::string("off by 3"); };
  CHECK_THROWS_AS(timed_arms({arm}), error);
  CHECK(runs == 0);
}

TEST_CASE("timings and ratios carry what a record needs", "[measure][sampler]") {
  std::vector<double> data(2000, 1.0);
  const auto work = [&](std::size_t times) {
    return [&data, times] {
      for (std::size_t t = 0; t < times; ++t)
        for (double& x : data) x = x * 0.5 + 0.5;
      keep(data[0]);
    };
  };
  const auto good = [] { return std::string(); };
  timed_arm one{"one", work(1), good}, ten{"ten", work(10), good};
  one.work_unit = ten.work_unit = "passes";
  ten.work = 10;
  sampling_options options;
  options.sample_ns = 2e4;
  const timed_arms timed({one, ten}, options);
  const auto timings = timed.timings();
  REQUIRE(timings.size() == 2);
  for (const auto& t : timings) {
    CHECK(t.samples_ns.size() >= min_samples);
    CHECK(t.ci95_ns.first <= t.median_ns);
    CHECK(t.median_ns <= t.ci95_ns.second);
    CHECK(t.median_ns > 0);
    CHECK(t.warmup >= 3);
  }
  const ratio r = timed.ratio_of(1, 0, "ten / one", 1e6);
  CHECK(r.value > 1);
  CHECK(r.ci95.first <= r.value);
  CHECK(r.value <= r.ci95.second);
  CHECK(r.met == true);
  CHECK(timed.ratio_of(1, 0, "ten / one", 1e6, "higher").met == false);
  CHECK(r.log_ratios.size() == timings[0].samples_ns.size());
}

TEST_CASE("the interval of a median has the level it claims", "[measure][order_statistics]") {
  // Exact by enumeration of C(n, i): the sum of the tails in integers.
  for (std::size_t n = 6; n <= 40; ++n)
    for (std::size_t depth = 0; depth <= n / 2; ++depth) {
      double tail = 0;
      for (std::size_t i = 0; i < depth; ++i) {
        double choose = 1;
        for (std::size_t j = 0; j < i; ++j) choose = choose * static_cast<double>(n - j) / static_cast<double>(j + 1);
        tail += choose;
      }
      const double expected = 1 - 2 * tail / std::pow(2.0, static_cast<double>(n));
      INFO(n << " " << depth);
      CHECK(std::abs(coverage_of_depth(n, depth) - expected) <= rounding<double>(static_cast<double>(2 * n)));
    }
  CHECK_THROWS_AS(median_interval(std::vector<double>(5)), error);
  for (const std::size_t n : sample_counts) {
    std::vector<double> ranks(n);
    for (std::size_t i = 0; i < n; ++i) ranks[i] = static_cast<double>(i);
    const auto m = median_interval(ranks);
    const std::size_t depth = static_cast<std::size_t>(m.ci95.first) + 1;
    CHECK(coverage_of_depth(n, depth) >= 0.95);
    CHECK(coverage_of_depth(n, depth + 1) < 0.95);
    CHECK(m.ci95.second == static_cast<double>(n) - m.ci95.first - 1);
    CHECK(m.median == static_cast<double>(n - 1) / 2);
  }
}

TEST_CASE("interpolated intervals cover the median of any shape in 95 %", "[measure][order_statistics]") {
  const std::size_t runs = 4000;
  const double sd = std::sqrt(0.05 * 0.95 / static_cast<double>(runs));  // of the share that misses
  for (const std::size_t n : {13u, 15u, 16u, 22u, 30u})
    for (const int shape : {0, 1, 2}) {
      philox random(static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(shape));
      std::size_t missed = 0;
      for (std::size_t run = 0; run < runs; ++run) {
        std::vector<double> x(n);
        for (double& v : x) {
          const double u = 1 - random.next_uniform();
          v = shape == 0   ? eval::normal_quantile(std::min(u, 1 - 0x1p-53))
              : shape == 1 ? -std::log(u) - std::log(2.0)  // exponential, median 0
                           : (u < 0.5 ? std::log(2 * u) : -std::log(std::max(2 - 2 * u, 0x1p-60)));  // Laplace
        }
        const auto m = median_interval(x);
        missed += !(m.ci95.first <= 0 && 0 <= m.ci95.second);
      }
      const double share = static_cast<double>(missed) / static_cast<double>(runs);
      INFO("n " << n << " shape " << shape << " missed " << share);
      CHECK(share <= 0.05 + 3 * sd);
      CHECK(share >= 0.05 - 6 * sd);  // not needlessly wide either
    }
}
