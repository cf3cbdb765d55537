// Every operation of a tape by nn_test::check_gradients.
#include "nn/gradients.hpp"

#include <hocket/nn/ops/arrange.hpp>
#include <hocket/nn/ops/layers.hpp>
#include <hocket/nn/ops/linear.hpp>
#include <hocket/nn/ops/losses.hpp>
#include <hocket/nn/ops/pointwise.hpp>

#include "catch.hpp"
#include "error_kind.hpp"

using namespace nn_test;
using nn::activation;
using nn::tape;
using nn::value;

TEST_CASE("gradients of linear with every epilogue", "[gradients]") {
  for (const activation act :
       {activation::none, activation::relu, activation::gelu, activation::tanh, activation::gelu_tanh})
    for (const double dropout : {0.0, 0.3})
      for (const bool residual : {false, true}) {
        check_gradients(
            text("linear ", name_of(act), " dropout ", dropout, residual ? " residual" : ""),
            [&](tape<double>& t, world& w) {
              const auto rows = w.rows(t, "rows", act == activation::relu ? 5 : 70, 71);  // few meet the corner of ReLU
              const value x =
                  nn::matmul(t, w.input(t, text("input of ", name_of(act)), rows, 2), w.parameter(t, "lift", 2, 5));
              return nn::linear(
                  t, x,
                  {{w.parameter(t, "w1", 7, 5), w.parameter(t, "b1", 1, 7)},
                   {w.parameter(t, "w2", 1, 5)},
                   {w.parameter(t, "w3", 3, 5), w.parameter(t, "b3", 1, 3)}},
                  {act, dropout, residual ? nn::concat_columns(t, {x, x, w.input(t, "r", rows, 1)}) : value{}});
            },
            12);
      }
  check_gradients("wide linear", [](tape<double>& t, world& w) {
    return nn::linear(t, w.parameter(t, "x", 3, 4), {{w.parameter(t, "w", 515, 4), w.parameter(t, "b", 1, 515)}},
                      {activation::gelu, 0.1});
  });
  check_gradients("a residual that is also the input", [](tape<double>& t, world& w) {
    const value x = nn::scaled(t, w.parameter(t, "x", 5, 4), 2.0);
    return nn::linear(t, x, {{w.parameter(t, "w", 4, 4)}}, {activation::none, 0, x});
  });
}

TEST_CASE("gradients of operations on elements and rows", "[gradients]") {
  const auto one = [](tape<double>& t, world& w) { return w.parameter(t, "a", 3, 37); };
  const auto other = [](tape<double>& t, world& w) { return w.parameter(t, "b", 3, 37); };
  for (const activation act : {activation::relu, activation::gelu, activation::tanh, activation::gelu_tanh})
    check_gradients(std::string(name_of(act)), [&](tape<double>& t, world& w) {
      return nn::activated(t, nn::scaled(t, w.parameter(t, "a", 5, 67), 1.5), act);
    });
  check_gradients("dropout",
                  [&](tape<double>& t, world& w) { return nn::dropout(t, nn::add(t, one(t, w), other(t, w)), 0.5); });
  check_gradients("add", [&](tape<double>& t, world& w) { return nn::add(t, one(t, w), other(t, w)); });
  check_gradients("a value added to itself", [&](tape<double>& t, world& w) {
    const value x = nn::scaled(t, one(t, w), 3.0, 1.0);
    return nn::multiply(t, nn::add(t, x, x), x);
  });
  check_gradients("multiply", [&](tape<double>& t, world& w) { return nn::multiply(t, one(t, w), other(t, w)); });
  check_gradients("softmax",
                  [&](tape<double>& t, world& w) { return nn::softmax(t, nn::add(t, one(t, w), other(t, w))); });
  check_gradients("unit rows", [&](tape<double>& t, world& w) { return nn::unit_rows(t, one(t, w)); });
  check_gradients("short rows", [&](tape<double>& t, world& w) { return nn::unit_rows(t, one(t, w), 100); });
  check_gradients("a value with five uses", [&](tape<double>& t, world& w) {
    const value x = nn::softmax(t, one(t, w));
    const value y = nn::add(t, nn::multiply(t, x, x), nn::softmax(t, x));
    return nn::add(t, nn::add(t, y, x), nn::unit_rows(t, x));
  });
}

TEST_CASE("gradients of what moves elements", "[gradients]") {
  check_gradients("reshape", [](tape<double>& t, world& w) {
    const value x = nn::reshape(t, nn::scaled(t, w.parameter(t, "a", 6, 10), 2.0), 15);
    return nn::multiply(t, x, x);
  });
  check_gradients("slices and concatenations", [](tape<double>& t, world& w) {
    const value a = w.parameter(t, "a", 6, 10), b = w.parameter(t, "b", 6, 3);
    const value left = nn::slice_columns(t, a, 2, 5), right = nn::slice_columns(t, a, 0, 4);
    const value wide = nn::concat_columns(t, {left, b, right});
    return nn::concat_rows(t, {nn::slice_rows(t, wide, 1, 2), wide, nn::slice_rows(t, wide, 0, 6)});
  });
  check_gradients("gather", [](tape<double>& t, world& w) {
    const auto rows = w.rows(t, "rows", 9, 20);
    return nn::gather(t, nn::scaled(t, w.parameter(t, "a", 4, 70), 1.0), w.indices(t, "ids", rows, 4));
  });
  check_gradients("sums", [](tape<double>& t, world& w) {
    const value a = w.parameter(t, "a", 6, 10);
    return nn::add(t, nn::mean(t, a),
                   nn::sum(t, nn::multiply(t, nn::row_sums(t, a), nn::row_sums(t, nn::multiply(t, a, a)))));
  });
  check_gradients("products", [](tape<double>& t, world& w) {
    const value a = w.parameter(t, "a", 6, 10), b = w.parameter(t, "b", 10, 7), c = w.parameter(t, "c", 3, 7);
    return nn::matmul(t, nn::matmul(t, a, b), c, true);
  });
}

TEST_CASE("gradients of the layers of an encoder", "[gradients]") {
  check_gradients("embedding", [](tape<double>& t, world& w) {
    const auto rows = w.rows(t, "rows", 23, 64);
    return nn::embedding(t, {{w.parameter(t, "words", 5, 70), w.indices(t, "ids", rows, 5)},
                             {w.parameter(t, "places", 9, 70), w.indices(t, "at", rows, 9)}});
  });
  check_gradients("layer norm", [](tape<double>& t, world& w) {
    const auto rows = w.rows(t, "rows", 67, 130);
    const value x = nn::matmul(t, w.input(t, "in", rows, 2), w.parameter(t, "lift", 2, 9));
    const value y = nn::layer_norm(t, x, w.parameter(t, "gain", 1, 9, 1), w.parameter(t, "bias", 1, 9), 1e-5);
    return nn::add(t, y, x);
  });
  for (const nn::pool kind : {nn::pool::mean, nn::pool::first})
    check_gradients(text("pool ", name_of(kind)), [&](tape<double>& t, world& w) {
      const std::vector<std::uint32_t> lengths = {3, 0, 7};
      const auto items = t.dimension_of("items", 3), tokens = t.dimension_of("tokens", 12);
      const auto batch = t.sequences_of(items, tokens, 9);
      w.sizes = {1, 3, 10};
      w.batch.push_back([=](tape<double>& to) { to.set(batch, lengths); });
      const value x = nn::matmul(t, w.input(t, "x", tokens, 3), w.parameter(t, "lift", 3, 5));
      const value both =
          nn::concat_columns(t, {nn::pooled(t, batch, x, kind), nn::pooled(t, batch, x, nn::pool::mean)});
      return both;
    });
}

namespace {

enum class bias { none, one, by_head, by_item, by_both };

/// Self-attention over projections of an input, with heads of width 3.
value attend(tape<double>& t, world& w, bool packed, bool prefix, bias added, const nn::attention_options& options) {
  constexpr std::size_t width = 3, longest = 9;
  const std::vector<std::uint32_t> lengths = {3, 1, 0, 7, 2};
  const auto items = t.dimension_of("items", 6), tokens = t.dimension_of("tokens", 40);
  const auto batch = t.sequences_of(items, tokens, longest);
  w.sizes = {1, 5, 13};
  w.batch.push_back([=](tape<double>& to) { to.set(batch, lengths); });
  const value x = w.input(t, "x", tokens, 4);
  const std::size_t kv = width * (options.kv_heads ? options.kv_heads : options.heads), q = width * options.heads;
  const auto project = [&](const char* name, std::size_t columns) {
    return nn::matmul(t, x, w.parameter(t, name, 4, columns));
  };
  nn::attention_inputs in;
  if (packed)
    in.q = in.k = in.v = project("qkv", q + 2 * kv);
  else
    in = {project("q", q), project("k", kv), project("v", kv)};
  if (prefix) {
    in.prefix_k = w.parameter(t, "prefix k", 3, kv);
    in.prefix_v = w.parameter(t, "prefix v", 3, kv);
  }
  const std::size_t rows = longest * (added == bias::by_head || added == bias::by_both ? options.heads : 1);
  if (added == bias::by_item || added == bias::by_both)
    in.bias = w.input(t, "bias", {items, rows}, longest);
  else if (added != bias::none)
    in.bias = w.input(t, "bias", rows, longest);
  return nn::attention(t, batch, in, options);
}

}  // namespace

TEST_CASE("gradients of attention", "[gradients]") {
  for (const bool packed : {true, false})
    for (const bool prefix : {true, false})
      for (const std::size_t kv_heads : {4u, 2u, 1u})
        for (const double dropout : {0.0, 0.3}) {
          nn::attention_options options{4, prefix != packed};
          options.kv_heads = kv_heads;
          options.dropout = dropout;
          check_gradients(
              text("attention", packed ? " packed" : "", prefix ? " prefix" : "", " heads 4/", kv_heads, " dropout ",
                   dropout),
              [&](tape<double>& t, world& w) { return attend(t, w, packed, prefix, bias::none, options); }, 24);
        }
  for (const bias added : {bias::one, bias::by_head, bias::by_item, bias::by_both})
    for (const std::size_t window : {0u, 3u}) {
      nn::attention_options options{2, false, window};
      options.dropout = window ? 0.2 : 0.0;
      check_gradients(
          text("attention, bias ", static_cast<int>(added), " window ", window),
          [&](tape<double>& t, world& w) { return attend(t, w, true, window != 0, added, options); }, 24);
    }
}

TEST_CASE("a bias of the wrong size, a trained one and heads that do not divide are refused", "[gradients]") {
  const auto refusal = [](const auto& change) {
    nn::parameter_set<double> parameters;
    tape<double> t;
    const auto items = t.dimension_of("items", 6), tokens = t.dimension_of("tokens", 40);
    const auto batch = t.sequences_of(items, tokens, 9);
    nn::attention_inputs in;
    in.q = in.k = in.v = t.input("x", tokens, 12);
    nn::attention_options options{2};
    change(t, parameters, items, in, options);
    return tests::kind_of([&] { nn::attention(t, batch, in, options); });
  };
  const auto biased = [&](std::size_t rows, std::size_t columns) {
    return refusal([&](auto& t, auto&, auto, auto& in, auto&) { in.bias = t.input("bias", rows, columns); });
  };
  CHECK(biased(9, 9) == "accepted");
  CHECK(biased(18, 9) == "accepted");
  CHECK(biased(9, 8) == "unsupported_shape");
  CHECK(biased(27, 9) == "unsupported_shape");
  CHECK(refusal([](auto& t, auto&, auto items, auto& in, auto&) {
          in.bias = t.input("bias", {items, 9}, 9);
        }) == "accepted");
  CHECK(refusal([](auto& t, auto&, auto, auto& in, auto&) {
          in.bias = t.input("bias", {t.dimension_of("others", 6), 9}, 9);
        }) == "unsupported_shape");
  CHECK(refusal([](auto& t, auto& parameters, auto, auto& in, auto&) {
          in.bias = t.parameter(parameters.add("bias", 9, 9));
        }) == "bad_option");
  CHECK(refusal([](auto&, auto&, auto, auto&, auto& options) { options.kv_heads = 1; }) == "accepted");
  CHECK(refusal([](auto&, auto&, auto, auto&, auto& options) { options = {3, false, 0, 2}; }) == "unsupported_shape");
  CHECK(refusal([](auto&, auto&, auto, auto&, auto& options) { options.heads = 5; }) == "unsupported_shape");
  CHECK(refusal([](auto&, auto&, auto, auto&, auto& options) { options.dropout = 1; }) == "bad_option");
}

TEST_CASE("gradients of losses", "[gradients]") {
  const auto logits = [](tape<double>& t, world& w, nn::extent rows, std::size_t columns) {
    return nn::matmul(t, w.input(t, "features", rows, 3), w.parameter(t, "head", 3, columns));
  };
  for (const double smoothing : {0.0, 0.1, 1.0})
    check_gradients("cross entropy", [&](tape<double>& t, world& w) {
      const auto rows = w.rows(t, "rows", 67, 80);
      return nn::cross_entropy(t, logits(t, w, rows, 5), w.indices(t, "labels", rows, 5), smoothing);
    });
  check_gradients("cross entropy of soft targets", [&](tape<double>& t, world& w) {
    const auto rows = w.rows(t, "rows", 4, 5);
    return nn::cross_entropy(t, logits(t, w, rows, 5), nn::softmax(t, w.input(t, "q", rows, 5)));
  });
  check_gradients(
      "mse", [&](tape<double>& t, world& w) { return nn::mse(t, logits(t, w, 4, 3), w.parameter(t, "target", 4, 3)); });
  check_gradients("binary cross entropy", [&](tape<double>& t, world& w) {
    return nn::binary_cross_entropy(t, logits(t, w, 4, 3), w.parameter(t, "target", 4, 3));
  });
  check_gradients("cosine", [&](tape<double>& t, world& w) {
    return nn::cosine_loss(t, logits(t, w, 4, 3), w.parameter(t, "other", 4, 3));
  });
  check_gradients("info nce", [&](tape<double>& t, world& w) {
    const auto rows = w.rows(t, "rows", 6, 9);
    const value a = logits(t, w, rows, 5);
    return nn::info_nce(t, a, nn::matmul(t, a, w.parameter(t, "turn", 5, 5)), 0.2);
  });
}
