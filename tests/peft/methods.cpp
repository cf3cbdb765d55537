// What every method promises: counts by formula, exactly what is trained moves, off it is the base model's bits, the
// same bits for any number of threads, no allocation in a step, little memory; and what each one computes.
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <unistd.h>

#include <hocket/measure/allocations.hpp>
#include <hocket/nn/checkpoint.hpp>
#include <hocket/peft/merge.hpp>
#include <hocket/peft/mixed.hpp>

#include "catch.hpp"
#include "error_kind.hpp"
#include "peft/small.hpp"

using namespace peft_test;
using nn::classifier_options;
using nn::classifier_pooling;

namespace {

const auto nothing = [](auto&) {};

nn::encoder_config sized(std::size_t d, std::size_t layers, std::size_t wide) {
  nn::encoder_config c = small_config();
  c.hidden_size = d;
  c.num_hidden_layers = layers;
  c.intermediate_size = wide;
  c.num_attention_heads = 12;
  return c;
}
std::size_t lora_count(const nn::encoder_config& c, bool pooler, const peft::lora_options& o) {
  std::size_t count = 0;
  for (const auto& target : peft::lora_targets(c, pooler, o)) count += target.rank * (target.in + target.out);
  return count;
}

}  // namespace

TEST_CASE("trainable counts are those of the formulas", "[peft]") {
  const auto bert = sized(768, 12, 3072), minilm = sized(384, 6, 1536);
  CHECK(lora_count(bert, true, {}) == 294912);
  CHECK(lora_count(bert, false, {.targets = "all-linear"}) == 1327104);
  CHECK(lora_count(minilm, false, {}) == 73728);
  CHECK(lora_count(minilm, false, {.targets = "all-linear"}) == 331776);
  CHECK(lora_count(minilm, true, {.targets = "all-linear"}) == 331776 + 8 * 2 * 384);  // the pooler is a product too
  CHECK(lora_count(minilm, false, {.targets = "dense"}) == 331776 - 6 * 3 * 8 * 2 * 384);
  CHECK(lora_count(minilm, false, {.targets = "query,value", .layers = "4,5"}) == 73728 / 3);
  CHECK(lora_count(minilm, false, {.rank = 4, .rank_pattern = "layer.0.attention.self.query:8,query:2"}) ==
        2 * 384 * (8 + 5 * 2 + 6 * 4));

  for (const auto pooling : {classifier_pooling::pooler, classifier_pooling::mean}) {
    const nn::encoder_config c = sized(48, 3, 100);
    const std::size_t d = 48, L = 3, wide = 100, labels = 3, head = labels * (d + 1);
    const std::size_t pooler = pooling == classifier_pooling::pooler ? 1 : 0;
    const auto count = [&](const auto& method) {
      nn::parameter_set<float> weights;
      nn::make_classifier<float>(c, {pooling, labels}, 1, weights);
      peft::attach(method, c, weights, 2);
      return weights.trainable_count();
    };
    const std::size_t tables = (c.vocab_size + c.max_position_embeddings + c.type_vocab_size) * d + 2 * d;
    const std::size_t encoder = L * (4 * d * (d + 1) + wide * (d + 1) + d * (wide + 1) + 4 * d) + pooler * d * (d + 1);
    CHECK(count(peft::full{}) == tables + encoder + head);
    CHECK(count(peft::full{{.embeddings = false}}) == encoder + head);
    CHECK(count(peft::linear_probe{}) == head);
    CHECK(count(peft::bitfit{}) == L * (7 * d + wide) + d + pooler * d + head);
    const std::size_t qv = L * 2 * 8 * (d + d);
    CHECK(count(peft::lora{}) == qv + head);
    CHECK(count(peft::lora{{.targets = "all-linear"}}) == 2 * qv + L * 2 * 8 * (d + wide) + pooler * 8 * 2 * d + head);
    CHECK(count(peft::prefix{{.rows = 20}}) == 20 * 2 * L * d + head);
    CHECK(count(peft::prefix{{.rows = 20, .projection = true, .hidden = 100}}) ==
          20 * d + 100 * (d + 1) + 2 * L * d * 101 + head);
    CHECK(count(peft::combined(peft::prefix{{.rows = 20}}, peft::lora{})) == 20 * 2 * L * d + qv + head);
  }
}

TEST_CASE("after a step every trained tensor has moved and no other one", "[peft]") {
  const auto config = small_config();
  for (const auto pooling : {classifier_pooling::pooler, classifier_pooling::mean, classifier_pooling::cls})
    for_each_method([&](const char* name, const auto& method) {
      INFO(name);
      nn::parameter_set<double> weights;
      make_small(weights, config, {pooling, 3});
      peft::attach(method, config, weights, 2);
      disturb(weights, "*lora_B*");  // from B = 0 the first step cannot move A
      recorded<double> model(
          config, {pooling, 3}, weights, [&](auto& into) { method.join(into); }, {}, true);
      nn::optimizer_options options;
      options.decay = 0;
      nn::optimizer<double> update(options);
      update.add(weights);
      std::vector<std::vector<double>> before;
      for (const auto& p : weights) before.emplace_back(p.value().data(), p.value().data() + p.size());
      model.forward(make_texts(config, {5, 20, 1, 7}, 3));
      model.t.backward();
      update.step();
      std::size_t index = 0, trained = 0;
      for (const auto& p : weights) {
        const auto& old = before[index++];
        INFO(p.name());
        CHECK((std::memcmp(old.data(), p.value().data(), old.size() * sizeof(double)) != 0) == p.trainable());
        trained += p.trainable();
      }
      CHECK(trained > 0);
    });
}

TEST_CASE("in bf16 every trained tensor moves, no other one does, and the loss falls", "[peft][precision]") {
  const auto config = small_config();
  const classifier_options options{classifier_pooling::pooler, 3};
  for_each_method([&](const char* name, const auto& method) {
    INFO(name);
    nn::parameter_set<float> weights;
    make_small(weights, config, options);
    peft::attach(method, config, weights, 2);
    disturb(weights, "*lora_B*");
    recorded<float> model(
        config, options, weights, [&](auto& into) { method.join(into); }, cpu{2}, true, 8, 120, 20, false, {},
        nn::precision::bf16);
    nn::optimizer_options how;
    how.decay = 0;
    how.rate = 3e-3;
    nn::optimizer<float> update(how, cpu{2});
    update.add(weights);
    std::vector<std::vector<float>> before;
    for (const auto& p : weights) before.emplace_back(p.value().data(), p.value().data() + p.size());
    const texts_of texts = make_texts(config, {5, 20, 1, 7, 12, 3}, 3);
    const auto evaluated = [&] {
      model.t.training(false);
      const float loss = model.forward(texts);
      model.t.training(true);
      return loss;
    };
    const float at_first = evaluated();
    for (int step = 0; step < 40; ++step) {
      model.forward(texts);
      model.t.backward();
      update.step(1, nn::clip_factor(update.gradient_norm(), 1));
      if (step > 0) continue;
      std::size_t index = 0;
      for (const auto& p : weights) {
        const auto& old = before[index++];
        INFO(p.name());
        CHECK((std::memcmp(old.data(), p.value().data(), old.size() * sizeof(float)) != 0) == p.trainable());
      }
    }
    CHECK(evaluated() < at_first);
  });
}

TEST_CASE("in bf16, as new, LoRA leaves the base model's bits", "[peft][precision]") {
  const auto config = small_config();
  const classifier_options options{classifier_pooling::pooler, 3};
  const texts_of b = make_texts(config, {5, 20, 1, 7}, 3);
  nn::parameter_set<float> weights;
  make_small(weights, config, options);
  const auto logits = [&](auto&& join) {
    recorded<float> model(config, options, weights, join, {}, false, 8, 120, 20, true, {}, nn::precision::bf16);
    model.forward(b);
    return model.read(model.logits);
  };
  const auto base = logits(nothing);
  const peft::lora lora{{.rank = 3, .dropout = 0.1, .targets = "all-linear"}, "one"};
  peft::attach(lora, config, weights, 2);
  CHECK(same_bits(base, logits([&](auto& into) { lora.join(into); })));
  disturb(weights, "*one*");
  CHECK(!same_bits(base, logits([&](auto& into) { lora.join(into); })));
  CHECK(same_bits(base, logits(nothing)));
}

TEMPLATE_TEST_CASE("switched off, or as new, a method leaves the base model's bits", "[peft]", float, double) {
  using T = TestType;
  const auto config = small_config();
  const classifier_options options{classifier_pooling::pooler, 3};
  const texts_of b = make_texts(config, {5, 20, 1, 7}, 3);
  nn::parameter_set<T> weights;
  make_small(weights, config, options);
  recorded<T> base(config, options, weights, nothing);
  const T loss = base.forward(b);
  const auto logits = base.read(base.logits), states = base.read(base.states.last());
  const auto before = all_values(weights);

  const peft::lora lora{{.rank = 3, .dropout = 0.1, .targets = "all-linear"}, "one"};
  const peft::prefix prefix{{.rows = 4}, "two"};
  peft::attach(lora, config, weights, 2);
  recorded<T> fresh(config, options, weights, [&](auto& into) { lora.join(into); });
  CHECK(fresh.forward(b) == loss);  // B = 0, and the head is a copy
  CHECK(same_bits(fresh.read(fresh.logits), logits));
  peft::attach(prefix, config, weights, 2);
  disturb(weights, "*one*");
  recorded<T> active(config, options, weights, [&](auto& into) {
    lora.join(into);
    prefix.join(into);
  });
  CHECK(active.forward(b) != loss);
  recorded<T> off(config, options, weights, nothing);
  CHECK(off.forward(b) == loss);
  CHECK(same_bits(off.read(off.logits), logits));
  CHECK(same_bits(off.read(off.states.last()), states));
  auto after = all_values(weights);
  after.resize(before.size());  // what was added stands behind the model's own
  CHECK(same_bits(before, after));
}

TEST_CASE("a step of any method allocates nothing and gives the same bits with one, two and three threads", "[peft]") {
  const auto config = small_config();
  const classifier_options options{classifier_pooling::pooler, 3};
  for (const auto products : {nn::precision::native, nn::precision::bf16})
    for_each_method([&](const char* name, const auto& method) {
      INFO(name << " " << hocket::name_of(products));
      std::vector<float> first;
      for (const int threads : {1, 2, 3}) {
        nn::parameter_set<float> weights;
        make_small(weights, config, options);
        peft::attach(method, config, weights, 2);
        recorded<float> model(
            config, options, weights, [&](auto& into) { method.join(into); }, cpu{threads}, true, 8, 400, 26, true, {},
            products);
        nn::optimizer<float> update({}, cpu{threads});
        update.add(weights);
        const texts_of one = make_texts(config, {5, 20, 1, 7}, 3), two = make_texts(config, {26, 24, 25, 26, 9}, 3, 8);
        const auto step = [&](const texts_of& b) {
          model.forward(b);
          model.t.backward();
          update.step(1, nn::clip_factor(update.gradient_norm(), 1));
        };
        step(two);
        CHECK(measure::allocations_of([&] { step(one), step(two); }) == 0);
        const auto values = all_values(weights);
        if (threads == 1) first = values;
        CHECK(same_bits(first, values));
      }
    });
}

TEST_CASE("a resumed run has the bits of the uninterrupted one, for every method", "[peft][checkpoint]") {
  const auto config = small_config();
  const classifier_options options{classifier_pooling::mean, 3};
  const auto path = std::filesystem::temp_directory_path() / text("hocket_peft_resume_", ::getpid());
  for (const auto products : {nn::precision::native, nn::precision::bf16})
    for_each_method([&](const char* name, const auto& method) {
      INFO(name << " " << hocket::name_of(products));
      struct run {
        nn::parameter_set<float> weights;
        std::unique_ptr<recorded<float>> model;
        nn::optimizer<float> update;
        nn::epoch_sampler order{7, 11};
      };
      const auto start = [&](run& r, std::uint64_t seed) {
        make_small(r.weights, config, options);
        peft::attach(method, config, r.weights, seed);
        r.model = std::make_unique<recorded<float>>(
            config, options, r.weights, [&](auto& into) { method.join(into); }, cpu{2}, true, 8, 120, 20, true,
            std::shared_ptr<nn::weight_packs<float>>{}, products);
        r.update.add(r.weights);
      };
      const auto step = [&](run& r) {
        r.model->forward(make_texts(config, {5, 20, 1, 7}, 3, r.order.next(1)[0]));
        r.model->t.backward();
        r.update.step();
      };
      run whole, first, second;
      start(whole, 2), start(first, 2), start(second, 99);  // what is trained is loaded, whatever it began as
      for (int i = 0; i < 6; ++i) step(whole);
      for (int i = 0; i < 3; ++i) step(first);
      nn::save_checkpoint<float>(path, {first.weights, first.update, &first.model->t, &first.order});
      nn::load_checkpoint<float>(path, {second.weights, second.update, &second.model->t, &second.order});
      for (int i = 0; i < 3; ++i) step(second);
      CHECK(same_bits(all_values(whole.weights), all_values(second.weights)));
      CHECK(!same_bits(all_values(whole.weights), all_values(first.weights)));
    });
  std::filesystem::remove(path);
}

TEST_CASE("configurations that train in turn over one frozen base have the bits of separate runs, and share its packs",
          "[peft]") {
  const auto config = small_config();
  const classifier_options options{classifier_pooling::pooler, 3};
  nn::parameter_set<float> base;
  make_small(base, config, options);
  const auto before = all_values(base);
  struct run {
    run(const nn::parameter_set<float>& base, const peft::lora& method, double rate,
        std::shared_ptr<nn::weight_packs<float>> packs, nn::precision products)
        : update(with_rate(rate)) {
      weights.share(base);
      peft::attach(method, small_config(), weights, 2);
      model = std::make_unique<recorded<float>>(
          small_config(), three(), weights, [&](auto& into) { method.join(into); }, cpu{2}, true, 8, 120, 20, true,
          std::move(packs), products);
      update.add(weights);
    }
    static classifier_options three() { return {classifier_pooling::pooler, 3}; }
    static nn::optimizer_options with_rate(double rate) {
      nn::optimizer_options o;
      o.rate = rate;
      return o;
    }
    void step(std::size_t number) {
      model->forward(make_texts(small_config(), {5, 20, 1, 7}, 3, number));
      model->t.backward();
      update.step();
    }
    nn::parameter_set<float> weights;
    std::unique_ptr<recorded<float>> model;
    nn::optimizer<float> update;
  };
  const peft::lora one{{.rank = 3, .dropout = 0.2}}, two{{.rank = 5, .targets = "all-linear"}};
  for (const auto products : {nn::precision::native, nn::precision::bf16}) {
    INFO(hocket::name_of(products));
    const auto packs = std::make_shared<nn::weight_packs<float>>();
    run first(base, one, 1e-2, packs, products), second(base, two, 1e-3, packs, products),
        third(base, one, 1e-3, packs, products);
    for (std::size_t step = 0; step < 3; ++step)
      for (run* each : {&first, &second, &third}) each->step(step);
    const auto alone = std::make_shared<nn::weight_packs<float>>();
    run again(base, one, 1e-2, alone, products), other(base, two, 1e-3, {}, products);
    for (std::size_t step = 0; step < 3; ++step) again.step(step);
    CHECK(alone->size() > 0);
    CHECK(packs->size() < 3 * alone->size());
    for (std::size_t step = 0; step < 3; ++step) other.step(step);
    CHECK(same_bits(all_values(first.weights), all_values(again.weights)));
    CHECK(same_bits(all_values(second.weights), all_values(other.weights)));
    CHECK(!same_bits(all_values(first.weights), all_values(third.weights)));
    CHECK(same_bits(all_values(base), before));
    for (const auto& p : base) CHECK(first.weights.at(p.name()).value().data() == p.value().data());
  }
}

TEST_CASE("LoRA keeps at most 0.65 of what full fine-tuning keeps, and below its lowest layer nothing", "[peft]") {
  nn::encoder_config config = sized(384, 6, 1536);
  config.max_position_embeddings = 84;
  const classifier_options options{classifier_pooling::mean, 3};
  nn::parameter_set<float> base;
  nn::make_classifier<float>(config, options, 1, base);
  const auto saved = [&](const auto& method) {
    nn::parameter_set<float> weights;
    weights.share(base);
    peft::attach(method, config, weights, 2);
    recorded<float> model(
        config, options, weights, [&](auto& into) { method.join(into); }, {}, true, 4, 256, 64, false);
    return static_cast<double>(model.t.saved_bytes());
  };
  const double full = saved(peft::full{}), lora = saved(peft::lora{{.dropout = 0.1}}),
               wide = saved(peft::lora{{.dropout = 0.1, .targets = "all-linear"}}), prefix = saved(peft::prefix{}),
               top = saved(peft::lora{{.layers = "5"}}), probe = saved(peft::linear_probe{});
  INFO("of full: q,v " << lora / full << ", all-linear " << wide / full << ", prefix " << prefix / full
                       << ", top layer " << top / full << ", probe " << probe / full << "; full " << full);
  CHECK(lora <= 0.65 * full);
  CHECK(prefix <= lora);
  CHECK(wide <= full * 1.03);  // u, rank columns a product, is new
  CHECK(top <= lora / 5);
  CHECK(probe <= 0.01 * full);
}
