// Products in bf16 and int8 on a tape, and what is kept in bf16 between operations: values and gradients beside the
// tape's own f64, which PyTorch's sums confirm, within twice (gradients three times) the error that PyTorch's autocast
// and its quantised products make of the same numbers (tests/oracles/precision/make.py). On every instruction set, with
// and without the matrix unit; the same bits for any number of threads, recomputed, and for any choice of gradients.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/nn/ops/arrange.hpp>
#include <hocket/nn/ops/layers.hpp>
#include <hocket/nn/ops/linear.hpp>
#include <hocket/nn/ops/losses.hpp>
#include <hocket/nn/ops/low_rank.hpp>
#include <hocket/nn/ops/pointwise.hpp>

#include "catch.hpp"
#include "error_kind.hpp"
#include "machine_sets.hpp"
#include "nn/peer.hpp"

using namespace nn_test;
using nn::activation;
using nn::precision;
using nn::storage;
using nn::value;

namespace {

struct setting {
  precision products = precision::bf16;
  cpu device{1};
  bool training = true, checkpoint = false;
  std::string alone = {};  ///< the only input with a gradient; empty: all have one
};

/// One case of the file on a tape of T: in f64 with nothing rounded, in f32 with products and storage of 16 or 8 bits.
template <class T>
class trial {
 public:
  trial(const io::safetensors_file& file, std::string name, const setting& how)
      : t(how.device, 5), file_(file), name_(std::move(name)), how_(how) {}

  bool has(const std::string& input) const { return file_.contains(name_ + "/in/" + input); }
  bool named(std::string_view part) const { return name_.find(part) != std::string::npos; }
  std::vector<std::uint32_t> stored(const std::string& what) const { return numbers(file_, name_ + "/ids/" + what); }
  activation act() const {
    for (const auto& [each, name] : enum_names<activation>::values)
      if (named(text("/", name))) return each == activation::gelu && named("gelu_tanh") ? activation::gelu_tanh : each;
    return activation::none;
  }
  nn::linear_options options(activation act = activation::none, double dropout = 0, bool between = false) const {
    nn::linear_options o{act, dropout};
    if constexpr (std::is_same_v<T, float>) {
      o.products = how_.products;
      o.kept_in = between ? storage::bf16 : storage::native;
    }
    return o;
  }

  /// Products of a low-rank term beside those of `options`.
  nn::precision narrow() const { return nn::precision_of_terms(options().products); }

  /// An input as a parameter.
  value operator()(const std::string& input) {
    const io::tensor_info& info = file_.info(name_ + "/in/" + input);
    const auto values = file_.copy_as<T>(info.name);
    auto& p = parameters_.add(input, info.extents[0], info.extents[1]);
    std::copy(values.begin(), values.end(), p.writable().data());
    p.train(wanted(input));
    return t.parameter(p);
  }
  /// One with the rows of a dimension.
  value set(const std::string& input, nn::extent rows) {
    const bool moves = wanted(input);
    const value v = set_stored(name_ + "/in/" + input, rows, moves);
    if (moves) inputs_.emplace_back(input, v);
    return v;
  }
  nn::sequences items() {
    const auto lengths = stored("lengths");
    std::size_t tokens = 0;
    for (const std::uint32_t n : lengths) tokens += n;
    const auto batch = t.sequences_of(t.dimension_of("items", lengths.size()), t.dimension_of("tokens", tokens),
                                      *std::max_element(lengths.begin(), lengths.end()));
    batch_.push_back([=, this] { t.set(batch, lengths); });
    return batch;
  }
  nn::index_input ids(const std::string& what, nn::extent rows, std::size_t bound) {
    const nn::index_input i = t.indices(what, rows, bound);
    batch_.push_back([=, this] { t.set(i, stored(what)); });
    return i;
  }

  /// Output and gradients; the loss is the sum of the output times dy.
  std::map<std::string, std::vector<T>> run(const std::function<value(trial&)>& make) {
    const auto both = [&] { return nn::widened(t, make(*this)); };
    const value out = how_.checkpoint ? t.checkpointed(both) : both();
    if (how_.training) {
      const value dy = set_stored(name_ + "/dy", t.rows(out), false);
      t.compile(nn::sum(t, nn::multiply(t, out, dy)), {out});
    } else {
      t.compile_forward({out});
    }
    for (const auto& each : batch_) each();
    t.training(how_.training);
    t.forward();
    std::map<std::string, std::vector<T>> results;
    const auto put = [&](const std::string& what, const view<const T, 2>& m) {
      results[what].assign(m.data(), m.data() + m.size());
    };
    put("out", t.read(out));
    if (!how_.training) return results;
    t.backward();
    for (const auto& [input, v] : inputs_) put("d/" + input, t.gradient(v));
    for (auto& p : parameters_)
      if (p.trainable()) put("d/" + p.name(), view<const T, 2>(p.gradient()));
    return results;
  }

  nn::tape<T> t;

 private:
  bool wanted(const std::string& input) const { return how_.training && (how_.alone.empty() || how_.alone == input); }
  value set_stored(const std::string& name, nn::extent rows, bool with_gradient) {
    const io::tensor_info& info = file_.info(name);
    const auto stored = file_.copy_as<T>(name);
    const shape<2> size{info.extents[0], info.extents[1]};
    const value v = t.input(name, rows, size[1], with_gradient);
    batch_.push_back([=, this, values = std::vector<T>(stored.begin(), stored.end())] {
      t.set(v, {values.data(), size});
    });
    return v;
  }

  const io::safetensors_file& file_;
  const std::string name_;
  const setting how_;
  nn::parameter_set<T> parameters_;
  std::vector<std::function<void()>> batch_;
  std::vector<std::pair<std::string, value>> inputs_;
};

/// A generic function on both tapes.
struct recipe {
  template <class F>
  recipe(F f) : single(f), wide(f) {}
  std::function<value(trial<float>&)> single;
  std::function<value(trial<double>&)> wide;
  template <class T>
  const auto& on() const {
    if constexpr (std::is_same_v<T, float>)
      return single;
    else
      return wide;
  }
};

const auto linear_of = [](auto& x) {
  const value rows = x("x"), w = x("w"), b = x("b");
  auto options = x.options(x.act(), x.named("kept/") ? 0.4 : 0, x.named("kept/"));
  if (x.has("residual")) options.residual = x("residual");
  return nn::linear(x.t, rows, {{w, b}}, options);
};

const auto attention_of = [](auto& x) {
  const auto batch = x.items();
  const auto counts = x.stored("heads");
  const value rows = x.set("x", x.t.tokens(batch)), q = x("q"), k = x("k"), v = x("v"), o = x("o");
  const auto between = x.options(activation::none, 0, true);
  nn::attention_inputs in;
  if (x.named("causal")) {  // apart; elsewhere side by side
    in.q = nn::linear(x.t, rows, {{q}}, between);
    in.k = nn::linear(x.t, rows, {{k}}, between);
    in.v = nn::linear(x.t, rows, {{v}}, between);
  } else {
    in.q = in.k = in.v = nn::linear(x.t, rows, {{q}, {k}, {v}}, between);
  }
  if (x.has("prefix_k")) {
    in.prefix_k = x("prefix_k");
    in.prefix_v = x("prefix_v");
  }
  nn::attention_options how{counts[0], x.named("causal")};
  how.kv_heads = counts[1];
  how.dropout = x.named("dropout") ? 0.25 : 0;
  auto last = x.options();
  last.residual = rows;
  return nn::linear(x.t, nn::attention(x.t, batch, in, how), {{o}}, last);
};

const std::map<std::string, recipe>& recipes() {
  static const std::map<std::string, recipe> all = {
      {"linear", linear_of},
      {"kept", linear_of},
      {"int8", linear_of},
      {"attention", attention_of},
      {"joined",
       [](auto& x) {
         const value rows = x("x"), q = x("q"), bq = x("bq"), k = x("k"), v = x("v"), bv = x("bv");
         return nn::linear(x.t, rows, {{q, bq}, {k}, {v, bv}}, x.options(activation::gelu, 0.25));
       }},
      {"chain",
       [](auto& x) {
         const value rows = x("x"), w1 = x("w1"), b1 = x("b1"), w2 = x("w2"), b2 = x("b2");
         const value wide = nn::linear(x.t, rows, {{w1, b1}}, x.options(x.act(), 0.2, true));
         auto last = x.options(activation::none, 0.1);
         last.residual = x("residual");
         return nn::linear(x.t, wide, {{w2, b2}}, last);
       }},
      {"terms",
       [](auto& x) {
         const value rows = x("x"), w1 = x("w1"), c1 = x("c1"), a1 = x("a1"), b1 = x("b1"), w2 = x("w2"), a2 = x("a2"),
                     b2 = x("b2");
         const value u = nn::project_down(x.t, rows, {{a1, 0.2}, {a2}}, x.narrow());
         return nn::linear(x.t, rows, {{w1, c1, {{u, b1, 2}}}, {w2, {}, {{u, b2, -0.5, 3}}}},
                           x.options(activation::gelu));
       }},
      {"terms_kept",
       [](auto& x) {
         const value rows = x("x"), w0 = x("w0"), w1 = x("w1"), c1 = x("c1"), a1 = x("a1"), b1 = x("b1");
         const value h = nn::linear(x.t, rows, {{w0}}, x.options(activation::none, 0, true));
         const value u = nn::project_down(x.t, h, {{a1}}, x.narrow());
         return nn::linear(x.t, h, {{w1, c1, {{u, b1, 2}}}}, x.options());
       }},
      {"mixed",
       [](auto& x) {
         const auto batch = x.items();
         const auto tokens = x.t.tokens(batch);
         const auto who = x.ids("adapters", x.t.items(batch), 3);
         const nn::row_choice one{who, batch, 1}, two{who, batch, 2};
         const value rows = x.set("x", tokens), w = x("w"), a1 = x("a1"), b1 = x("b1"), a2 = x("a2"), b2 = x("b2");
         const value u = nn::project_down(x.t, rows, {{a1, 0, 0, one}, {a2, 0, 0, two}}, x.narrow());
         return nn::linear(x.t, rows, {{w, {}, {{u, b1, 1, 0, one}, {u, b2, 2, 0, two}}}}, x.options(activation::gelu));
       }},
  };
  return all;
}

struct listed {
  listed() : file(std::filesystem::path(HOCKET_SOURCE_DIR) / "tests/oracles/precision/precision.safetensors") {
    const std::string* const names = file.metadata("cases");
    REQUIRE(names);
    std::istringstream lines(*names);
    for (std::string name, group; lines >> name >> group;) {
      cases.emplace_back(name, group);
      groups[group].push_back(name);
    }
  }
  const recipe& of(const std::string& name) const { return recipes().at(name.substr(0, name.find('/'))); }
  std::vector<double> facts(const std::string& name, const std::string& what) const {
    return values(file, name + "/facts/" + what);
  }
  double peer_error(const std::string& group, const std::string& what) const {
    double largest = 0;
    for (const std::string& each : groups.at(group)) largest = std::max(largest, facts(each, what)[0]);
    return largest;
  }
  io::safetensors_file file;
  std::vector<std::pair<std::string, std::string>> cases;
  std::map<std::string, std::vector<std::string>> groups;
};

template <class T>
auto run(const listed& all, const std::string& name, const setting& how) {
  trial<T> one(all.file, name, how);
  return one.run(all.of(name).template on<T>());
}

/// The tape in f64; what PyTorch sums up in f64 is the same.
std::map<std::string, std::vector<double>> reference_of(const listed& all, const std::string& name, bool training) {
  setting how;
  how.training = training;
  auto made = run<double>(all, name, how);
  for (const auto& [what, m] : made) {
    const auto facts = all.facts(name, what);
    if (std::isnan(facts[1])) continue;
    double sum = 0, squares = 0;
    for (const double x : m) sum += x, squares += x * x;
    INFO(name << " " << what << ": " << sum << " beside " << facts[1]);
    const double roundings = 64 * std::sqrt(static_cast<double>(m.size())) * (facts[2] + 1);
    CHECK(std::abs(sum - facts[1]) <= rounding<double>(roundings));
    CHECK(std::abs(std::sqrt(squares) - facts[2]) <= rounding<double>(roundings));
  }
  return made;
}

void compare_all(const listed& all, const std::string& group, const std::map<std::string, std::vector<float>>& ours,
                 const std::map<std::string, std::vector<double>>& reference) {
  REQUIRE(ours.size() == reference.size());
  for (const auto& [what, expected] : reference) {
    const auto& made = ours.at(what);
    REQUIRE(made.size() == expected.size());
    const comparison result =
        compare(made.data(), expected.data(), expected.size(),
                peer_bound<float>(all.peer_error(group, what), max_abs(expected.data(), expected.size()),
                                  what == "out" ? 2 : 3));
    INFO(what << " " << result.message());
    CHECK(result);
  }
}

template <class Map>
bool same_bits(const Map& a, const Map& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](const auto& x, const auto& y) {
           return x.first == y.first && x.second.size() == y.second.size() &&
                  (x.second.empty() ||
                   std::memcmp(x.second.data(), y.second.data(), x.second.size() * sizeof(x.second[0])) == 0);
         });
}

}  // namespace

TEST_CASE("bf16 on a tape is at most twice as far from f64 as PyTorch's autocast, gradients three times",
          "[precision]") {
  const listed all;
  std::size_t made = 0;
  for (const auto& [name, group] : all.cases) {
    if (name.starts_with("int8/")) continue;
    const auto reference = reference_of(all, name, true);
    for (const auto& mode : tests::machine_modes(true)) {
      const tests::on_mode guard(mode);
      INFO(name << " " << mode.text());
      const auto one = run<float>(all, name, {});
      compare_all(all, group, one, reference);
      for (const int threads : {2, 3}) CHECK(same_bits(one, run<float>(all, name, {precision::bf16, cpu{threads}})));
      setting again;
      again.checkpoint = true;
      CHECK(same_bits(one, run<float>(all, name, again)));
    }
    ++made;
  }
  CHECK(made > 30);
}

TEST_CASE("in bf16 a gradient that is wanted alone is the one that it is among others", "[precision]") {
  const listed all;
  for (const auto& [name, group] : all.cases) {
    if (name.starts_with("int8/")) continue;
    for (const auto unit : {matrix_unit::none, matrix_unit::amx}) {
      const tests::on_unit guard(unit);
      const auto together = run<float>(all, name, {});
      for (const auto& [what, gradient] : together) {
        if (what == "out") continue;
        setting how;
        how.alone = what.substr(2);
        for (const int threads : {1, 2}) {
          how.device = cpu{threads};
          const auto alone = run<float>(all, name, how);
          INFO(name << " " << what << " " << threads);
          CHECK(same_bits(alone, {{what, gradient}, {"out", together.at("out")}}));
        }
      }
    }
  }
}

TEST_CASE("int8 products are at most twice as far from f64 as PyTorch's quantised ones", "[precision]") {
  const listed all;
  setting how;
  how.products = precision::int8;
  how.training = false;
  std::size_t made = 0;
  for (const auto& [name, group] : all.cases) {
    if (!name.starts_with("int8/")) continue;
    const auto reference = reference_of(all, name, false);
    for (const auto& mode : tests::machine_modes(true)) {
      const tests::on_mode guard(mode);
      INFO(name << " " << mode.text());
      how.device = cpu{1};
      const auto one = run<float>(all, name, how);
      compare_all(all, group, one, reference);
      for (const int threads : {2, 3}) {
        how.device = cpu{threads};
        CHECK(same_bits(one, run<float>(all, name, how)));
      }
    }
    ++made;
  }
  CHECK(made == 6);
}

TEST_CASE("int8 serves adapters, whose terms are computed in bf16, and inputs kept in bf16", "[precision]") {
  const listed all;
  setting how;
  how.products = precision::int8;
  how.training = false;
  for (const std::string name : {"terms", "terms_kept", "mixed", "chain/gelu", "attention/prefix"}) {
    setting exact;
    exact.training = false;
    const auto reference = run<double>(all, name, exact);
    const auto& expected = reference.at("out");
    for (const auto& mode : tests::machine_modes(true)) {
      const tests::on_mode guard(mode);
      const auto made = run<float>(all, name, how);
      // Of 8 bits: the error of each product is a small share of what is summed. Cosines say so for whole rows.
      double dot = 0, ours = 0, theirs = 0;
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const double x = static_cast<double>(made.at("out")[i]);
        dot += x * expected[i];
        ours += x * x;
        theirs += expected[i] * expected[i];
      }
      INFO(name << " " << mode.text() << " " << dot / std::sqrt(ours * theirs));
      CHECK(dot >= 0.99 * std::sqrt(ours * theirs));
      how.device = cpu{2};
      CHECK(same_bits(made, run<float>(all, name, how)));
      how.device = cpu{1};
    }
  }
}

TEST_CASE("what is kept in bf16 is taken, widened or refused by name", "[precision]") {
  nn::parameter_set<float> parameters;
  auto &w = parameters.add("w", 4, 4), &frozen = parameters.add("frozen", 4, 4);
  for (auto& p : parameters)
    for (std::size_t i = 0; i < p.size(); ++i) p.writable().data()[i] = 0.25F * static_cast<float>(i);
  frozen.train(false);
  const auto refused = [&](const std::string& part, auto&& body) {
    nn::tape<float> t;
    const value x = t.input("x", 3, 4);
    const value kept = nn::linear(t, x, {{t.parameter(w)}}, {.products = precision::bf16, .kept_in = storage::bf16});
    try {
      body(t, x, kept);
      FAIL("accepted; expected " << part);
    } catch (const error& e) {
      INFO(e.what());
      CHECK(e.kind() == errc::bad_option);
      CHECK(std::string(e.what()).find(part) != std::string::npos);
    }
  };
  refused("linear (operation 0) of 3 x 4 is kept in bf16; widened() makes f32 of it",
          [](auto& t, value, value kept) { nn::activated(t, kept, activation::relu); });
  refused("is kept in bf16; widened()", [](auto& t, value x, value kept) { nn::add(t, x, kept); });
  refused("is kept in bf16 and cannot be read", [](auto& t, value, value kept) { t.compile_forward({kept}); });
  refused("x is kept in bf16; products are to be in native",
          [&](auto& t, value, value kept) { nn::linear(t, kept, {{t.parameter(w)}}); });
  refused("a sum with a residual is kept in the tape's own type", [&](auto& t, value x, value) {
    nn::linear(t, x, {{t.parameter(w)}}, {.residual = x, .products = precision::bf16, .kept_in = storage::bf16});
  });
  refused("split is how native ones are computed",
          [&](auto& t, value x, value) { nn::linear(t, x, {{t.parameter(w)}}, {.products = precision::split}); });
  refused("split is how native ones are computed",
          [](auto&, value, value) { nn::tape<float>(hocket::cpu{}, 0, {}, precision::split); });
  refused("products in int8 have no gradients",
          [&](auto& t, value x, value) { nn::linear(t, x, {{t.parameter(w)}}, {.products = precision::int8}); });
  refused("products in int8 have no gradients", [&](auto& t, value, value kept) {
    nn::linear(t, kept, {{t.parameter(frozen)}}, {.products = precision::int8});  // x moves
  });
  refused("q, k and v must be kept in the same type", [](auto& t, value x, value kept) {
    const auto batch = t.sequences_of(t.dimension_of("items", 3), t.dimension_of("tokens", 3), 3);
    const value q = t.input("q", t.tokens(batch), 4),
                k = nn::linear(t, q, {{t.input("p", 4, 4)}}, {.products = precision::bf16, .kept_in = storage::bf16});
    (void)x, (void)kept;
    nn::attention(t, batch, {q, k, q}, {1});
  });
  refused("a loss is kept in the tape's own type", [&](auto& t, value x, value) {
    t.compile(nn::linear(t, nn::slice_rows(t, x, 0, 1), {{nn::slice_rows(t, t.parameter(w), 0, 1)}},
                         {.products = precision::bf16, .kept_in = storage::bf16}));
  });
  CHECK(tests::kind_of([] { nn::tape<double> t(cpu{1}, 0, {}, precision::bf16); }) == "bad_option");
  CHECK(tests::kind_of([] { nn::tape<double> t(cpu{1}, 0, {}, precision::int8); }) == "bad_option");
  nn::tape<double> wide;
  const value x = wide.input("x", 3, 4), v = wide.input("w", 4, 4);
  CHECK(tests::kind_of([&] { nn::linear(wide, x, {{v}}, {.products = precision::bf16}); }) == "bad_option");
  CHECK(tests::kind_of([&] { nn::linear(wide, x, {{v}}, {.kept_in = storage::bf16}); }) == "bad_option");
  CHECK(nn::widened(wide, x).index == x.index);
}

TEST_CASE("widened is exact, its gradient is rounded to bf16, and gradients of several readers add up", "[precision]") {
  for (const auto& mode : tests::machine_modes(true)) {
    const tests::on_mode guard(mode);
    nn::parameter_set<float> parameters;
    auto &w = parameters.add("w", 33, 5), &identity = parameters.add("identity", 33, 33);
    const philox random(3);
    for (std::size_t i = 0; i < w.size(); ++i) w.writable().data()[i] = static_cast<float>(random.normal_at(i));
    std::fill_n(identity.writable().data(), identity.size(), 0.0F);
    for (std::size_t i = 0; i < 33; ++i) identity.writable().data()[i * 34] = 1;
    identity.train(false);
    nn::tape<float> t;
    const auto rows = t.dimension_of("rows", 70);
    const value x = t.input("x", rows, 33, true), dy = t.input("dy", rows, 33), other = t.input("other", rows, 33);
    // Through the identity x is rounded and nothing else.
    const value kept =
        nn::linear(t, x, {{t.parameter(identity)}}, {.products = precision::bf16, .kept_in = storage::bf16});
    const value one = nn::widened(t, kept), two = nn::widened(t, kept);
    CHECK(t.kept_in(one) == storage::native);
    t.compile(nn::add(t, nn::sum(t, nn::multiply(t, one, dy)), nn::sum(t, nn::multiply(t, two, other))), {one});
    std::vector<float> a(70 * 33), b(a.size()), c(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      a[i] = static_cast<float>(random.normal_at(1000 + i));
      b[i] = static_cast<float>(random.normal_at(5000 + i));
      c[i] = static_cast<float>(random.normal_at(9000 + i));
    }
    t.set(rows, 70);
    t.set(x, {a.data(), {70, 33}});
    t.set(dy, {b.data(), {70, 33}});
    t.set(other, {c.data(), {70, 33}});
    t.forward();
    const auto rounded = [](float each) { return to_f32(to_bf16(each)); };
    for (std::size_t i = 0; i < a.size(); ++i) CHECK(t.read(one).data()[i] == rounded(a[i]));
    t.backward();
    for (std::size_t i = 0; i < a.size(); ++i) CHECK(t.gradient(x).data()[i] == rounded(rounded(b[i]) + rounded(c[i])));
  }
}
