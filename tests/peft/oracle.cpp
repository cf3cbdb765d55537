// LoRA and prefix tuning against Hugging Face's peft (tests/oracles/peft/make.py): logits, loss, every gradient of what
// is trained, merged weights, ten steps of AdamW, by the 2x rule; and its folders, read and written.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <hocket/nn/schedule.hpp>
#include <hocket/peft/adapter_folder.hpp>
#include <hocket/peft/merge.hpp>

#include "catch.hpp"
#include "error_kind.hpp"
#include "io/temporary.hpp"
#include "machine_sets.hpp"
#include "nn/encoder_oracle.hpp"
#include "peft/small.hpp"

using namespace peft_test;
using encoder_test::by_peer;
using encoder_test::cross_entropy_magnitude;
using encoder_test::numbers;
using encoder_test::values;

namespace {

const std::filesystem::path place = std::filesystem::path(HOCKET_SOURCE_DIR) / "tests/oracles/peft";
const nn::classifier_options three{nn::classifier_pooling::pooler, 3};

/// The methods of make.py's CASES.
peft::combined method_of(const std::string& name) {
  if (name == "lora") return peft::combined(peft::lora{{.rank = 4, .alpha = 8}});
  if (name == "lora_all")
    return peft::combined(peft::lora{{.rank = 3,
                                      .alpha = 5,
                                      .rslora = true,
                                      .targets = "all-linear",
                                      .rank_pattern = "key:2",
                                      .alpha_pattern = "layer.1.output.dense:7"}});
  if (name == "prefix") return peft::combined(peft::prefix{{.rows = 4}});
  return peft::combined(peft::prefix{{.rows = 3, .projection = true, .hidden = 10}});
}
const std::vector<std::string> cases{"lora", "lora_all", "prefix", "prefix_network"};

/// The model of make.py with a case's adapter as it starts there.
template <class T>
struct adapted {
  explicit adapted(const std::string& name, const cpu& device = {}, nn::precision products = nn::precision::native)
      : config(nn::read_encoder_config(place / "base_config.json")),
        expected(place / "expected.safetensors"),
        method(method_of(name)) {
    const io::safetensors_file base(place / "base.safetensors");
    REQUIRE(nn::load_classifier<T>(config, three, base, 1, weights));
    for (auto& p : weights) p.own();  // the file may go
    peft::attach(method, config, weights, 1);
    for (nn::parameter<T>* p : peft::trained_by(method, weights)) {
      const auto start = values(expected, name + ".start." + p->name());
      REQUIRE(start.size() == p->size());
      std::transform(start.begin(), start.end(), p->writable().data(), [](double x) { return static_cast<T>(x); });
    }
    model = std::make_unique<recorded<T>>(
        config, three, weights, [&](auto& into) { method.join(into); }, device, false, 8, 160, 23, true,
        std::shared_ptr<nn::weight_packs<T>>{}, products);
  }
  T forward(const std::string& step) {
    const encoder_test::batch b(expected, step);
    model->batch->set(model->t, b.ids, b.lengths, b.types);
    model->t.set(model->labels, b.labels);
    model->t.forward();
    return model->t.scalar(model->loss);
  }

  nn::encoder_config config;
  io::safetensors_file expected;
  peft::combined method;
  nn::parameter_set<T> weights;
  std::unique_ptr<recorded<T>> model;
};

/// Ours, one tensor or the same one of several batches, by the 2x rule (gradients 3x): the peer's largest error over
/// the same batches, and over its ways to compute them, bounds ours.
template <class T>
struct collected {
  void add(const io::safetensors_file& expected, const std::string& name, const std::string& what, const T* values_of,
           std::size_t size) {
    const auto exact = values(expected, name + ".f64." + what);
    REQUIRE(exact.size() == size);
    ours.insert(ours.end(), values_of, values_of + size);
    reference.insert(reference.end(), exact.begin(), exact.end());
    peer_error = std::max(peer_error, values(expected, name + ".f32.error." + what)[0]);
  }
  void check(const std::string& what, double factor, double magnitude = 0) const {
    const comparison result = by_peer<T>(ours.data(), reference, peer_error, factor,
                                         magnitude > 0 ? magnitude : max_abs(reference.data(), reference.size()));
    INFO(what << " " << result.message());
    CHECK(result);
  }
  std::vector<T> ours;
  std::vector<double> reference;
  double peer_error = 0;
};

constexpr std::size_t batches = 3, runs = 3;  // as make.py

}  // namespace

TEMPLATE_TEST_CASE("adapters equal peft's: logits, loss, all gradients", "[peft][oracle]", float, double) {
  using T = TestType;
  for (const auto& name : cases) {
    adapted<T> given(name);
    const auto trained = peft::trained_by(given.method, given.weights);
    collected<T> logits, loss;
    std::vector<std::uint32_t> labels;
    std::map<std::string, collected<T>> gradients;
    for (std::size_t i = 0; i < batches; ++i) {
      const T one = given.forward(text("batch.", i, "."));
      const auto rows = given.model->read(given.model->logits);
      logits.add(given.expected, name, text("logits.", i), rows.data(), rows.size());
      loss.add(given.expected, name, text("loss.", i), &one, 1);
      const auto stored = numbers(given.expected, text("batch.", i, ".labels"));
      labels.insert(labels.end(), stored.begin(), stored.end());
      clear_gradients(given.weights);
      given.model->t.backward();
      for (nn::parameter<T>* p : trained)
        gradients[p->name()].add(given.expected, name, text("gradient.", i, ".", p->name()), p->gradient().data(),
                                 p->size());
    }
    logits.check(name + " logits", 2);
    loss.check(name + " loss", 2, cross_entropy_magnitude(logits.reference, labels, encoder_test::smoothing));
    double largest = 0;
    for (const auto& [parameter, all] : gradients)
      largest = std::max(largest, max_abs(all.reference.data(), all.reference.size()));
    for (const auto& [parameter, all] : gradients) all.check(name + " " + parameter, 3, largest);
    for (const auto& key : given.expected.names())  // peft trains nothing else
      if (const std::string front = name + ".f64.gradient.0."; key.starts_with(front))
        CHECK(gradients.count(key.substr(front.size())) == 1);
  }
}

TEST_CASE("adapters in bf16 are at most twice as far from f64 as peft under autocast, gradients three times",
          "[peft][oracle][precision]") {
  // The largest errors of peft over the same batches: tests/oracles/precision/models.py.
  const io::safetensors_file errors(place.parent_path() / "precision/models.safetensors");
  for (const auto& mode : tests::machine_modes(true)) {
    const tests::on_mode guard(mode);
    for (const auto& name : cases) {
      adapted<float> given(name, cpu{2}, nn::precision::bf16);
      const auto trained = peft::trained_by(given.method, given.weights);
      const auto check = [&](const std::string& what, const std::string& stored, const float* ours, std::size_t size,
                             double factor) {
        const auto exact = values(given.expected, name + ".f64." + stored);
        REQUIRE(exact.size() == size);
        const comparison result =
            compare(ours, exact.data(), size,
                    peer_bound<float>(values(errors, name + "/" + what)[0], max_abs(exact.data(), size), factor));
        INFO(mode.text() << " " << name << " " << stored << " " << result.message());
        CHECK(result);
      };
      for (std::size_t i = 0; i < batches; ++i) {
        given.forward(text("batch.", i, "."));
        const auto rows = given.model->read(given.model->logits);
        check("logits", text("logits.", i), rows.data(), rows.size(), 2);
        clear_gradients(given.weights);
        given.model->t.backward();
        for (nn::parameter<float>* p : trained)
          check("gradient." + p->name(), text("gradient.", i, ".", p->name()), p->gradient().data(), p->size(), 3);
      }
    }
  }
}

TEMPLATE_TEST_CASE("merged weights and their logits equal peft's", "[peft][oracle]", float, double) {
  using T = TestType;
  for (const std::string name : {"lora", "lora_all"}) {
    adapted<T> given(name);
    const peft::merged_lora<T> terms(std::get<peft::lora>(given.method.methods[0]), given.config, given.weights);
    std::size_t merged = 0;
    for (const auto& key : given.expected.names()) {
      const std::string front = name + ".f64.merged.";
      if (!key.starts_with(front)) continue;
      ++merged;
      std::string weight = key.substr(front.size());
      if (weight == "classifier.weight") weight = peft::head_module("default") + ".weight";  // unloaded there
      const auto& w = given.weights.at(weight);
      collected<T> one;
      one.add(given.expected, name, key.substr(name.size() + 5), w.value().data(), w.size());
      one.check(key, 2);
    }
    CHECK(merged == (name == "lora" ? 4 : 13) + 1);
    recorded<T> model(
        given.config, three, given.weights, [&](auto& into) { peft::join_head("default", into); }, {}, false, 8, 160,
        23);
    collected<T> logits;
    for (std::size_t i = 0; i < batches; ++i) {
      const encoder_test::batch b(given.expected, text("batch.", i, "."));
      model.batch->set(model.t, b.ids, b.lengths, b.types);
      model.t.set(model.labels, b.labels);
      model.t.forward();
      const auto rows = model.read(model.logits);
      logits.add(given.expected, name, text("merged_logits.", i), rows.data(), rows.size());
    }
    logits.check(name + " merged logits", 2);
  }
}

TEST_CASE("ten steps of AdamW give peft's losses and weights", "[peft][oracle]") {
  for (const int threads : {1, 2})
    for (const auto& name : cases) {
      collected<double> losses;
      std::map<std::string, collected<float>> ends;
      for (std::size_t run = 0; run < runs; ++run) {
        adapted<float> given(name, cpu{threads});
        nn::optimizer_options options;
        options.rate = 2e-3;  // as make.py
        nn::optimizer<float> update(options, cpu{threads});
        update.add(given.weights);
        const nn::schedule_options schedule{nn::decay_shape::linear, 3, 10};
        std::vector<double> seen;
        for (std::size_t step = 0; step < 10; ++step) {
          seen.push_back(static_cast<double>(given.forward(text("step.", 10 * run + step, "."))));
          given.model->t.backward();
          const double clip = nn::clip_factor(update.gradient_norm(), 0.5);
          update.step(nn::schedule_factor(schedule, step), clip);
        }
        losses.add(given.expected, name, text("losses.", run), seen.data(), seen.size());
        for (const nn::parameter<float>* p : peft::trained_by(given.method, given.weights))
          ends[p->name()].add(given.expected, name, text("end.", run, ".", p->name()), p->value().data(), p->size());
      }
      losses.check(name + " losses", 2);
      CHECK(max_abs_difference(losses.ours.data(), losses.reference.data(), losses.ours.size()) <=
            1e-5);  // docs/peft.md
      for (const auto& [parameter, all] : ends) all.check(name + " " + parameter, 3);
    }
}

TEST_CASE("peft's folders are read to the bit, and what is written holds the same tensors", "[peft][oracle]") {
  const tests::temporary_folder out;
  for (const auto& name : cases) {
    INFO(name);
    const nn::encoder_config config = nn::read_encoder_config(place / "base_config.json");
    const io::safetensors_file base(place / "base.safetensors"), theirs(place / name / "adapter_model.safetensors");
    nn::parameter_set<float> weights;
    nn::load_classifier<float>(config, three, base, 1, weights);
    const peft::combined method = peft::read_adapters(place / name, config, weights);
    adapted<float> given(name);
    if (name == "prefix_network") {  // a folder holds the rows
      const auto rows = peft::prefix_rows(std::get<peft::prefix>(given.method.methods[0]), config, given.weights);
      const auto stored = theirs.copy<float>("prompt_embeddings");
      // the same product by two libraries: 10 + 36 terms and a tangent
      CHECK(max_abs_difference(rows.begin(), stored.begin(), stored.size()) <
            (10 + 36 + 2) * rounding<float>(max_abs(stored.begin(), stored.size())));
    } else {
      for (const nn::parameter<float>* p : peft::trained_by(given.method, given.weights)) {
        const auto& read = weights.at(p->name());
        REQUIRE(read.size() == p->size());
        CHECK(std::memcmp(read.value().data(), p->value().data(), p->size() * sizeof(float)) == 0);
      }
    }
    peft::write_adapter(out / name.c_str(), method, config, weights);
    const io::safetensors_file ours(out / name.c_str() / "adapter_model.safetensors");
    REQUIRE(ours.names() == theirs.names());
    for (const auto& key : theirs.names()) {
      CHECK(ours.info(key).extents == theirs.info(key).extents);
      const auto a = ours.bytes(key), b = theirs.bytes(key);
      CHECK((a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0));
    }
    // What was written reads as what was read: the same method and the same logits.
    nn::parameter_set<float> again;
    nn::load_classifier<float>(config, three, base, 1, again);
    const peft::combined second = peft::read_adapters(out / name.c_str(), config, again, "other");
    const texts_of b = make_texts(config, {5, 20, 1, 7}, 3);
    recorded<float> one(config, three, weights, [&](auto&into) { method.join(into); }),
        two(config, three, again, [&](auto&into) { second.join(into); });
    CHECK(one.forward(b) == two.forward(b));
  }
}
