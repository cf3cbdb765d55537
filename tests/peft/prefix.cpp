// Prefix tuning: where rows go, the network behind them, rows of a real text, positions; together with LoRA.
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"
#include "error_kind.hpp"
#include "peft/small.hpp"

using namespace peft_test;
using nn::classifier_options;
using nn::classifier_pooling;

namespace {
const classifier_options three{classifier_pooling::mean, 3};
}

TEST_CASE("the rows of a network are its product, and train through it", "[peft][prefix]") {
  const auto config = small_config();
  nn::parameter_set<double> weights;
  make_small(weights, config, three);
  const peft::prefix method{{.rows = 3, .projection = true, .hidden = 5}};
  peft::attach(method, config, weights, 2);
  const auto rows = peft::prefix_rows(method, config, weights);
  const std::size_t flat = 2 * 2 * 36;
  REQUIRE(rows.extents() == shape<2>{3, flat});
  const auto w = [&](const std::string& name) { return weights.at("prompt_encoder.default." + name).value(); };
  const auto e = w("embedding.weight"), w0 = w("transform.0.weight"), b0 = w("transform.0.bias"),
             w2 = w("transform.2.weight"), b2 = w("transform.2.bias");
  comparison result;
  for (std::size_t r = 0; r < 3; ++r)
    for (std::size_t c = 0; c < flat; ++c) {
      double sum = b2(0, c);
      for (std::size_t h = 0; h < 5; ++h) {
        double inner = b0(0, h);
        for (std::size_t i = 0; i < 36; ++i) inner += e(r, i) * w0(h, i);
        sum += w2(c, h) * std::tanh(inner);
      }
      result.add(std::abs(sum - rows.as_view()(r, c)), rounding<float>(1));
    }
  INFO(result.message());
  CHECK(result);

  // The same rows given directly: the same logits.
  nn::parameter_set<double> direct;
  make_small(direct, config, three);
  const peft::prefix plain{{.rows = 3}};
  peft::attach(plain, config, direct, 2);
  std::copy(rows.begin(), rows.end(), direct.at(plain.table()).writable().data());
  recorded<double> one(config, three, weights, [&](auto&into) { method.join(into); }),
      two(config, three, direct, [&](auto&into) { plain.join(into); });
  const texts_of b = make_texts(config, {5, 20, 1, 7}, 3);
  CHECK(std::abs(one.forward(b) - two.forward(b)) < rounding<float>(1));

  // Finite differences through the network, as tests/nn/gradients.hpp.
  clear_gradients(weights);
  one.forward(b);
  one.t.backward();
  const double epsilon = std::numeric_limits<double>::epsilon(), h = std::pow(epsilon, 0.2);
  for (const char* name :
       {"embedding.weight", "transform.0.weight", "transform.0.bias", "transform.2.weight", "transform.2.bias"}) {
    auto& p = weights.at(text("prompt_encoder.default.", name));
    const double largest = max_abs(p.gradient().data(), p.size());
    CHECK(largest > 0);
    comparison slopes;
    for (std::size_t i = 0; i < p.size(); i += std::max<std::size_t>(1, p.size() / 12)) {
      double& x = p.writable().data()[i];
      const double before = x;
      const auto loss = [&](double step) {
        x = before + step * h;
        return one.forward(b);
      };
      const double slope = (8 * (loss(1) - loss(-1)) - (loss(2) - loss(-2))) / (12 * h);
      x = before;
      slopes.add(std::abs(slope - p.gradient().data()[i]), std::sqrt(epsilon) * std::max(largest, loss(0)));
    }
    INFO(name << " " << slopes.message());
    CHECK(slopes);
  }
}

TEST_CASE("rows of a text are the keys and values that it has; behind them the text reads as it does with it",
          "[peft][prefix]") {
  const auto config = small_config();
  nn::parameter_set<double> weights;
  make_small(weights, config, three);
  const peft::prefix method{{.rows = 5}};
  peft::attach(method, config, weights, 2);
  const texts_of text_ids = make_texts(config, {9}, 3, 12);
  peft::initialise_from_text(method, config, weights, std::span<const std::uint32_t>(text_ids.ids));
  // Layer 0 from the definition: keys and values of the normed embeddings.
  const auto w = [&](const std::string& name) { return weights.at(name).value(); };
  const auto rows = w(method.table());
  comparison result;
  for (std::size_t r = 0; r < 5; ++r) {
    std::vector<double> x(36);
    double mean = 0, variance = 0;
    for (std::size_t i = 0; i < 36; ++i) {
      x[i] = w("embeddings.word_embeddings.weight")(text_ids.ids[r], i) +
             w("embeddings.position_embeddings.weight")(r, i) + w("embeddings.token_type_embeddings.weight")(0, i);
      mean += x[i] / 36;
    }
    for (const double each : x) variance += (each - mean) * (each - mean) / 36;
    for (std::size_t i = 0; i < 36; ++i)
      x[i] = (x[i] - mean) / std::sqrt(variance + config.layer_norm_eps) * w("embeddings.LayerNorm.weight")(0, i) +
             w("embeddings.LayerNorm.bias")(0, i);
    for (std::size_t part = 0; part < 2; ++part) {
      const std::string module =
          part == 0 ? "encoder.layer.0.attention.self.key" : "encoder.layer.0.attention.self.value";
      for (std::size_t c = 0; c < 36; ++c) {
        double sum = w(module + ".bias")(0, c);
        for (std::size_t i = 0; i < 36; ++i) sum += x[i] * w(module + ".weight")(c, i);
        result.add(std::abs(sum - rows(r, part * 36 + c)), rounding<float>(1));
      }
    }
  }
  INFO(result.message());
  CHECK(result);
  const std::string short_text = tests::error_of([&] {
    peft::initialise_from_text(method, config, weights, std::span<const std::uint32_t>(text_ids.ids).first(4));
  });
  CHECK(short_text.find("text of 4 tokens; it needs 5") != std::string::npos);
  const peft::prefix network{{.rows = 2, .projection = true}, "other"};
  network.add_to(config, weights, 1);
  CHECK(tests::kind_of([&] {
          peft::initialise_from_text(network, config, weights, std::span<const std::uint32_t>(text_ids.ids));
        }) == "bad_option");
}

TEST_CASE("positions of texts begin behind the prefix, and a text must leave it room", "[peft][prefix]") {
  auto config = small_config();
  nn::parameter_set<double> weights, shifted;
  make_small(weights, config, three);
  make_small(shifted, config, three);
  const peft::prefix method{{.rows = 4}};
  for (auto* set : {&weights, &shifted}) {
    peft::attach(method, config, *set, 2);
    set->at("embeddings.position_embeddings.weight").own();
  }
  // Position p of one model is position p + 4 of the other: with the prefix at 4 the first equals it at 0.
  const auto from = weights.at("embeddings.position_embeddings.weight").value();
  const auto to = shifted.at("embeddings.position_embeddings.weight").writable();
  for (std::size_t p = 0; p + 4 < config.max_position_embeddings; ++p)
    for (std::size_t i = 0; i < 36; ++i) to(p, i) = from(p + 4, i);
  const texts_of b = make_texts(config, {5, 20, 1, 7}, 3);
  recorded<double> one(config, three, weights, [&](auto& into) { method.join(into); });
  nn::tape<double> t;
  peft::additions<double> into(t, config, shifted);
  method.join(into);
  CHECK(into.first_position() == 4);
  nn::encoder_batch batch(t, config, 8, 120, 20);
  const auto values =
      nn::sequence_classifier<double>(config, three, shifted).record(t, batch, {.dropout = false}, into.hooks());
  t.compile_forward({values.logits});
  batch.set(t, b.ids, b.lengths);
  t.forward();
  one.forward(b);
  const auto a = one.read(one.logits);
  CHECK(std::memcmp(a.data(), t.read(values.logits).data(), a.size() * sizeof(double)) == 0);
  const std::string too_long = tests::error_of([&] {
    nn::tape<double> fresh;
    nn::encoder_batch(fresh, config, 8, 120, 27, 4);
  });
  CHECK(too_long.find("27 tokens from position 4") != std::string::npos);
  for (const std::size_t rows : {std::size_t{0}, config.max_position_embeddings})
    CHECK(tests::kind_of([&] {
            const peft::prefix wrong{{.rows = rows}, "wrong"};
            wrong.add_to(config, weights, 1);
          }) == "bad_option");
  CHECK(tests::kind_of([&] {
          const peft::prefix wrong{{.rows = 2, .deviation = -1}, "wrong"};
          wrong.add_to(config, weights, 1);
        }) == "bad_option");
}

TEST_CASE("two prefixes stand one before the other; with LoRA both act", "[peft][prefix]") {
  const auto config = small_config();
  nn::parameter_set<double> weights;
  make_small(weights, config, three);
  const peft::prefix one{{.rows = 2}, "one"}, two{{.rows = 3}, "two"}, both{{.rows = 5}, "both"};
  for (const auto& each : {one, two, both}) each.add_to(config, weights, 2);
  disturb(weights, "prompt_encoder*", 1);
  const auto rows = weights.at(both.table()).writable();
  for (std::size_t r = 0; r < 5; ++r)
    for (std::size_t c = 0; c < rows.extent(1); ++c)
      rows(r, c) = r < 2 ? weights.at(one.table()).value()(r, c) : weights.at(two.table()).value()(r - 2, c);
  const texts_of b = make_texts(config, {5, 20, 1, 7}, 3);
  const auto loss = [&](auto&& join) {
    recorded<double> model(config, three, weights, join);
    return model.forward(b);
  };
  const double together = loss([&](auto& into) { peft::combined(one, two).join(into); });
  CHECK(together == loss([&](auto& into) { both.join(into); }));
  const peft::lora lora{{.rank = 2}, "both"};
  peft::combined(lora).add_to(config, weights, 1);
  disturb(weights, "*lora_B*");
  const double prefixed = loss([&](auto&into) { both.join(into); }), ranked = loss([&](auto&into) { lora.join(into); }),
               all = loss([&](auto&into) { peft::combined(both, lora).join(into); });
  CHECK(all != prefixed);
  CHECK(all != ranked);
  CHECK(prefixed != ranked);
}
