// Low-rank terms on the tape: gradients, values against plain sums, masks, rows that choose their adapter, misuse.
#include <cmath>
#include <cstring>
#include <set>
#include <vector>

#include <hocket/kernels/epilogue/cpu.hpp>
#include <hocket/measure/allocations.hpp>
#include <hocket/nn/ops/layers.hpp>
#include <hocket/nn/ops/linear.hpp>
#include <hocket/nn/ops/low_rank.hpp>
#include <hocket/nn/ops/pointwise.hpp>

#include "catch.hpp"
#include "error_kind.hpp"
#include "nn/gradients.hpp"

using namespace nn_test;
using nn::activation;
using nn::tape;
using nn::value;

namespace {

/// Items of these lengths, each with its choice among three: none, first, second.
const std::vector<std::uint32_t> lengths = {0, 3, 1, 0, 0, 205, 2, 7, 0}, choices = {2, 1, 1, 0, 2, 2, 0, 1, 1};

nn::row_choice ragged_choice(tape<double>& t, world& w, std::uint32_t number) {
  const auto items = t.dimension_of("items", lengths.size()), tokens = t.dimension_of("tokens", 230);
  const nn::row_choice choice{t.indices("adapters", items, 3), t.sequences_of(items, tokens, 210), number};
  w.sizes = {1, lengths.size(), 218};
  w.batch.push_back([=](tape<double>& to) {
    to.set(choice.batch, lengths);
    to.set(choice.of_items, choices);
  });
  return choice;
}
nn::row_choice other(nn::row_choice choice, std::uint32_t number) {
  choice.number = number;
  return choice;
}

}  // namespace

TEST_CASE("gradients of low-rank terms in a linear", "[gradients][low_rank]") {
  for (const activation act : {activation::none, activation::gelu})
    for (const bool residual : {false, true})
      check_gradients(
          text("terms ", name_of(act), residual ? " residual" : ""),
          [&](tape<double>& t, world& w) {
            const auto rows = w.rows(t, "rows", 197, 200);
            const value x = nn::matmul(t, w.input(t, "x", rows, 2), w.parameter(t, "lift", 2, 5));
            const value u =
                nn::project_down(t, x, {{w.parameter(t, "a1", 2, 5), 0.25}, {w.parameter(t, "a2", 3, 5), 0.5}});
            const value shared = nn::scaled(t, x, 0.5);
            return nn::linear(t, x,
                              {{w.parameter(t, "w1", 7, 5),
                                w.parameter(t, "c1", 1, 7),
                                {{u, w.parameter(t, "b1", 7, 2), 0.75}, {u, w.parameter(t, "b2", 7, 3), -2, 2}}},
                               {w.parameter(t, "w2", 1, 5)},
                               {w.parameter(t, "w3", 3, 5),
                                {},
                                {{shared, w.parameter(t, "b3", 3, 1), 1.5, 4}, {x, w.parameter(t, "b4", 3, 2), 1, 1}}}},
                              {act, residual ? 0.25 : 0,
                               residual ? nn::concat_columns(t, {x, x, w.input(t, "r", rows, 1)}) : value{}});
          },
          12);
  check_gradients("a wide output in several chunks", [](tape<double>& t, world& w) {
    const value x = w.parameter(t, "x", 3, 4);
    const value u = nn::project_down(t, x, {{w.parameter(t, "a", 2, 4)}});
    return nn::linear(t, x, {{w.parameter(t, "w", 515, 4), {}, {{u, w.parameter(t, "b", 515, 2), 0.5}}}},
                      {activation::gelu, 0.1});
  });
}

TEST_CASE("gradients of projections down", "[gradients][low_rank]") {
  for (const double dropout : {0.0, 0.4})
    for (const std::size_t in : {1U, 191U, 192U, 193U, 400U})
      check_gradients(
          text("down from ", in, " dropout ", dropout),
          [&](tape<double>& t, world& w) {
            const auto rows = w.rows(t, "rows", in == 193 ? 385 : 3, 390);
            const value x = nn::matmul(t, w.input(t, "x", rows, 2), w.parameter(t, "lift", 2, in));
            return nn::project_down(
                t, x, {{w.parameter(t, "a1", 1, in), dropout}, {w.parameter(t, "a2", 4, in), dropout / 2}});
          },
          12);
  for (const double dropout : {0.0, 0.4})
    check_gradients(
        text("rows that choose, dropout ", dropout),
        [&](tape<double>& t, world& w) {
          const auto one = ragged_choice(t, w, 1), two = other(one, 2);
          const value x = nn::matmul(t, w.input(t, "x", t.tokens(one.batch), 2), w.parameter(t, "lift", 2, 5));
          const value u = nn::project_down(t, x,
                                           {{w.parameter(t, "a1", 2, 5), dropout, 0, one},
                                            {w.parameter(t, "a2", 3, 5), dropout, 0, two},
                                            {w.parameter(t, "a3", 2, 5), dropout, 4}});
          return nn::linear(t, x,
                            {{w.parameter(t, "w", 6, 5),
                              {},
                              {{u, w.parameter(t, "b1", 6, 2), 2, 0, one}, {u, w.parameter(t, "b2", 6, 3), 3, 0, two}}},
                             {w.parameter(t, "v", 2, 5), {}, {{u, w.parameter(t, "b3", 2, 2), 1, 4}}}},
                            {activation::gelu});
        },
        12);
  check_gradients("items that choose", [](tape<double>& t, world& w) {
    const auto rows = w.rows(t, "rows", 9, 20);
    const nn::row_choice one{w.indices(t, "adapters", rows, 4), {}, 1}, two = other(one, 3);
    const value x = nn::matmul(t, w.input(t, "x", rows, 2), w.parameter(t, "lift", 2, 5));
    const value u =
        nn::project_down(t, x, {{w.parameter(t, "a1", 2, 5), 0.2, 0, one}, {w.parameter(t, "a2", 2, 5), 0.2, 0, two}});
    return nn::linear(t, x,
                      {{w.parameter(t, "w", 3, 5),
                        {},
                        {{u, w.parameter(t, "b1", 3, 2), 2, 0, one}, {u, w.parameter(t, "b2", 3, 2), 3, 0, two}}}});
  });
}

TEST_CASE("an adapter that no row chose has a gradient of zero", "[low_rank]") {
  nn::parameter_set<double> set;
  auto &a = set.add("a", 2, 3), &b = set.add("b", 4, 2), &w = set.add("w", 4, 3);
  for (auto& p : set) std::fill_n(p.writable().data(), p.size(), 0.5);
  tape<double> t;
  const auto rows = t.dimension_of("rows", 5);
  const nn::row_choice one{t.indices("adapters", rows, 2), {}, 1};
  const value x = t.input("x", rows, 3);
  // A and B behind other operations: their gradients are replaced, not added to.
  const value down = nn::scaled(t, t.parameter(a), 1.0), up = nn::scaled(t, t.parameter(b), 1.0);
  const value u = nn::project_down(t, x, {{down, 0.0, 0, one}});
  const value y = nn::linear(t, x, {{t.parameter(w), {}, {{u, up, 1.0, 0, one}}}});
  t.compile(nn::sum(t, y), {y});
  const std::vector<double> data(15, 1.0);
  for (const std::uint32_t choice : {1U, 0U, 1U}) {
    t.set(rows, 5);
    t.set(x, {data.data(), {5, 3}});
    t.set(one.of_items, std::vector<std::uint32_t>(5, choice));
    for (auto& p : set) std::fill_n(p.gradient().data(), p.size(), 0.0);
    t.forward();
    t.backward();
    CHECK((max_abs(a.gradient().data(), a.size()) > 0) == (choice == 1));
    CHECK((max_abs(b.gradient().data(), b.size()) > 0) == (choice == 1));
    CHECK(t.read(y)(0, 0) == (choice == 1 ? 1.5 + 1.5 : 1.5));  // 0.5 x 3, and 2 columns of u = 1.5 times 0.5
  }
}

TEMPLATE_TEST_CASE("terms equal their definition; rows of no adapter have the base's bits", "[low_rank]", float,
                   double) {
  using T = TestType;
  for (const std::size_t in : {1U, 7U, 193U})
    for (const std::size_t out : {1U, 17U, 513U}) {
      nn::parameter_set<T> set;
      philox random(41, in * 1000 + out);
      const auto filled = [&](const char* name, std::size_t rows, std::size_t columns) -> nn::parameter<T>& {
        auto& p = set.add(name, rows, columns);
        for (std::size_t i = 0; i < p.size(); ++i) p.writable().data()[i] = static_cast<T>(random.next_normal());
        return p;
      };
      auto &w = filled("w", out, in), &c = filled("c", 1, out);
      const std::size_t ranks[] = {0, 3, 2};
      const double scales[] = {0, 0.5, -4};
      nn::parameter<T>*a[3] = {}, *b[3] = {};
      for (const std::size_t k : {1U, 2U}) {
        a[k] = &filled(k == 1 ? "a1" : "a2", ranks[k], in);
        b[k] = &filled(k == 1 ? "b1" : "b2", out, ranks[k]);
      }
      std::vector<T> data(218 * in);
      for (T& each : data) each = static_cast<T>(random.next_normal());
      std::vector<T> first;
      for (const int threads : {1, 2, 3}) {
        tape<T> t(cpu{threads});
        const auto items = t.dimension_of("items", 9), tokens = t.dimension_of("tokens", 300);
        const nn::row_choice one{t.indices("adapters", items, 3), t.sequences_of(items, tokens, 210), 1},
            two{one.of_items, one.batch, 2};
        const value x = t.input("x", tokens, in);
        const value u = nn::project_down(t, x, {{t.parameter(*a[1]), 0.0, 0, one}, {t.parameter(*a[2]), 0.0, 0, two}});
        const value base = nn::linear(t, x, {{t.parameter(w), t.parameter(c)}});
        const value y =
            nn::linear(t, x,
                       {{t.parameter(w),
                         t.parameter(c),
                         {{u, t.parameter(*b[1]), scales[1], 0, one}, {u, t.parameter(*b[2]), scales[2], 0, two}}}});
        t.compile_forward({base, y});
        t.set(one.batch, lengths);
        t.set(one.of_items, choices);
        t.set(x, {data.data(), {218, in}});
        t.forward();
        CHECK(measure::allocations_of([&] { t.forward(); }) == 0);
        const auto got = t.read(y), plain = t.read(base);
        if (threads == 1) first.assign(got.data(), got.data() + got.size());
        CHECK(std::memcmp(first.data(), got.data(), got.size() * sizeof(T)) == 0);
        comparison result;
        std::size_t row = 0;
        for (std::size_t item = 0; item < lengths.size(); ++item)
          for (std::uint32_t i = 0; i < lengths[item]; ++i, ++row) {
            const std::uint32_t k = choices[item];
            if (k == 0) {
              CHECK(std::memcmp(&got(row, 0), &plain(row, 0), out * sizeof(T)) == 0);
              continue;
            }
            for (std::size_t o = 0; o < out; ++o) {
              double sum = static_cast<double>(c.value()(0, o)), magnitude = std::abs(sum);
              const auto add = [&](double term) {
                sum += term;
                magnitude += std::abs(term);
              };
              for (std::size_t i2 = 0; i2 < in; ++i2) {
                const double xi = static_cast<double>(data[row * in + i2]);
                add(xi * static_cast<double>(w.value()(o, i2)));
                for (std::size_t r = 0; r < ranks[k]; ++r)
                  add(scales[k] * xi * static_cast<double>(a[k]->value()(r, i2)) *
                      static_cast<double>(b[k]->value()(o, r)));
              }
              // a rounding a term, and the three of a product of four
              result.add(std::abs(static_cast<double>(got(row, o)) - sum),
                         static_cast<double>(in + ranks[k] + 4) * rounding<T>(magnitude));
            }
          }
        INFO(in << " to " << out << ": " << result.message());
        CHECK(result);
      }
    }
}

TEST_CASE("each adapter drops elements of its own, scales the rest, and drops none while not training", "[low_rank]") {
  const std::size_t in = 200, rows = 400;
  nn::parameter_set<double> set;
  auto &a = set.add("a", 200, in), &b = set.add("b", 200, in);
  for (std::size_t i = 0; i < in; ++i) a.writable()(i, i) = b.writable()(i, i) = 1;  // u shows what is dropped of x
  tape<double> t({}, 9);
  const value x = t.input("x", rows, in);
  const value u = nn::project_down(t, x, {{t.parameter(a), 0.25}, {t.parameter(b), 0.25}});
  t.compile(nn::sum(t, u), {u});
  const std::vector<double> ones(rows * in, 1.0);
  t.set(x, {ones.data(), {rows, in}});
  t.forward();
  std::vector<double> first(t.read(u).data(), t.read(u).data() + t.read(u).size());
  std::size_t dropped = 0, both = 0;
  const double scale = kernels::epilogue::make_dropout(0.25, 0, 0).scale;
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < in; ++c) {
      const double one = first[r * 2 * in + c], two = first[r * 2 * in + in + c];
      CHECK((one == 0 || one == scale));
      dropped += one == 0;
      both += one == 0 && two == 0;
    }
  // Numbers of Bernoulli trials, within five standard deviations.
  const double n = static_cast<double>(rows * in);
  CHECK(std::abs(static_cast<double>(dropped) - n / 4) < 5 * std::sqrt(n * 3 / 16));
  CHECK(std::abs(static_cast<double>(both) - n / 16) < 5 * std::sqrt(n * 15 / 256));
  t.forward();  // the same step: the same masks
  CHECK(std::memcmp(first.data(), t.read(u).data(), first.size() * sizeof(double)) == 0);
  t.backward();
  t.forward();  // the next step: others
  CHECK(std::memcmp(first.data(), t.read(u).data(), first.size() * sizeof(double)) != 0);
  t.training(false);
  t.forward();
  for (std::size_t i = 0; i < t.read(u).size(); ++i) CHECK(t.read(u).data()[i] == 1);
}

TEST_CASE("terms keep what the gradients that are wanted read", "[low_rank]") {
  const std::size_t rows = 1000, in = 64, out = 48, rank = 4;
  const auto saved = [&](bool train_a, bool train_b, bool moving) {
    nn::parameter_set<float> set;
    auto &w = set.add("w", out, in), &a = set.add("a", rank, in), &b = set.add("b", out, rank),
         &l = set.add("l", 3, in);
    w.train(false), a.train(train_a), b.train(train_b), l.train(moving);
    tape<float> t;
    const value x = nn::matmul(t, t.input("x", rows, 3), t.parameter(l));
    const value u = nn::project_down(t, x, {{t.parameter(a), 0.5}});
    t.compile(nn::sum(t, nn::linear(t, x, {{t.parameter(w), {}, {{u, t.parameter(b), 2.0}}}})));
    return t.saved_bytes() / sizeof(float);
  };
  const std::size_t masks = rows * in / 32;  // of what is dropped, a bit an element
  // and the loss; the input is the tape's own
  CHECK(saved(true, true, false) == rows * (in + rank) + masks + 1);
  CHECK(saved(true, false, false) == rows * in + masks + 1);
  CHECK(saved(false, true, false) == rows * rank + 1);
  CHECK(saved(false, false, true) == masks + 1);
}

TEST_CASE("a norm runs again where a term would keep its output, to the same bits", "[low_rank]") {
  const std::size_t rows = 300, in = 40, rank = 3;
  std::vector<float> bits[2];
  std::size_t saved[2];
  for (const bool kept : {false, true}) {
    nn::parameter_set<float> set;
    const auto normal = [&](const char* name, std::size_t r, std::size_t c) -> nn::parameter<float>& {
      auto& p = set.add(name, r, c);
      const philox random(3, set.size());
      for (std::size_t i = 0; i < p.size(); ++i) p.writable().data()[i] = static_cast<float>(random.normal_at(i));
      return p;
    };
    auto &lift = normal("lift", in, 2), &gain = normal("gain", 1, in), &bias = normal("bias", 1, in),
         &w = normal("w", in, in);
    gain.train(false), bias.train(false), w.train(false);
    tape<float> t;
    const value x = t.input("x", rows, 2), lifted = nn::linear(t, x, {{t.parameter(lift)}});
    const value y = nn::layer_norm(t, lifted, t.parameter(gain), t.parameter(bias), 1e-5);
    const value u = nn::project_down(t, y, {{t.parameter(normal("a", rank, in)), 0.25}});
    const value z = nn::linear(t, y, {{t.parameter(w), {}, {{u, t.parameter(normal("b", in, rank)), 2.0}}}},
                               {activation::none, 0, y});
    t.compile(nn::sum(t, nn::unit_rows(t, z)), kept ? std::vector<value>{y} : std::vector<value>{});
    std::vector<float> data(rows * 2);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<float>(philox(4).normal_at(i));
    t.set(x, {data.data(), {rows, 2}});
    t.forward();
    t.backward();
    for (const char* name : {"lift", "a", "b"}) {
      const auto g = set.at(name).gradient();
      bits[kept].insert(bits[kept].end(), g.data(), g.data() + g.size());
    }
    saved[kept] = t.saved_bytes();
  }
  CHECK(bits[0].size() == bits[1].size());
  CHECK(std::memcmp(bits[0].data(), bits[1].data(), bits[0].size() * sizeof(float)) == 0);
  CHECK(saved[1] - saved[0] == rows * (in + 2) * sizeof(float));  // and mean and deviation of a row
}

TEST_CASE("misuse of low-rank terms has a name", "[low_rank]") {
  nn::parameter_set<float> set;
  tape<float> t;
  const auto rows = t.dimension_of("rows", 8), items = t.dimension_of("items", 4);
  const value x = t.input("x", rows, 4), a = t.parameter(set.add("a", 2, 4)), b = t.parameter(set.add("b", 3, 2)),
              w = t.parameter(set.add("w", 3, 4)), narrow = t.parameter(set.add("narrow", 2, 3));
  const nn::row_choice one{t.indices("adapters", rows, 3), {}, 1};
  const nn::row_choice ragged{t.indices("of items", items, 3), t.sequences_of(items, rows, 8), 1};
  const auto check = [](errc kind, const std::string& part, auto&& body) {
    const std::string message = tests::error_of(body);
    INFO(message);
    CHECK(tests::starts(message, std::string(name_of(kind))));
    CHECK(message.find(part) != std::string::npos);
  };
  check(errc::unsupported_shape, "no weights", [&] { nn::project_down(t, x, {}); });
  check(errc::unsupported_shape, "narrow of 2 x 3", [&] { nn::project_down(t, x, {{narrow}}); });
  check(errc::bad_option, "products are native, or bf16", [&] { nn::project_down(t, x, {{a}}, nn::precision::int8); });
  check(errc::bad_option, "dropout of 1", [&] { nn::project_down(t, x, {{a, 1.0}}); });
  check(errc::unsupported_shape, "two owners", [&] { nn::project_down(t, x, {{a}, {a, 0.0, 1}}); });
  check(errc::unsupported_shape, "two owners", [&] { nn::project_down(t, x, {{a, 0.0, 0, one}, {a, 0.0, 0, one}}); });
  check(errc::bad_option, "choice 3", [&] { nn::project_down(t, x, {{a, 0.0, 0, other(one, 3)}}); });
  check(errc::unsupported_shape, "entries", [&] { nn::project_down(t, x, {{a, 0.0, 0, {ragged.of_items, {}, 1}}}); });
  check(errc::unsupported_shape, "cannot choose", [&] {
    nn::project_down(t, t.input("by items", items, 4), {{a, 0.0, 0, ragged}});
  });
  const value u = nn::project_down(t, x, {{a, 0.0, 0, ragged}});
  check(errc::unsupported_shape, "b of 3 x 2", [&] { nn::linear(t, x, {{w, {}, {{u, b, 1.0, 1}}}}); });
  check(errc::unsupported_shape, "narrow of 2 x 3", [&] { nn::linear(t, x, {{w, {}, {{u, narrow}}}}); });
  check(errc::unsupported_shape, "do not fit", [&] { nn::linear(t, x, {{w, {}, {{t.input("v", items, 2), b}}}}); });
  CHECK(t.columns(nn::linear(t, x, {{w, {}, {{u, b, 1.0, 0, ragged}}}})) == 3);
}
