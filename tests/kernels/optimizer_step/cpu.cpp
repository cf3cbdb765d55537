// Steps of SGD and Adam against the definitions over several steps: every setting, awkward sizes, every instruction
// set, threads; and the norm.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/optimizer_step/arms.hpp>

#include "catch.hpp"

using namespace hocket;
namespace steps = kernels::optimizer_step;

namespace {

template <class T>
std::vector<T> values(std::size_t n, std::uint64_t seed) {
  const philox random(seed);
  std::vector<T> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<T>(random.normal_at(i));
  return x;
}
constexpr std::size_t rounds = 4;

/// Errors of `rounds` steps add up; each moves by at most `rate` times a few.
template <class T, class W>
void add(comparison& result, const std::vector<T>& ours, const std::vector<W>& wanted, double promise) {
  for (std::size_t i = 0; i < ours.size(); ++i)
    result.add(std::abs(static_cast<double>(static_cast<W>(ours[i]) - wanted[i])),
               rounding<T>(promise * static_cast<double>(rounds) * (std::abs(static_cast<double>(wanted[i])) + 1)));
}

}  // namespace

TEMPLATE_TEST_CASE("Adam and AdamW keep their promise", "[optimizer_step]", float, double) {
  using T = TestType;
  using W = steps::reference::wide<T>;
  for (const isa level : {isa::baseline, isa::avx2, isa::avx512}) {
    limit_isa(level);
    for (const auto& arm : steps::arms<T>())
      for (const std::size_t n : std::initializer_list<std::size_t>{0, 1, 7, 15, 16, 17, 65, 131})
        for (const bool decoupled : {false, true})
          for (const double decay : {0.0, 0.1}) {
            std::vector<T> p = values<T>(n, 1), m(n), v(n), g;
            std::vector<W> wanted(p.begin(), p.end()), wanted_m(n), wanted_v(n);
            for (std::size_t t = 1; t <= rounds; ++t) {
              const steps::adam_settings s{0.01, 0.9, 0.99, 1e-6, decay, 0.5, decoupled, t};
              g = values<T>(n, 10 + t);
              steps::reference::adam<T>(s, n, g.data(), wanted.data(), wanted_m.data(), wanted_v.data());
              arm.run.adam(cpu{1}, s, n, p.data(), g.data(), m.data(), v.data(), t % 2 == 0);
              CHECK(g == (t % 2 == 0 ? std::vector<T>(n, T{0}) : values<T>(n, 10 + t)));
            }
            comparison result;
            const double promise = arm.promise({n, steps::rule::adam});
            add(result, p, wanted, promise);
            add(result, m, wanted_m, promise);
            add(result, v, wanted_v, promise);
            INFO(n << " " << name_of(best_isa()) << " " << result.message());
            CHECK(result);
          }
  }
  limit_isa(machine_isa());
}

TEMPLATE_TEST_CASE("SGD keeps its promise", "[optimizer_step]", float, double) {
  using T = TestType;
  using W = steps::reference::wide<T>;
  for (const isa level : {isa::baseline, isa::avx2, isa::avx512}) {
    limit_isa(level);
    for (const auto& arm : steps::arms<T>())
      for (const std::size_t n : std::initializer_list<std::size_t>{0, 1, 15, 17, 131})
        for (const double momentum : {0.0, 0.9})
          for (const bool nesterov : {false, true})
            for (const double decay : {0.0, 0.1}) {
              if (nesterov && momentum == 0) continue;
              std::vector<T> p = values<T>(n, 1), buffer(n, T{7});
              std::vector<W> wanted(p.begin(), p.end()), wanted_buffer(n, 7);
              for (std::size_t t = 1; t <= rounds; ++t) {
                const steps::sgd_settings s{0.1, momentum, decay, 0.5, nesterov, t == 1};
                std::vector<T> g = values<T>(n, 10 + t);
                steps::reference::sgd<T>(s, n, g.data(), wanted.data(), wanted_buffer.data());
                arm.run.sgd(cpu{1}, s, n, p.data(), g.data(), momentum > 0 ? buffer.data() : nullptr, true);
                CHECK(g == std::vector<T>(n, T{0}));
              }
              comparison result;
              add(result, p, wanted, arm.promise({n, steps::rule::sgd}));
              add(result, buffer, wanted_buffer, arm.promise({n, steps::rule::sgd}));
              INFO(n << " momentum " << momentum << " " << result.message());
              CHECK(result);
            }
  }
  limit_isa(machine_isa());
}

TEST_CASE("long runs are cut into tiles that threads do not change; the norm is exact to f64", "[optimizer_step]") {
  const std::size_t n = 2 * steps::elements_per_tile + 3;
  const auto g = values<float>(n, 5);
  std::vector<std::vector<float>> results;
  std::vector<double> norms;
  for (const int threads : {1, 3}) {
    auto p = values<float>(n, 1), slope = g;
    std::vector<float> m(n), v(n);
    std::vector<double> work(steps::tiles_of(n));
    norms.push_back(steps::squares<float>(cpu{threads}, n, g.data(), work.data()));
    steps::adam<float>(cpu{threads}, {}, n, p.data(), slope.data(), m.data(), v.data(), true);
    results.push_back(p);
  }
  CHECK(results[0] == results[1]);
  CHECK(norms[0] == norms[1]);
  long double sum = 0;
  for (const float x : g) sum += static_cast<long double>(x) * static_cast<long double>(x);
  CHECK(std::abs(static_cast<double>(static_cast<long double>(norms[0]) - sum)) <=
        rounding<double>(static_cast<double>(n) / 2 * static_cast<double>(sum)));
}

TEMPLATE_TEST_CASE("runs that rest have the bits of those that do not", "[optimizer_step]", float, double) {
  using T = TestType;
  for (const isa level : {isa::baseline, isa::avx2, isa::avx512}) {
    if (level > machine_isa()) continue;
    limit_isa(level);
    for (const std::size_t n : {std::size_t{0}, std::size_t{1}, steps::resting_run - 1, steps::resting_run + 1,
                                5 * steps::resting_run, steps::elements_per_tile + 3 * steps::resting_run + 7})
      for (const double decay : {0.0, 0.1}) {
        auto p = values<T>(n, 1), q = p;
        std::vector<T> m(n), v(n), m2(n), v2(n);
        std::vector<std::uint8_t> resting(steps::resting_runs(n));
        for (std::size_t t = 1; t <= rounds; ++t) {
          // Elements that move lie in every third run; a later step wakes others, with one number in the middle or at
          // the end.
          std::vector<T> g(n, T{0});
          for (std::size_t i = 0; i < n; ++i)
            if (i / steps::resting_run % 3 == 1) g[i] = static_cast<T>(philox(t).normal_at(i));
          if (t == 3 && n > 0) g[n - 1] = g[n / 2] = T(0.5);
          if (n > 2 && t == 2) g[0] = T(-0.0);
          auto h = g;
          const steps::adam_settings s{0.01, 0.9, 0.99, 1e-6, decay, 0.5, true, t};
          steps::adam<T>(cpu{1}, s, n, p.data(), g.data(), m.data(), v.data(), true);
          steps::adam<T>(cpu{2}, s, n, q.data(), h.data(), m2.data(), v2.data(), true, resting.data());
          CHECK((p == q && m == m2 && v == v2 && g == h));
        }
        const std::size_t asleep = static_cast<std::size_t>(std::count(resting.begin(), resting.end(), 1));
        if (n >= 5 * steps::resting_run) CHECK((asleep > 0 && asleep < resting.size()));
      }
  }
  limit_isa(machine_isa());
}
