// What bench/many_configurations.py times: LoRA configurations that train in turn over one frozen base of MiniLM's
// size.
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <sys/resource.h>

#include "catch.hpp"
#include "peft/small.hpp"

using namespace peft_test;

TEST_CASE("steps a second of LoRA configurations over one base", "[.measure]") {
  const auto number = [](const char* name, double otherwise) {
    const char* const given = std::getenv(name);
    return given ? std::stod(given) : otherwise;
  };
  const auto count = static_cast<std::size_t>(number("HOCKET_CONFIGURATIONS", 4));
  const cpu device{static_cast<int>(number("HOCKET_THREADS", 2))};
  const double seconds = number("HOCKET_SECONDS", 5);
  const char* const given = std::getenv("HOCKET_PRODUCTS");
  const auto products =
      given ? detail::option_from_text<nn::precision>("HOCKET_PRODUCTS", given) : nn::precision::native;
  nn::encoder_config config;
  config.hidden_size = 384, config.num_hidden_layers = 6, config.num_attention_heads = 12;
  config.intermediate_size = 1536, config.vocab_size = 30522, config.max_position_embeddings = 512;
  const nn::classifier_options options{nn::classifier_pooling::mean, 3};
  const texts_of b = make_texts(config, std::vector<std::uint32_t>(32, 64), 3);
  nn::parameter_set<float> base;
  nn::make_classifier<float>(config, options, 1, base);
  for (auto& p : base) p.train(false);
  const auto packs = std::make_shared<nn::weight_packs<float>>();
  struct run {
    nn::parameter_set<float> weights;
    std::unique_ptr<recorded<float>> model;
    std::unique_ptr<nn::optimizer<float>> update;
    void step(const texts_of& texts) {
      model->forward(texts);
      model->t.backward();
      update->step();
    }
  };
  std::vector<run> runs(count);
  for (std::size_t i = 0; i < count; ++i) {
    run& each = runs[i];
    each.weights.share(base);
    const peft::lora method{{.rank = i % 2 ? 16U : 8U, .dropout = 0.1}};
    peft::attach(method, config, each.weights, i);
    each.model = std::make_unique<recorded<float>>(
        config, options, each.weights, [&](auto& into) { method.join(into); }, device, true, 32, 2048, 64, false, packs,
        products);
    nn::optimizer_options how;
    how.rate = i < 2 ? 1e-3 : 3e-4;
    each.update = std::make_unique<nn::optimizer<float>>(how, device);
    each.update->add(each.weights);
    each.step(b);
  }
  std::size_t steps = 0;
  const auto start = std::chrono::steady_clock::now();
  double passed = 0;
  while (passed < seconds) {
    for (run& each : runs) each.step(b);
    steps += count;
    passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  std::cout << "{\"steps_per_second\": " << static_cast<double>(steps) / passed
            << ", \"peak_mb\": " << used.ru_maxrss / 1024 << "}\n";
  CHECK(steps > 0);
}
