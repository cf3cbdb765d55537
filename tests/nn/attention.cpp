// Attention on a tape: its options against PyTorch's, and dropout as a training step sees it.
#include <hocket/nn/ops/arrange.hpp>
#include <hocket/nn/ops/layers.hpp>
#include <hocket/nn/ops/pointwise.hpp>

#include "catch.hpp"
#include "kernels/attention/torch_oracle.hpp"

using namespace attention_test;

namespace {

/// Between (B, H, T, D) and a tape's rows (B T, H D).
template <class To, class From>
std::vector<To> exchange(const std::vector<From>& x, std::size_t heads, std::size_t rows, std::size_t width,
                         bool to_rows) {
  std::vector<To> out(x.size());
  for (std::size_t b = 0; b * heads * rows * width < x.size(); ++b)
    for (std::size_t h = 0; h < heads; ++h)
      for (std::size_t t = 0; t < rows; ++t)
        for (std::size_t d = 0; d < width; ++d) {
          const std::size_t outside = ((b * heads + h) * rows + t) * width + d,
                            inside = ((b * rows + t) * heads + h) * width + d;
          out[to_rows ? inside : outside] = static_cast<To>(x[to_rows ? outside : inside]);
        }
  return out;
}

}  // namespace

TEMPLATE_TEST_CASE("attention on a tape is PyTorch's: bias, causal, window, grouped heads, prefix", "[attention]",
                   float, double) {
  using T = TestType;
  for (const std::string& name : torch_cases) {
    const torch_case given(name);
    const attention::shape& s = given.s;
    if (s.queries != s.keys) continue;  // self-attention
    const std::size_t length = s.keys, tokens = s.batch * length;
    nn::tape<T> t(cpu{2});
    const auto items_of = t.dimension_of("items", s.batch), tokens_of = t.dimension_of("tokens", tokens);
    const auto batch = t.sequences_of(items_of, tokens_of, length);
    struct operand {
      std::string name;
      nn::value value;
      std::vector<T> data;
      std::size_t heads, rows;
    };
    std::vector<operand> operands;
    const auto input = [&](const char* what, nn::extent rows, std::size_t heads, std::size_t each) {
      operands.push_back({what, t.input(what, rows, heads * s.width, true),
                          exchange<T>(given.given(what), heads, each, s.width, true), heads, each});
      return operands.back().value;
    };
    nn::attention_inputs in;
    in.q = input("q", tokens_of, s.heads, length);
    in.k = input("k", tokens_of, s.kv_heads, length);
    in.v = input("v", tokens_of, s.kv_heads, length);
    if (s.prefix) {
      in.prefix_k = input("prefix_k", s.prefix, s.kv_heads, s.prefix);
      in.prefix_v = input("prefix_v", s.prefix, s.kv_heads, s.prefix);
    }
    if (given.biased()) in.bias = t.input("bias", s.heads * length, length);
    nn::attention_options options{s.heads, s.causal, s.window};
    options.kv_heads = s.kv_heads;
    const nn::value out = nn::attention(t, batch, in, options);
    const nn::value dout = t.input("dout", tokens_of, s.heads * s.width);
    t.compile(nn::sum(t, nn::multiply(t, out, dout)), {out});

    t.set(batch, std::vector<std::uint32_t>(s.batch, static_cast<std::uint32_t>(length)));
    for (const operand& o : operands)
      t.set(o.value, {o.data.data(), {o.data.size() / o.heads / s.width, o.heads * s.width}});
    const auto up = exchange<T>(given.given("dout"), s.heads, length, s.width, true);
    t.set(dout, {up.data(), {tokens, s.heads * s.width}});
    if (given.biased()) {
      const auto stored = given.given("bias");
      const std::vector<T> bias(stored.begin(), stored.end());
      t.set(in.bias, {bias.data(), {s.heads * length, length}});
    }
    t.forward();
    t.backward();
    const auto check = [&](const std::string& what, const view<const T, 2>& ours, std::size_t heads, std::size_t rows) {
      const auto ordered =
          exchange<double>(std::vector<T>(ours.data(), ours.data() + ours.size()), heads, rows, s.width, false);
      const comparison result = given.judge(ordered, "f32", what, rounding<T>(1));
      INFO(name << " " << what << ": " << result.message());
      CHECK(result);
    };
    check("out", t.read(out), s.heads, length);
    for (const operand& o : operands) check("d" + o.name, t.gradient(o.value), o.heads, o.rows);
  }
}

TEST_CASE("a tape drops probabilities in training only, anew in every step", "[attention]") {
  const std::size_t heads = 2, length = 20, width = length;
  nn::tape<float> t(cpu{1}, 77);
  const auto items = t.dimension_of("items", 1), tokens = t.dimension_of("tokens", length);
  const auto batch = t.sequences_of(items, tokens, length);
  // Equal scores and values that are rows of the identity: the output is the matrix of probabilities.
  const auto q = t.input("q", tokens, heads * width, true), v = t.input("v", tokens, width);
  nn::attention_options options{heads};
  options.kv_heads = 1;
  options.dropout = 0.25;
  const auto out = nn::attention(t, batch, {q, v, v}, options);
  t.compile(nn::sum(t, out), {out});
  t.set(batch, std::vector<std::uint32_t>{static_cast<std::uint32_t>(length)});
  const std::vector<float> zeros(length * heads * width);
  std::vector<float> identity(length * width);
  for (std::size_t i = 0; i < length; ++i) identity[i * width + i] = 1;
  t.set(q, {zeros.data(), {length, heads * width}});
  t.set(v, {identity.data(), {length, width}});
  const auto probabilities = [&] {
    t.forward();
    const auto made = t.read(out);
    return std::vector<float>(made.data(), made.data() + made.size());
  };
  const auto first = probabilities();
  const auto dropped = [](const std::vector<float>& x) { return std::count(x.begin(), x.end(), 0.0F); };
  for (std::size_t i = 0; i < first.size(); ++i)
    CHECK((first[i] == 0 || first[i] == 1 / (0.75F * static_cast<float>(length))));
  const double n = static_cast<double>(first.size());
  CHECK(std::abs(static_cast<double>(dropped(first)) - 0.25 * n) <= 6 * std::sqrt(n * 0.25 * 0.75));
  CHECK(probabilities() == first);  // the step is not over
  t.backward();
  CHECK(probabilities() != first);
  t.seek(0);
  CHECK(probabilities() == first);
  t.training(false);
  const auto whole = probabilities();
  CHECK(dropped(whole) == 0);
}
