// The encoder against transformers: hidden states, embeddings, losses and all gradients of a ragged batch by the 2x
// rule; f64 against finite differences with fixed masks; ten steps of AdamW.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <span>
#include <utility>

#include <hocket/core/rng.hpp>
#include <hocket/nn/optimizer.hpp>
#include <hocket/nn/schedule.hpp>

#include "catch.hpp"
#include "nn/encoder_oracle.hpp"
#include "nn/slopes.hpp"

using namespace encoder_test;
using nn_test::allowed_slope;
using nn_test::slope_of;

namespace {

/// The peer's largest error in a tensor.
double peer_error(const io::safetensors_file& file, const std::string& name) {
  return values(file, "f32.error." + name)[0];
}

const nn::encoder_config tiny_config() { return nn::read_encoder_config(folder / "tiny_config.json"); }

template <class T>
struct tiny {
  tiny() : config(tiny_config()), weights(folder / "tiny.safetensors"), expected(folder / "tiny_expected.safetensors") {
    REQUIRE(nn::load_encoder<T>(config, weights, parameters));
    load_head<T>(weights, config.hidden_size, parameters);
    parameters.train_only({"*"});
  }
  nn::encoder_config config;
  io::safetensors_file weights, expected;
  nn::parameter_set<T> parameters;
};

template <class T>
void check_forward(classifier<T>& model, const io::safetensors_file& expected, std::size_t layers) {
  const auto check = [&](const std::string& name, nn::value v, double magnitude = 0) {
    const auto reference = values(expected, "f64." + name);
    const auto ours = model.t.read(v);
    REQUIRE(ours.size() == reference.size());
    const comparison result = by_peer<T>(ours.data(), reference, peer_error(expected, name), 2,
                                         magnitude > 0 ? magnitude : max_abs(reference.data(), reference.size()));
    INFO(name << " " << result.message());
    CHECK(result);
  };
  for (std::size_t i = 0; i <= layers; ++i) check(text("hidden.", i), model.hidden[i]);
  check("mean", model.mean);
  check("pooler", model.pooler);
  check("logits", model.logits);
  check("loss", model.loss,
        cross_entropy_magnitude(values(expected, "f64.logits"), numbers(expected, "labels"), smoothing));
}

/// The stored places of every gradient, and its largest size.
template <class T>
void check_samples(nn::parameter_set<T>& parameters, const io::safetensors_file& expected) {
  double largest = 0;
  for (const auto& p : parameters) largest = std::max(largest, values(expected, "f64.gradient." + p.name()).back());
  for (auto& p : parameters) {
    const auto reference = values(expected, "f64.gradient." + p.name());
    std::vector<T> ours;
    for (const std::uint32_t place : numbers(expected, "places." + p.name()))
      ours.push_back(p.gradient().data()[place]);
    ours.push_back(static_cast<T>(max_abs(p.gradient().data(), p.size())));
    REQUIRE(ours.size() == reference.size());
    const comparison result =
        by_peer<T>(ours.data(), reference, peer_error(expected, "gradient." + p.name()), 3, largest);
    INFO(p.name() << " " << result.message());
    CHECK(result);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("a small encoder equals transformers': states, loss and all gradients", "[encoder]", float, double) {
  using T = TestType;
  tiny<T> given;
  const batch b(given.expected, "");
  for (const bool checkpoint : {false, true}) {
    classifier<T> model(given.config, given.parameters, {}, {false, checkpoint});
    model.set(b);
    model.forward();
    check_forward(model, given.expected, given.config.num_hidden_layers);
    for (auto& p : given.parameters) std::fill_n(p.gradient().data(), p.size(), T{0});
    model.t.backward();
    double largest = 0;
    for (const auto& p : given.parameters)
      largest = std::max(largest, max_abs(values(given.expected, "f64.gradient." + p.name()).data(), p.size()));
    for (auto& p : given.parameters) {
      const auto reference = values(given.expected, "f64.gradient." + p.name());
      REQUIRE(reference.size() == p.size());
      const comparison result =
          by_peer<T>(p.gradient().data(), reference, peer_error(given.expected, "gradient." + p.name()), 3, largest);
      INFO(p.name() << " " << result.message());
      CHECK(result);
    }
  }
}

TEMPLATE_TEST_CASE("an encoder with gelu_new equals transformers': states, loss and a sample of every gradient",
                   "[encoder]", float, double) {
  tiny<TestType> given;
  given.config.hidden_act = nn::encoder_activation::gelu_tanh;
  const io::safetensors_file expected(folder / "tiny_gelu_new_expected.safetensors");
  classifier<TestType> model(given.config, given.parameters);
  model.set(batch(expected, ""));
  model.forward();
  check_forward(model, expected, given.config.num_hidden_layers);
  model.t.backward();
  check_samples(given.parameters, expected);
}

TEST_CASE("an encoder drops hidden states and probabilities of attention, each as its config says", "[encoder]") {
  tiny<float> given;
  const batch b(given.expected, "");
  const auto loss = [&](double hidden, double probabilities, bool training) {
    given.config.hidden_dropout_prob = hidden;
    given.config.attention_probs_dropout_prob = probabilities;
    classifier<float> model(given.config, given.parameters, {}, {true});
    model.set(b);
    model.t.training(training);
    return model.forward();
  };
  const float plain = loss(0, 0, true), first = loss(0.2, 0, true), second = loss(0, 0.2, true);
  CHECK(first != plain);
  CHECK(second != plain);
  CHECK(first != second);
  CHECK(loss(0.2, 0.2, false) == plain);
}

TEST_CASE("in f64 the small encoder is exact: 200 parameters by finite differences, with masks", "[encoder]") {
  tiny<double> given;
  const batch b(given.expected, "");
  classifier<double> model(given.config, given.parameters, {}, {true, false, false});
  model.set(b);
  const auto loss = [&] {
    model.t.seek(3);
    return model.forward();
  };
  const double here = loss();
  model.t.backward();
  philox random(21);
  comparison result;
  for (int draw = 0; draw < 200; ++draw) {
    std::size_t at = random.next_below(given.parameters.count());
    auto p = given.parameters.begin();
    for (; at >= p->size(); ++p) at -= p->size();
    const double gradient = p->gradient().data()[at];
    result.add(std::abs(slope_of(p->writable().data()[at], loss) - gradient), allowed_slope(gradient, here));
  }
  INFO(result.message());
  CHECK(result);
}

TEST_CASE("methods take part through hooks: low-rank terms that start at zero, and prefixes", "[encoder]") {
  tiny<double> given;
  given.parameters.train_only({"head*"});
  const std::size_t d = given.config.hidden_size, rank = 2, rows = 3;
  nn::parameter_set<double> added;
  philox random(31);
  const auto filled = [&](nn::parameter<double>& p) -> nn::parameter<double>& {
    for (double& x : std::span(p.writable().data(), p.size())) x = random.next_normal();
    return p;
  };
  nn::encoder_hooks<double> hooks;
  hooks.linear = [&](nn::tape<double>& t, std::span<const std::string> modules, nn::value x,
                     const nn::linear_options& options) {
    const nn::encoder<double> model(given.config, given.parameters);
    std::vector<nn::linear_weights> weights;
    for (const auto& module : modules) weights.push_back(model.weights_of(t, module));
    if (modules.size() != 3 || modules[0].find(".0.") == std::string::npos) return nn::linear(t, x, weights, options);
    // B A on the queries of the first layer, B = 0.
    const nn::value a = t.parameter(filled(added.add("A", rank, d))), b = t.parameter(added.add("B", 3 * d, rank));
    return nn::linear(t, nn::linear(t, x, {{a}}), {{b}}, {nn::activation::none, 0, nn::linear(t, x, weights)});
  };
  const batch b(given.expected, "");
  classifier<double> plain(given.config, given.parameters), with(given.config, given.parameters, {}, {}, 1, hooks);
  for (auto* model : {&plain, &with}) {
    model->set(b);
    model->forward();
  }
  for (std::size_t i = 0; i < plain.hidden.size(); ++i) {
    const auto one = plain.t.read(plain.hidden[i]), other = with.t.read(with.hidden[i]);
    CHECK(std::memcmp(one.data(), other.data(), one.size() * sizeof(double)) == 0);
  }
  with.t.backward();
  CHECK(max_abs(added.at("A").gradient().data(), added.at("A").size()) == 0);  // B is 0
  CHECK(max_abs(added.at("B").gradient().data(), added.at("B").size()) > 0);

  hooks.linear = {};
  hooks.prefix = [&](nn::tape<double>& t, std::size_t layer) {
    const auto part = [&](const char* name) { return t.parameter(filled(added.add(text(name, layer), rows, d))); };
    const nn::value keys = part("keys"), values = part("values");
    return std::pair{keys, values};
  };
  classifier<double> prefixed(given.config, given.parameters, {}, {}, 1, hooks);
  prefixed.set(b);
  const double here = prefixed.forward();
  CHECK(here != plain.t.scalar(plain.loss));
  prefixed.t.backward();
  comparison result;
  for (const char* name : {"keys0", "values1"}) {
    auto& p = added.at(name);
    CHECK(max_abs(p.gradient().data(), p.size()) > 0);
    for (std::size_t i = 0; i < p.size(); i += 7) {
      const double gradient = p.gradient().data()[i];
      result.add(std::abs(slope_of(p.writable().data()[i], [&] { return prefixed.forward(); }) - gradient),
                 allowed_slope(gradient, here));
    }
  }
  INFO(result.message());
  CHECK(result);
}

TEST_CASE("ten steps of AdamW with warm-up and clipping give PyTorch's losses", "[encoder][optimizer]") {
  for (const int threads : {1, 2}) {
    tiny<float> given;
    const auto reference = values(given.expected, "f64.losses"), norms = values(given.expected, "f64.norms");
    classifier<float> model(given.config, given.parameters, cpu{threads}, {false, false, false});
    nn::optimizer_options options;
    options.rate = 2e-3;  // as make.py
    nn::optimizer<float> update(options, cpu{threads});
    update.add(given.parameters);
    const nn::schedule_options schedule{nn::decay_shape::linear, 3, 10};
    std::vector<double> losses, lengths;
    for (std::size_t step = 0; step < reference.size(); ++step) {
      model.set(batch(given.expected, text("step.", step, ".")));
      losses.push_back(static_cast<double>(model.forward()));
      model.t.backward();
      lengths.push_back(update.gradient_norm());
      update.step(nn::schedule_factor(schedule, step), nn::clip_factor(lengths.back(), 0.5));
    }
    const comparison loss = by_peer(losses.data(), reference, peer_error(given.expected, "losses"), 2,
                                    max_abs(reference.data(), reference.size())),
                     norm = by_peer(lengths.data(), norms, peer_error(given.expected, "norms"), 3,
                                    max_abs(norms.data(), norms.size()));
    INFO("losses " << loss.message() << "; norms " << norm.message());
    CHECK(loss);
    CHECK(norm);
    CHECK(loss.max_abs <= 1e-5);  // the promise of docs/tape.md
  }
}

TEST_CASE("MiniLM equals transformers': states, loss and a sample of every gradient", "[encoder][.long]") {
  const std::filesystem::path model_at = minilm_folder();
  if (!std::filesystem::exists(model_at / "model.safetensors")) {
    WARN("skipped: " << model_at.string() << " is missing; fetch minilm_l6_v2 first");
    return;
  }
  const nn::encoder_config config = nn::read_encoder_config(model_at / "config.json");
  const io::safetensors_file weights(model_at / "model.safetensors"), expected(folder / "minilm_expected.safetensors");
  nn::parameter_set<float> parameters;
  REQUIRE(nn::load_encoder<float>(config, weights, parameters));
  load_head<float>(expected, config.hidden_size, parameters);
  parameters.train_only({"*"});
  classifier<float> model(config, parameters, cpu{2}, {false, false, true, 3, 28, 17});
  model.set(batch(expected, ""));
  model.forward();
  check_forward(model, expected, config.num_hidden_layers);
  model.t.backward();
  check_samples(parameters, expected);
}
