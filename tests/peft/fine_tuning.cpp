// The training loop: same bits whatever the threads, resumed runs, what epochs keep, what is refused.
#include <algorithm>
#include <array>
#include <filesystem>

#include <unistd.h>

#include <hocket/peft/fine_tuning.hpp>

#include "peft/small.hpp"

using namespace peft_test;

namespace {

peft::classified_texts some_texts(const nn::encoder_config& config, std::size_t count) {
  peft::classified_texts all;
  philox random(11);
  for (std::size_t i = 0; i < count; ++i) {
    all.ids.emplace_back();
    const std::size_t length = 1 + random.next_below(12);
    for (std::size_t k = 0; k < length; ++k)
      all.ids.back().push_back(static_cast<std::uint32_t>(random.next_below(config.vocab_size)));
    all.labels.push_back(all.ids.back()[0] < config.vocab_size / 2);
  }
  return all;
}

const nn::classifier_options two{nn::classifier_pooling::mean, 2};

peft::training_options settings(std::size_t epochs) {
  peft::training_options s;
  s.epochs = epochs;
  s.batch = 5;
  s.learning_rate = 5e-3;
  s.seed = 3;
  return s;
}

/// A metric that depends on the weights, so that epochs differ.
template <Real T>
double metric_of(nn::parameter_set<T>& weights) {
  double sum = 0;
  for (const auto* each : weights.trainable())
    for (std::size_t i = 0; i < each->size(); ++i) sum += static_cast<double>(each->value().data()[i]);
  return std::sin(100 * sum);
}

template <peft::Method M>
std::vector<float> trained(const M& method, const peft::classified_texts& texts, const cpu& device,
                           std::size_t pause_after = 0) {
  const nn::encoder_config config = small_config();
  const auto path = std::filesystem::temp_directory_path() / text("hocket_fine_tuning_", ::getpid(), ".safetensors");
  for (int part = pause_after > 0 ? 0 : 1; part < 2; ++part) {
    nn::parameter_set<float> weights;
    make_small(weights, config, two);
    peft::fine_tuning<float> run(config, two, weights, method, texts, settings(3), device);
    if (part == 1 && pause_after > 0) run.load(path, true);
    while (!run.done() && (part == 1 || run.steps() < pause_after)) {
      run.step();
      if (run.epoch_ended()) run.end_epoch(metric_of(weights));
    }
    if (part == 0) {
      run.save(path, true);
      continue;
    }
    run.restore_best();
    std::filesystem::remove(path);
    auto values = all_values(weights);
    values.push_back(static_cast<float>(run.best_metric()));
    values.push_back(static_cast<float>(run.mean_loss()));
    return values;
  }
  return {};
}

}  // namespace

TEST_CASE("runs give the same bits for any number of threads, whole or resumed at any step", "[peft][fine_tuning]") {
  const auto texts = some_texts(small_config(), 23);  // five batches, the last one short
  for_each_method([&](const char* name, const auto& method) {
    INFO(name);
    const auto whole = trained(method, texts, cpu{1});
    CHECK(same_bits(whole, trained(method, texts, cpu{2})));
    for (const std::size_t pause : {1u, 4u, 5u, 9u, 14u}) {
      INFO("paused after step " << pause);
      CHECK(same_bits(whole, trained(method, texts, cpu{1}, pause)));
    }
  });
}

TEST_CASE("runs over views of one base have the bits of runs of their own", "[peft][fine_tuning]") {
  const nn::encoder_config config = small_config();
  const auto texts = some_texts(config, 12);
  nn::parameter_set<float> base;
  make_small(base, config, two);
  const auto untouched = all_values(base);
  const auto packs = std::make_shared<nn::weight_packs<float>>();
  for_each_method([&](const char* name, const auto& method) {
    INFO(name);
    nn::parameter_set<float> shared, own;
    shared.share(base);
    make_small(own, config, two);
    for (auto* weights : {&shared, &own}) {
      peft::fine_tuning<float> run(config, two, *weights, method, texts, settings(2), cpu{},
                                   weights == &shared ? packs : nullptr);
      while (!run.done()) run.step();
    }
    CHECK(same_bits(all_values(shared), all_values(own)));
    CHECK(same_bits(all_values(base), untouched));
  });
}

TEST_CASE("a run learns, scores come in the texts' order, the best epoch is kept", "[peft][fine_tuning]") {
  const nn::encoder_config config = small_config();
  const auto texts = some_texts(config, 40);
  nn::parameter_set<float> weights;
  make_small(weights, config, two);
  auto how = settings(20);
  how.patience = 4;
  how.model_dropout = 0;
  const peft::full method;
  peft::fine_tuning<float> run(config, two, weights, method, texts, how);
  peft::text_scorer<float> scorer(config, two, weights, method, 12, cpu{}, nn::precision::native, {}, 30);
  const auto accuracy = [&] {
    const auto said = peft::likeliest(scorer(texts.ids).logits);
    std::size_t right = 0;
    for (std::size_t i = 0; i < said.size(); ++i) right += said[i] == texts.labels[i];
    return static_cast<double>(right) / static_cast<double>(said.size());
  };
  while (!run.done()) {
    run.step();
    if (run.epoch_ended()) run.end_epoch(accuracy());
  }
  CHECK(run.best_metric() > 0.9);
  run.restore_best();
  CHECK(accuracy() == run.best_metric());
  const auto all = scorer(texts.ids, true);
  CHECK(all.pooled.extent(1) == config.hidden_size);
  for (const std::size_t one : {0u, 7u, 39u}) {  // a text by itself
    const auto alone = scorer({texts.ids[one]});
    for (std::size_t k = 0; k < 2; ++k)
      CHECK(std::abs(alone.logits.data()[k] - all.logits.data()[2 * one + k]) <=
            rounding<float>(static_cast<double>(config.hidden_size) *
                            (1 + max_abs(all.logits.data(), all.logits.size()))));
  }
  CHECK(scorer({}).logits.extent(0) == 0);
}

TEST_CASE("every epoch draws its batches anew, of texts of any length", "[peft][fine_tuning]") {
  const nn::encoder_config config = small_config();
  peft::classified_texts texts;  // no two of one length: sorted by it they would make the same batches every time
  for (std::uint32_t length = 1; length <= 12; ++length) {
    texts.ids.emplace_back(length, length);
    texts.labels.push_back(length % 2);
  }
  nn::parameter_set<float> weights;
  make_small(weights, config, two);
  auto how = settings(2);
  how.batch = 3;
  how.learning_rate = 0;  // a batch's loss says which texts it holds
  how.model_dropout = 0;
  peft::fine_tuning<float> run(config, two, weights, peft::full{}, texts, how);
  std::array<std::vector<double>, 2> losses;
  while (!run.done()) {
    const std::size_t epoch = run.epochs();
    losses[epoch].push_back(run.step());
  }
  for (auto& each : losses) std::sort(each.begin(), each.end());
  REQUIRE(losses[0].size() == 4);
  REQUIRE(losses[1].size() == 4);
  double largest = 0;
  for (std::size_t i = 0; i < 4; ++i) largest = std::max(largest, std::abs(losses[0][i] - losses[1][i]));
  CHECK(largest > 1e-4);
}

TEST_CASE("scores know no dropout, whatever the method trains with", "[peft][fine_tuning]") {
  const nn::encoder_config config = small_config();
  const auto texts = some_texts(config, 9);
  nn::parameter_set<float> weights;
  make_small(weights, config, two);
  const peft::lora with{{.rank = 3, .alpha = 6, .dropout = 0.5}}, without{{.rank = 3, .alpha = 6}};
  peft::attach(with, config, weights, 2);
  disturb(weights, "*.lora_B.*");
  peft::text_scorer<float> dropping(config, two, weights, with, 12), plain(config, two, weights, without, 12);
  const auto first = dropping(texts.ids).logits, second = dropping(texts.ids).logits,
             expected = plain(texts.ids).logits;
  CHECK(std::equal(first.begin(), first.end(), expected.begin()));
  CHECK(std::equal(second.begin(), second.end(), expected.begin()));
}

TEST_CASE("fine-tuning refuses settings that mean nothing, and says when it diverges", "[peft][fine_tuning]") {
  const nn::encoder_config config = small_config();
  const auto texts = some_texts(config, 6);
  const auto make = [&](const peft::training_options& how, const peft::classified_texts& on) {
    nn::parameter_set<float> weights;
    make_small(weights, config, two);
    peft::fine_tuning<float> run(config, two, weights, peft::full{}, on, how);
    while (!run.done()) run.step();
  };
  const auto refuses = [&](const std::string& assignment, errc kind = errc::bad_option) {
    INFO(assignment);
    auto how = settings(50);
    try {
      set_option(how, assignment);
      make(how, texts);
      FAIL("it was taken");
    } catch (const error& problem) {
      CHECK(problem.kind() == kind);
    }
  };
  for (const char* wrong : {"epochs=0", "batch=0", "learning_rate=-1", "weight_decay=-1", "warmup=-1", "clip=-1",
                            "label_smoothing=1", "model_dropout=1", "precision=int8", "schedule=step"})
    refuses(wrong);
  refuses("learning_rate=1e30", errc::bad_value);
  for (const char* wrong : {"learning_rate=1e38", "learning_rate=1e39"}) {  // one step: no later loss sees its weights
    auto how = settings(1);
    how.batch = static_cast<std::size_t>(-1);
    how.warmup = 0;
    set_option(how, wrong);
    try {
      make(how, texts);
      FAIL("weights that are not finite were taken");
    } catch (const error& problem) {
      CHECK(problem.kind() == errc::bad_value);
      CHECK(std::string(problem.what()).find("behind step 1 ") != std::string::npos);
    }
  }
  try {
    nn::parameter_set<float> weights;
    make_small(weights, config, two);
    peft::fine_tuning<float> run(config, two, weights, peft::prefix{{.rows = 2, .deviation = 1e38}}, texts,
                                 settings(1));
    run.step();
    FAIL("a loss that is not finite was taken");
  } catch (const error& problem) {
    CHECK(std::string(problem.what()).find("before anything was learnt") != std::string::npos);
  }
  try {
    make(settings(1), {});
    FAIL("no texts were taken");
  } catch (const error& problem) {
    CHECK(problem.kind() == errc::unsupported_shape);
  }
}
