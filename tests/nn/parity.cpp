// Every operation of a tape beside PyTorch (tests/oracles/ops/make.py): outputs by the 2x rule, gradients by
// 3x, in f32. In f64 they agree with finite differences (gradients.cpp).
#include <algorithm>
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
#include <hocket/nn/ops/pointwise.hpp>

#include "catch.hpp"
#include "nn/peer.hpp"

using namespace nn_test;
using nn::activation;
using nn::value;

namespace {

/// One case of the file on a tape.
class trial {
 public:
  /// `group`: the cases that differ in a setting only.
  trial(const io::safetensors_file& file, std::string name, std::vector<std::string> group)
      : t(cpu{1}, 5), file_(file), name_(std::move(name)), group_(std::move(group)) {}

  bool has(const std::string& input) const { return file_.contains(name_ + "/in/" + input); }
  bool named(std::string_view part) const { return name_.find(part) != std::string::npos; }
  std::vector<std::uint32_t> stored(const std::string& what) const { return numbers(file_, name_ + "/ids/" + what); }

  /// An input as a parameter.
  value operator()(const std::string& input) {
    const io::tensor_info& info = file_.info(name_ + "/in/" + input);
    const auto values = file_.copy_as<float>(info.name);
    auto& p = parameters_.add(input, info.extents[0], info.extents[1]);
    std::copy(values.begin(), values.end(), p.writable().data());
    return t.parameter(p);
  }
  /// An input that is set for each batch, with as many rows as `rows` says.
  value set(const std::string& input, nn::extent rows, bool with_gradient) {
    const std::string name = name_ + "/in/" + input;
    const value v = set_stored(name, rows, with_gradient);
    if (with_gradient) inputs_.emplace_back(input, v);
    return v;
  }
  value constant(const std::string& input) { return set(input, file_.info(name_ + "/in/" + input).extents[0], false); }
  nn::index_input ids(const std::string& what, std::size_t bound) {
    const auto values = stored(what);
    const nn::index_input i = t.indices(what, nn::extent(values.size()), bound);
    batch_.push_back([=, this] { t.set(i, values); });
    return i;
  }
  nn::sequences items() {
    const auto lengths = stored("lengths");
    std::size_t tokens = 0;
    for (const std::uint32_t n : lengths) tokens += n;
    const auto batch =
        t.sequences_of(t.dimension_of("items", lengths.size()), t.dimension_of("tokens", tokens), tokens);
    batch_.push_back([=, this] { t.set(batch, lengths); });
    return batch;
  }

  /// The loss is the sum of the output times dy.
  void check(value out) {
    const value dy = set_stored(name_ + "/dy", t.rows(out), false);
    t.compile(nn::sum(t, nn::multiply(t, out, dy)), {out});
    for (const auto& each : batch_) each();
    t.forward();
    compare_with("out", t.read(out), 2);
    t.backward();
    for (const auto& [input, v] : inputs_) compare_with("d/" + input, t.gradient(v), 3);
    for (auto& p : parameters_) compare_with("d/" + p.name(), view<const float, 2>(p.gradient()), 3);
  }

  nn::tape<float> t;

 private:
  value set_stored(const std::string& name, nn::extent rows, bool with_gradient) {
    const io::tensor_info& info = file_.info(name);
    const auto stored = file_.copy_as<float>(name);
    const shape<2> size{info.extents[0], info.extents[1]};
    const value v = t.input(name, rows, size[1], with_gradient);
    batch_.push_back([=, this, values = std::vector<float>(stored.begin(), stored.end())] {
      t.set(v, {values.data(), size});
    });
    return v;
  }
  void compare_with(const std::string& what, const view<const float, 2>& ours, double factor) {
    const auto reference = values(file_, name_ + "/f64/" + what);
    REQUIRE(ours.size() == reference.size());
    const std::string terms = name_ + "/magnitude/" + what;
    const double magnitude =
        file_.contains(terms) ? values(file_, terms)[0] : max_abs(reference.data(), reference.size());
    const comparison result = compare(ours.data(), reference.data(), reference.size(),
                                      peer_bound<float>(peer_error(what), magnitude, factor));
    INFO(name_ << " " << what << " " << result.message());
    CHECK(result);
    ++compared;
  }

  /// PyTorch's largest error in f32 among the cases of the group.
  double peer_error(const std::string& what) const {
    double largest = 0;
    for (const std::string& each : group_) {
      if (!file_.contains(each + "/f32/" + what)) continue;
      const auto f32 = values(file_, each + "/f32/" + what), f64 = values(file_, each + "/f64/" + what);
      largest = std::max(largest, max_abs_difference(f32.data(), f64.data(), f64.size()));
    }
    return largest;
  }

  const io::safetensors_file& file_;
  const std::string name_;
  const std::vector<std::string> group_;
  nn::parameter_set<float> parameters_;
  std::vector<std::function<void()>> batch_;
  std::vector<std::pair<std::string, value>> inputs_;

 public:
  std::size_t compared = 0;
};

value linear_of(trial& x) {
  activation act = activation::none;
  for (const auto& [each, name] : enum_names<activation>::values)
    if (x.named(text("/", name, "/"))) act = each;
  const value rows = x("x"), weight = x("w");
  nn::linear_weights weights{weight};
  nn::linear_options options{act, x.named("dropout") ? 0.4 : 0.0};
  if (x.has("b")) weights.bias = x("b");
  if (x.has("residual")) options.residual = x("residual");
  return nn::linear(x.t, rows, {weights}, options);
}

value attention_of(trial& x) {
  const auto batch = x.items();
  const nn::extent tokens = x.t.tokens(batch);
  nn::attention_inputs in;
  if (x.named("packed")) {
    in.q = in.k = in.v = x.set("qkv", tokens, true);
  } else {
    in.q = x.set("q", tokens, true);
    in.k = x.set("k", tokens, true);
    in.v = x.set("v", tokens, true);
  }
  if (x.has("prefix_k")) {
    in.prefix_k = x("prefix_k");
    in.prefix_v = x("prefix_v");
  }
  return nn::attention(x.t, batch, in, {x.stored("heads")[0], x.named("causal")});
}

/// The operation of a case: the first part of its name.
std::map<std::string, std::function<value(trial&)>> operations() {
  const auto pooled = [](trial& x, nn::pool kind) {
    const auto batch = x.items();
    return nn::pooled(x.t, batch, x.set("x", x.t.tokens(batch), true), kind);
  };
  const auto labelled = [](trial& x) {
    const value z = x("z");
    return nn::cross_entropy(x.t, z, x.ids("labels", x.t.columns(z)),
                             x.named("/100/")  ? 1.0
                             : x.named("/10/") ? 0.1
                                               : 0.0);
  };
  const auto two = [](auto operation) {
    return [operation](trial& x) {
      const value a = x("a");
      return operation(x.t, a, x("b"));
    };
  };
  const auto one = [](auto operation) { return [operation](trial& x) { return operation(x.t, x("x")); }; };
  using tape = nn::tape<float>;
  return {
      {"relu", one([](tape& t, value x) { return nn::activated(t, x, activation::relu); })},
      {"gelu", one([](tape& t, value x) { return nn::activated(t, x, activation::gelu); })},
      {"gelu_tanh", one([](tape& t, value x) { return nn::activated(t, x, activation::gelu_tanh); })},
      {"tanh", one([](tape& t, value x) { return nn::activated(t, x, activation::tanh); })},
      {"dropout", one([](tape& t, value x) { return nn::dropout(t, x, 0.3); })},
      {"scaled", one([](tape& t, value x) { return nn::scaled(t, x, -1.75f, 0.5f); })},
      {"softmax", one([](tape& t, value x) { return nn::softmax(t, x); })},
      {"unit_rows", one([](tape& t, value x) { return nn::unit_rows(t, x); })},
      {"short_rows", one([](tape& t, value x) { return nn::unit_rows(t, x, 100); })},
      {"sum", one([](tape& t, value x) { return nn::sum(t, x); })},
      {"mean", one([](tape& t, value x) { return nn::mean(t, x); })},
      {"row_sums", one([](tape& t, value x) { return nn::row_sums(t, x); })},
      {"reshape", one([](tape& t, value x) { return nn::reshape(t, x, 15); })},
      {"slice_columns", one([](tape& t, value x) { return nn::slice_columns(t, x, 3, 7); })},
      {"slice_rows", one([](tape& t, value x) { return nn::slice_rows(t, x, 2, 4); })},
      {"add", two([](tape& t, value a, value b) { return nn::add(t, a, b); })},
      {"multiply", two([](tape& t, value a, value b) { return nn::multiply(t, a, b); })},
      {"matmul", two([](tape& t, value a, value b) { return nn::matmul(t, a, b); })},
      {"matmul_turned", two([](tape& t, value a, value b) { return nn::matmul(t, a, b, true); })},
      {"concat_rows", two([](tape& t, value a, value b) {
         return nn::concat_rows(t, {a, b});
       })},
      {"cosine_similarity", two([](tape& t, value a, value b) { return nn::cosine_similarity(t, a, b); })},
      {"cosine_loss", two([](tape& t, value a, value b) { return nn::cosine_loss(t, a, b); })},
      {"info_nce", two([](tape& t, value a, value b) { return nn::info_nce(t, a, b, 0.2); })},
      {"concat_columns",
       [](trial& x) {
         const value a = x("a"), b = x("b"), c = x("c");
         return nn::concat_columns(x.t, {a, b, c, a});
       }},
      {"gather", [](trial& x) { return nn::gather(x.t, x("x"), x.ids("ids", 4)); }},
      {"layer_norm",
       [](trial& x) {
         const value rows = x("x"), gain = x("gain");
         return nn::layer_norm(x.t, rows, gain, x("bias"), 1e-5);
       }},
      {"linear", &linear_of},
      {"linear_dropout", &linear_of},
      {"linear_joined",
       [](trial& x) {
         const value rows = x("x"), q = x("q"), bq = x("bq"), k = x("k"), v = x("v"), bv = x("bv");
         return nn::linear(x.t, rows, {{q, bq}, {k}, {v, bv}}, {activation::gelu, 0.25});
       }},
      {"embedding",
       [](trial& x) {
         const value words = x("words"), places = x("places"), types = x("types");
         return nn::embedding(x.t,
                              {{words, x.ids("words", 7)}, {places, x.ids("places", 9)}, {types, x.ids("types", 2)}});
       }},
      {"attention", &attention_of},
      {"pool_mean", [=](trial& x) { return pooled(x, nn::pool::mean); }},
      {"pool_first", [=](trial& x) { return pooled(x, nn::pool::first); }},
      {"cross_entropy", labelled},
      {"soft_cross_entropy",
       [](trial& x) {
         const value z = x("z");
         return nn::cross_entropy(x.t, z, x.constant("q"));
       }},
      {"mse",
       [](trial& x) {
         const value a = x("x");
         return nn::mse(x.t, a, x("t"));
       }},
      {"binary_cross_entropy",
       [](trial& x) {
         const value a = x("x");
         return nn::binary_cross_entropy(x.t, a, x.constant("t"));
       }},
  };
}

}  // namespace

TEST_CASE("every operation of a tape equals PyTorch's, with its gradients", "[parity]") {
  const io::safetensors_file file(std::filesystem::path(HOCKET_SOURCE_DIR) / "tests/oracles/ops/ops.safetensors");
  const std::string* const listed = file.metadata("cases");
  REQUIRE(listed);
  auto known = operations();
  std::map<std::string, std::size_t> used;
  std::vector<std::pair<std::string, std::string>> cases;
  std::map<std::string, std::vector<std::string>> groups;
  std::istringstream lines(*listed);
  for (std::string name, group; lines >> name >> group;) {
    cases.emplace_back(name, group);
    groups[group].push_back(name);
  }
  std::size_t compared = 0;
  for (const auto& [name, group] : cases) {
    const std::string operation = name.substr(0, name.find('/'));
    INFO(name);
    REQUIRE(known.count(operation) == 1);
    trial one(file, name, groups[group]);
    one.check(known[operation](one));
    ++used[operation];
    compared += one.compared;
  }
  CHECK(used.size() == known.size());  // none is missing in the file
  std::size_t stored = 0;
  for (const auto& each : file.names()) stored += each.find("/f64/") != std::string::npos;
  CHECK(compared == stored);  // no output and no gradient of the file was left out
}
