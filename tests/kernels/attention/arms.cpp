// Every attention arm against the reference: masks, ragged and packed batches, prefixes, grouped heads, awkward sizes,
// everything outside the rows NaN; every instruction set of the machine, bf16 also on its matrix unit, the same bits
// for any number of threads.
#include <hocket/kernels/attention/arms.hpp>

#include "catch.hpp"
#include "kernels/attention/problem.hpp"
#include "machine_sets.hpp"

using namespace attention_test;

namespace {

template <class T>
answers<T> run(const attention::attention_arm<T>& arm, const problem<T>& p, const cpu& device) {
  using A = attention::accumulator<T>;
  const T nan = make<T>(std::numeric_limits<float>::quiet_NaN());
  answers<T> a;
  for (auto* x : {&a.out, &a.dq}) x->assign(p.q.size, nan);
  for (auto* x : {&a.dk, &a.dv}) x->assign(p.kv.size, nan);
  for (auto* x : {&a.dprefix_k, &a.dprefix_v}) x->assign(p.prefix.size, nan);
  a.lse.assign(p.t.batch * p.t.heads * p.t.queries, std::numeric_limits<A>::quiet_NaN());
  const attention::inputs<T> in = p.inputs();
  std::vector<A> workspace(arm.run.forward_workspace(device, p.s), std::numeric_limits<A>::quiet_NaN());
  arm.run.forward(device, p.s, in, {p.q.over(a.out.data()), a.lse.data()}, workspace.data());
  workspace.assign(arm.run.backward_workspace(device, p.s), std::numeric_limits<A>::quiet_NaN());
  const T* const out = a.out.data();
  arm.run.backward(device, p.s, in, {p.q.over(out), p.q.over(p.dout.data()), a.lse.data()},
                   {p.q.over(a.dq.data()), p.kv.over(a.dk.data()), p.kv.over(a.dv.data()),
                    p.prefix.over(a.dprefix_k.data()), p.prefix.over(a.dprefix_v.data())},
                   workspace.data());
  return a;
}

template <class T>
void check(const std::vector<trial>& trials) {
  for (const trial& t : trials) {
    const problem<T> p(t);
    const auto expected = p.expected();
    const auto peer = p.peer();
    const auto magnitudes = p.magnitudes();
    for (const auto& arm : attention::arms<T>())
      for (const auto& mode : tests::machine_modes(std::is_same_v<T, bf16>)) {
        const tests::on_mode guard(mode);
        const answers<T> one = run(arm, p, cpu{1});
        const comparison result = judge(p, expected, peer, magnitudes, one);
        INFO(t.text() << " " << arm.name << " " << name_of(arm.type) << " " << mode.text() << ": " << result.message());
        CHECK(result);
        CHECK(same_bits(one, run(arm, p, cpu{2})));
        CHECK(same_bits(one, run(arm, p, cpu{3})));
      }
  }
}

}  // namespace

TEMPLATE_TEST_CASE("every attention arm keeps its promise", "[attention]", float, double, bf16) {
  check<TestType>(small);
  check<TestType>(more);
  check<TestType>({{1, 2, 2, 130, 131, 32, 3},
                   {1, 2, 1, 129, 257, 33, 2, true},
                   {2, 1, 1, 70, 300, 20, 0, true, 50, lengths::both},
                   {1, 1, 1, 3, 200, 256, 0, false, 1000}});
}

TEMPLATE_TEST_CASE("attention around every border of registers and blocks", "[attention]", float, double, bf16) {
  std::vector<trial> trials;
  for (const std::size_t queries : std::initializer_list<std::size_t>{1, 7, 8, 9, 16, 17, 31, 32, 33, 63, 64, 65})
    for (const std::size_t keys : std::initializer_list<std::size_t>{1, 4, 5, 63, 64, 65, 127, 128, 129})
      trials.push_back(
          {1, 1, 1, queries, keys, 1 + queries * keys % 35, (queries + keys) % 3, keys % 2 == 0, queries % 5});
  check<TestType>(trials);
}

TEMPLATE_TEST_CASE("attention drops what Philox says, about the share it should, and differs by seed and stream",
                   "[attention]", float, double, bf16) {
  // Equal scores and values that are rows of the identity: out is the matrix of probabilities.
  using T = TestType;
  using A = attention::accumulator<T>;
  const std::size_t heads = 2, rows = 37, prefix = 11, own = 85, width = prefix + own;
  const auto probabilities = [&](const attention::dropout& drop) {
    const attention::shape s{2, heads, 1, rows, own, width, prefix, false, 0, 1, drop};
    const T zero = make<T>(0), one = make<T>(1);
    const std::vector<T> q(2 * heads * rows * width, zero);
    std::vector<T> v(2 * own * width, zero), prefix_v(prefix * width, zero), out(q.size());
    std::vector<A> lse(2 * heads * rows), work(attention::forward_workspace<T>(cpu{1}, s));
    for (std::size_t b = 0; b < 2; ++b)
      for (std::size_t j = 0; j < own; ++j) v[(b * own + j) * width + prefix + j] = one;
    for (std::size_t j = 0; j < prefix; ++j) prefix_v[j * width + j] = one;
    attention::inputs<T> in;
    in.q = attention::heads_outside(q.data(), heads, rows, width);
    const T *const values = v.data(), *const prefix_values = prefix_v.data();
    in.k = in.v = attention::heads_outside(values, 1, own, width);
    in.prefix_k = in.prefix_v = {prefix_values, 0, 0, width};
    attention::forward<T>(cpu{1}, s, in, {attention::heads_outside(out.data(), heads, rows, width), lse.data()},
                          work.data());
    std::vector<double> made(out.size());
    std::transform(out.begin(), out.end(), made.begin(), [](T x) { return value(x); });
    return made;
  };
  for (const auto& mode : tests::machine_modes(std::is_same_v<T, bf16>))
    for (const double p : {0.1, 0.5}) {
      const tests::on_mode guard(mode);
      const auto drop = attention::make_dropout(p, 3, std::uint64_t{5} << 40);
      const attention::shape s{2, heads, 1, rows, own, width, prefix, false, 0, 1, drop};
      const auto out = probabilities(drop);
      double dropped = 0;
      comparison result;
      for (std::size_t i = 0; i < out.size(); ++i) {
        const std::size_t key = i % width, row = i / width;
        const bool mine = key >= prefix;
        CHECK((out[i] != 0) ==
              attention::stays(s, row / rows / heads, row / rows % heads, row % rows, mine, mine ? key - prefix : key));
        dropped += out[i] == 0;
        const double each = drop.scale / static_cast<double>(width);
        if (out[i] != 0) result.add(std::abs(out[i] - each), epsilon_of<T> * each);
      }
      INFO(mode.text() << " " << result.message());
      CHECK(result);
      // Binomial: six standard deviations.
      const double n = static_cast<double>(out.size());
      CHECK(std::abs(dropped - p * n) <= 6 * std::sqrt(n * p * (1 - p)));
      CHECK(out != probabilities(attention::make_dropout(p, 4, std::uint64_t{5} << 40)));
      CHECK(out != probabilities(attention::make_dropout(p, 3, std::uint64_t{6} << 40)));
    }
  CHECK_THROWS_AS(attention::make_dropout(1.0, 0, 0), error);
  CHECK_THROWS_AS(attention::make_dropout(-0.1, 0, 0), error);
  CHECK_THROWS_AS(attention::make_dropout(std::nan(""), 0, 0), error);
}

TEMPLATE_TEST_CASE("a long row loses nothing while its maximum stays", "[attention]", float, double) {
  using T = TestType;
  const std::size_t keys = 20000;
  const T score = T(3.7);
  const std::vector<T> q = {score}, k(keys, T(1)), v(keys, T(1));
  const attention::shape s{1, 1, 1, 1, keys, 1, 0};
  const attention::inputs<T> in{attention::heads_outside(q.data(), 1, 1, 1),
                                attention::heads_outside(k.data(), 1, keys, 1),
                                attention::heads_outside(v.data(), 1, keys, 1)};
  const long double wanted = static_cast<long double>(score) + std::log(static_cast<long double>(keys));
  for (const auto& arm : attention::arms<T>())
    for (const auto set : hocket::tests::machine_sets()) {
      const hocket::tests::on_isa guard(set);
      std::vector<T> out(1), lse(1), work(arm.run.forward_workspace(cpu{1}, s));
      arm.run.forward(cpu{1}, s, in, {attention::heads_outside(out.data(), 1, 1, 1), lse.data()}, work.data());
      // Sums of equal weights are exact or, where 2^(score - peak) is not quite 1, lose one rounding a block of keys;
      // the logarithm takes an absolute error from them, and is rounded once.
      const auto blocks = static_cast<double>(keys / attention::block_keys);
      INFO(arm.name << " " << static_cast<int>(set) << " " << static_cast<double>(lse[0] - wanted));
      CHECK(std::abs(static_cast<double>(lse[0] - wanted)) <=
            rounding<T>(static_cast<double>(wanted) + std::sqrt(blocks)));
      CHECK(std::abs(static_cast<double>(out[0] - 1)) <= rounding<T>(2 * std::sqrt(blocks)));
    }
}

TEST_CASE("memory of attention grows with the length, not with its square", "[attention]") {
  for (const std::size_t heads : {8u, 1u})  // of one head the keys are cut, and each part keeps its share of dq
    for (const bool backward : {false, true}) {
      const auto elements = [&](std::size_t length) {
        const attention::shape s{1, heads, heads, length, length, 64, 0};
        return static_cast<double>(backward ? attention::backward_workspace<float>(cpu{2}, s)
                                            : attention::forward_workspace<float>(cpu{2}, s));
      };
      CHECK(elements(8192) <= 2 * elements(4096));
    }
}

TEMPLATE_TEST_CASE("attention across many blocks: what a call of several tiles of queries shares", "[attention]", float,
                   bf16) {
  check<TestType>({{1, 1, 1, 580, 333, 32, 5, false},
                   {1, 2, 1, 530, 530, 40, 0, true},
                   {1, 1, 1, 577, 577, 16, 3, true, 100},
                   {2, 1, 1, 70, 260, 64, 0, false, 0, lengths::packed, false, true, 0, false, 0, false, 0.2}});
}

TEMPLATE_TEST_CASE("a workspace of attention serves every smaller batch", "[attention]", float, bf16) {
  for (const auto& arm : attention::arms<TestType>())
    for (const std::size_t kv_heads : {1u, 2u, 3u})
      for (const std::size_t items : {1u, 2u, 5u, 9u})
        for (const std::size_t rows : {1u, 40u, 300u}) {
          const attention::shape s{items, 6, kv_heads, rows, rows, 20, 3};
          for (const std::size_t fewer : {std::size_t{1}, items / 2 + 1, items})
            for (const std::size_t shorter : {std::size_t{1}, rows / 3 + 1, rows}) {
              attention::shape part = s;
              part.batch = fewer;
              part.queries = part.keys = shorter;
              CHECK(arm.run.forward_workspace(cpu{2}, part) <= arm.run.forward_workspace(cpu{2}, s));
              CHECK(arm.run.backward_workspace(cpu{2}, part) <= arm.run.backward_workspace(cpu{2}, s));
              // what the pass cuts of it
              const auto parts = attention::detail::parts_of(part);
              const std::size_t used = 2 * attention::detail::backward_work<TestType>(part) +
                                       2 * attention::detail::prefix_shares(part) +
                                       (parts.count > 1 ? parts.count * attention::detail::dq_share<float>(part) : 0);
              CHECK(used <= arm.run.backward_workspace(cpu{2}, s));
            }
        }
}

TEMPLATE_TEST_CASE("attention over a NaN is NaN, and only where the NaN is seen", "[attention]", float, double, bf16) {
  problem<TestType> p({1, 1, 1, 20, 20, 8, 0, true});
  p.k[p.kv.index(0, 0, 10, 3)] = make<TestType>(std::numeric_limits<float>::quiet_NaN());
  for (const auto& arm : attention::arms<TestType>())
    for (const auto& mode : tests::machine_modes(std::is_same_v<TestType, bf16>)) {
      const tests::on_mode guard(mode);
      const auto a = run(arm, p, cpu{1});
      for (std::size_t i = 0; i < 20; ++i) {
        CHECK(std::isnan(value(a.out[p.q.index(0, 0, i, 5)])) == (i >= 10));
        CHECK(std::isnan(value(a.dq[p.q.index(0, 0, i, 5)])) == (i >= 10));
      }
    }
}
