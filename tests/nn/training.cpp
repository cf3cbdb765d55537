// Schedules against transformers' formulas, early stopping, the sampler, and checkpoints that resume bit for bit.
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include <unistd.h>

#include <hocket/nn/checkpoint.hpp>
#include <hocket/nn/encoder.hpp>

#include "catch.hpp"
#include "nn/encoder_oracle.hpp"

using namespace encoder_test;

namespace {

struct temporary {
  temporary() : path(std::filesystem::temp_directory_path() / text("hocket_training_", ::getpid())) {
    std::filesystem::create_directories(path);
  }
  ~temporary() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path;
};

/// A model in training, with all that a checkpoint holds.
template <class T>
struct run {
  explicit run(nn::update_rule rule, std::uint64_t seed = 1, const std::vector<std::string>& trained = {"*"})
      : config(nn::read_encoder_config(folder / "tiny_config.json")),
        file(folder / "tiny.safetensors"),
        expected(folder / "tiny_expected.safetensors"),
        parameters(made()),
        model((parameters.train_only(trained), config), parameters, cpu{2}, {true, false, false}, seed),
        update(options(rule), cpu{2}),
        order(10, 17) {
    update.add(parameters);
  }
  static nn::optimizer_options options(nn::update_rule rule) {
    nn::optimizer_options o;
    o.rule = rule;
    o.momentum = rule == nn::update_rule::sgd ? 0.9 : 0;
    return o;
  }
  nn::parameter_set<T>& made() {
    nn::load_encoder<T>(config, file, owned);
    load_head<T>(file, config.hidden_size, owned);
    return owned;
  }
  T step() {
    model.set(batch(expected, text("step.", order.next(1)[0], ".")));
    const T loss = model.forward();
    model.t.backward();
    update.step(1, nn::clip_factor(update.gradient_norm(), 1));
    stopping.add(static_cast<double>(-loss));
    return loss;
  }
  nn::training_run<T> state() { return {parameters, update, &model.t, &order, &stopping}; }
  std::vector<T> weights() const {
    std::vector<T> all;
    for (const auto& p : parameters) all.insert(all.end(), p.value().data(), p.value().data() + p.size());
    return all;
  }

  nn::encoder_config config;
  io::safetensors_file file, expected;
  nn::parameter_set<T> owned;
  nn::parameter_set<T>& parameters;
  classifier<T> model;
  nn::optimizer<T> update;
  nn::epoch_sampler order;
  nn::early_stopping stopping;
};

template <class Body>
std::string message_of(Body&& body) {
  try {
    body();
  } catch (const error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace

TEMPLATE_TEST_CASE("a resumed run is the uninterrupted one, bit for bit", "[checkpoint]", float, double) {
  const temporary place;
  for (const nn::update_rule rule : {nn::update_rule::adamw, nn::update_rule::adam, nn::update_rule::sgd}) {
    const std::filesystem::path path = place.path / "run.safetensors";
    run<TestType> whole(rule), first(rule), second(rule);
    std::vector<TestType> losses, resumed;
    for (int i = 0; i < 14; ++i) losses.push_back(whole.step());  // over the end of an epoch
    for (int i = 0; i < 6; ++i) resumed.push_back(first.step());
    nn::save_checkpoint(path, first.state());
    CHECK(!std::filesystem::exists(path.string() + ".partial"));
    nn::load_checkpoint(path, second.state());
    for (int i = 6; i < 14; ++i) resumed.push_back(second.step());
    CHECK(losses == resumed);
    CHECK(whole.weights() == second.weights());
    CHECK(whole.weights() != first.weights());
    CHECK(second.stopping.best == whole.stopping.best);
    CHECK(second.stopping.waited == whole.stopping.waited);
    CHECK(second.stopping.evaluations == 14);
  }
}

TEST_CASE("a checkpoint of another run is refused before anything changes", "[checkpoint]") {
  const temporary place;
  const auto path = place.path / "run.safetensors";
  run<float> given(nn::update_rule::adamw);
  given.step();
  nn::save_checkpoint(path, given.state());
  const auto refused = [&](run<float>& other, const std::string& part) {
    const auto before = other.weights();
    const std::string message = message_of([&] { nn::load_checkpoint(path, other.state()); });
    INFO(message);
    CHECK(message.find(part) != std::string::npos);
    CHECK(other.weights() == before);
    CHECK(other.update.steps() == 0);
  };
  run<float> rule(nn::update_rule::adam), seed(nn::update_rule::adamw, 2), fewer(nn::update_rule::adamw, 1, {"head*"});
  refused(rule, "rule=adam ");
  refused(seed, "tape.seed is 1");
  refused(fewer, "this run has 6");
  run<double> wide(nn::update_rule::adamw);
  CHECK(message_of([&] { nn::load_checkpoint(path, wide.state()); }).find("expected F64") != std::string::npos);
  run<float> same(nn::update_rule::adamw);
  std::ofstream(path, std::ios::app) << "x";
  refused(same, "run.safetensors");
  CHECK(message_of([&] { nn::load_checkpoint(place.path / "none", same.state()); }).find("no such file") !=
        std::string::npos);
}

TEST_CASE("every trainable tensor moves in one step and no frozen one does", "[optimizer]") {
  for (const std::string pattern : {"*", "*.bias", "*query*"}) {
    run<float> given(nn::update_rule::adamw, 1, {pattern});
    std::vector<std::vector<float>> before;
    for (const auto& p : given.parameters) before.emplace_back(p.value().data(), p.value().data() + p.size());
    given.step();
    std::size_t i = 0;
    for (const auto& p : given.parameters) {
      const bool same = std::memcmp(before[i++].data(), p.value().data(), p.size() * sizeof(float)) == 0;
      INFO(p.name());
      CHECK(same != p.trainable());
    }
  }
}

TEST_CASE("trainable counts equal their formulas", "[optimizer]") {
  run<float> given(nn::update_rule::adamw);
  const auto& c = given.config;
  const std::size_t d = c.hidden_size, w = c.intermediate_size;
  const std::size_t layer = 4 * (d * d + d) + 2 * d * w + w + d + 4 * d;
  const std::size_t all = (c.vocab_size + c.max_position_embeddings + c.type_vocab_size + 2) * d +
                          c.num_hidden_layers * layer + d * d + d + classes * (2 * d + 1);
  CHECK(given.parameters.trainable_count() == all);
  given.parameters.train_only({"*.bias"});
  CHECK(given.parameters.trainable_count() == d + c.num_hidden_layers * (7 * d + w) + d + classes);
}

TEST_CASE("schedules are transformers'", "[optimizer]") {
  using nn::decay_shape;
  using nn::schedule_factor;
  for (const auto shape : {decay_shape::constant, decay_shape::linear, decay_shape::cosine}) {
    const nn::schedule_options s{shape, 4, 12};
    for (std::size_t i = 0; i < 4; ++i) CHECK(schedule_factor(s, i) == static_cast<double>(i) / 4);
    CHECK(schedule_factor(s, 4) == 1);
    const double halfway = shape == decay_shape::constant ? 1.0 : 0.5;
    CHECK(std::abs(schedule_factor(s, 8) - halfway) <= std::numeric_limits<double>::epsilon());
    CHECK(schedule_factor(s, 12) == (shape == decay_shape::constant ? 1 : 0));
    CHECK(schedule_factor(s, 99) == (shape == decay_shape::constant ? 1 : 0));
    CHECK(schedule_factor({shape, 0, 3}, 0) == 1);
  }
  CHECK(schedule_factor({decay_shape::linear, 4, 12}, 7) == 5.0 / 8);
  CHECK(message_of([] { schedule_factor({decay_shape::linear, 0, 0}, 0); }).find("total is 0") != std::string::npos);
  CHECK(nn::clip_factor(0.5, 1) == 1);
  CHECK(nn::clip_factor(3.0, 1) == 1 / (3.0 + 1e-6));
}

TEST_CASE("early stopping waits as long as it was told", "[optimizer]") {
  nn::early_stopping stop{2, 0.1, true};
  CHECK(!stop.add(std::nan("")));
  CHECK(stop.add(0.5));
  CHECK(!stop.add(0.55));
  CHECK(stop.add(0.7));
  CHECK((stop.best == 0.7 && stop.best_evaluation == 4 && stop.waited == 0));
  for (int i = 0; i < 2; ++i) CHECK((!stop.add(std::nan("")) && !stop.should_stop()));
  CHECK(!stop.add(0.7));
  CHECK(stop.should_stop());
  nn::early_stopping low{0, 0, false};
  CHECK(low.add(3));
  CHECK(low.add(2));
  CHECK(!low.add(2));
  CHECK(low.should_stop());
}

TEST_CASE("a sampler gives every row once an epoch, in an order of seed and epoch alone", "[optimizer]") {
  nn::epoch_sampler a(11, 5), b(11, 5), other(11, 6);
  std::vector<std::vector<std::uint32_t>> epochs;
  for (int epoch = 0; epoch < 3; ++epoch) {
    auto& rows = epochs.emplace_back();
    while (rows.size() < 11)
      for (const std::uint32_t r : a.next(4)) rows.push_back(r);
    CHECK(std::set<std::uint32_t>(rows.begin(), rows.end()).size() == 11);
    CHECK(*std::max_element(rows.begin(), rows.end()) == 10);
  }
  CHECK(epochs[0] != epochs[1]);
  CHECK(epochs[1] != epochs[2]);
  b.seek(2, 4);
  const auto next = b.next(7);
  CHECK(std::vector<std::uint32_t>(next.begin(), next.end()) ==
        std::vector<std::uint32_t>(epochs[2].begin() + 4, epochs[2].end()));
  const auto strange = other.next(11);
  CHECK(std::vector<std::uint32_t>(strange.begin(), strange.end()) != epochs[0]);
}
