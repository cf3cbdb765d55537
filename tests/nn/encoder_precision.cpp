// Encoders with products in bf16 and int8. Beside PyTorch's bf16 autocast by the 2x rule (gradients 3x;
// tests/oracles/precision/models.py); embeddings of real sentences beside f32; training in bf16 with weights and
// moments in f32: within the spread that seeds have in f32, resumed to the bit, without an allocation.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include <unistd.h>

#include <hocket/measure/allocations.hpp>
#include <hocket/nn/checkpoint.hpp>
#include <hocket/nn/optimizer.hpp>
#include <hocket/nn/sampler.hpp>

#include "catch.hpp"
#include "machine_sets.hpp"
#include "nn/encoder_oracle.hpp"
#include "nn/sentences.hpp"

using namespace encoder_test;
using nn::precision;

namespace {

const std::filesystem::path errors_at = folder.parent_path() / "precision/models.safetensors";

struct tiny {
  tiny()
      : config(nn::read_encoder_config(folder / "tiny_config.json")), expected(folder / "tiny_expected.safetensors") {
    const io::safetensors_file file(folder / "tiny.safetensors");
    REQUIRE(nn::load_encoder<float>(config, file, parameters));
    load_head<float>(file, config.hidden_size, parameters);
    parameters.train_only({"*"});  // their own memory: the file may go
  }
  nn::encoder_config config;
  io::safetensors_file expected;
  nn::parameter_set<float> parameters;
};

void clear(nn::parameter_set<float>& parameters) {
  for (auto& p : parameters)
    if (p.trainable()) std::fill_n(p.gradient().data(), p.size(), 0.0F);
}
std::vector<float> everything(nn::parameter_set<float>& parameters, bool gradients) {
  std::vector<float> all;
  for (auto& p : parameters) {
    const float* const from = gradients ? p.gradient().data() : p.value().data();
    all.insert(all.end(), from, from + p.size());
  }
  return all;
}
bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// States, outputs and loss by twice the error of PyTorch's autocast.
void check_forward(const classifier<float>& model, const io::safetensors_file& expected,
                   const io::safetensors_file& errors, const std::string& name) {
  const auto check = [&](const std::string& what, nn::value v) {
    const auto reference = values(expected, "f64." + what);
    const auto ours = model.t.read(v);
    REQUIRE(ours.size() == reference.size());
    const comparison result = compare(
        ours.data(), reference.data(), reference.size(),
        peer_bound<float>(values(errors, text(name, "/", what))[0], max_abs(reference.data(), reference.size())));
    INFO(what << " " << result.message());
    CHECK(result);
  };
  for (std::size_t i = 0; i < model.hidden.size(); ++i) check(text("hidden.", i), model.hidden[i]);
  check("mean", model.mean);
  check("pooler", model.pooler);
  check("logits", model.logits);
  check("loss", model.loss);
}

}  // namespace

TEST_CASE("a small encoder in bf16 beside PyTorch's autocast: states, loss and all gradients", "[encoder][precision]") {
  tiny given;
  const io::safetensors_file errors(errors_at);
  const batch b(given.expected, "");
  for (const auto& mode : tests::machine_modes(true)) {
    const tests::on_mode guard(mode);
    INFO(mode.text());
    std::vector<float> first;
    for (const bool checkpoint : {false, true})
      for (const int threads : {1, 2}) {
        recording how{false, checkpoint};
        how.products = precision::bf16;
        classifier<float> model(given.config, given.parameters, cpu{threads}, how);
        model.set(b);
        model.forward();
        check_forward(model, given.expected, errors, "tiny");
        clear(given.parameters);
        model.t.backward();
        for (auto& p : given.parameters) {
          const auto reference = values(given.expected, "f64.gradient." + p.name());
          const comparison result = compare(p.gradient().data(), reference.data(), reference.size(),
                                            peer_bound<float>(values(errors, "tiny/gradient." + p.name())[0],
                                                              max_abs(reference.data(), reference.size()), 3));
          INFO(p.name() << " " << result.message());
          CHECK(result);
        }
        const auto gradients = everything(given.parameters, true);
        if (first.empty()) first = gradients;
        CHECK(same_bits(first, gradients));
      }
  }
}

TEST_CASE("MiniLM in bf16 beside PyTorch's autocast: states, loss and a sample of every gradient",
          "[encoder][precision]") {
  if (!std::filesystem::exists(minilm_folder() / "model.safetensors")) {
    WARN("skipped: " << minilm_folder().string() << " is missing; fetch minilm_l6_v2 first");
    return;
  }
  const auto config = nn::read_encoder_config(minilm_folder() / "config.json");
  const io::safetensors_file weights(minilm_folder() / "model.safetensors"),
      expected(folder / "minilm_expected.safetensors"), errors(errors_at);
  nn::parameter_set<float> parameters;
  REQUIRE(nn::load_encoder<float>(config, weights, parameters));
  load_head<float>(expected, config.hidden_size, parameters);
  parameters.train_only({"*"});
  recording how{false, false, true, 3, 28, 17};
  how.products = precision::bf16;
  classifier<float> model(config, parameters, cpu{2}, how);
  model.set(batch(expected, ""));
  model.forward();
  check_forward(model, expected, errors, "minilm");
  model.t.backward();
  for (auto& p : parameters) {
    auto reference = values(expected, "f64.gradient." + p.name());
    std::vector<float> ours;
    for (const std::uint32_t place : numbers(expected, "places." + p.name()))
      ours.push_back(p.gradient().data()[place]);
    ours.push_back(static_cast<float>(max_abs(p.gradient().data(), p.size())));
    REQUIRE(ours.size() == reference.size());
    const comparison result =
        compare(ours.data(), reference.data(), reference.size(),
                peer_bound<float>(values(errors, "minilm/gradient." + p.name())[0], reference.back(), 3));
    INFO(p.name() << " " << result.message());
    CHECK(result);
  }
}

TEST_CASE("embeddings of 500 real sentences: cosines of bf16 and int8 with f32", "[encoder][precision]") {
  const auto sentences = real_sentences(47);
  const auto model = minilm_folder();
  if (sentences.empty() || !std::filesystem::exists(model / "model.safetensors")) {
    WARN("skipped: minilm_l6_v2 or vader_sentiment is missing in " << model.parent_path().string());
    return;
  }
  std::vector<std::string> lines;
  for (const rated& each : sentences) lines.push_back(each.text);
  REQUIRE(lines.size() >= 500);
  const auto config = nn::read_encoder_config(model / "config.json");
  const io::safetensors_file weights(model / "model.safetensors");
  const auto words = texts::tokenizer::load(model);
  const auto exact = embeddings(config, weights, words, lines, 256);
  const std::size_t columns = config.hidden_size;
  for (const auto& [products, promised] : {std::pair{precision::bf16, 0.999}, std::pair{precision::int8, 0.99}}) {
    const auto made = embeddings(config, weights, words, lines, 256, products);
    REQUIRE(made.size() == exact.size());
    CHECK(made != exact);
    double least = 1, sum = 0;
    for (std::size_t r = 0; r < lines.size(); ++r) {
      double dot = 0, one = 0, other = 0;
      for (std::size_t c = r * columns; c < (r + 1) * columns; ++c) {
        const double x = static_cast<double>(made[c]), y = static_cast<double>(exact[c]);
        dot += x * y, one += x * x, other += y * y;
      }
      const double cosine = dot / std::sqrt(one * other);
      INFO(name_of(products) << " " << lines[r]);
      CHECK(cosine >= promised);
      least = std::min(least, cosine);
      sum += cosine;
    }
    std::cout << name_of(products) << ": least cosine of " << lines.size() << " sentences " << least << ", mean "
              << sum / static_cast<double>(lines.size()) << "\n";
  }
}

TEST_CASE("training in bf16 resumes to the bit, allocates nothing, and keeps weights and moments in f32",
          "[encoder][precision][checkpoint]") {
  struct run {
    run() : model(given.config, given.parameters, cpu{2}, how(), 1), update({}, cpu{2}) {
      update.add(given.parameters);
    }
    static recording how() {
      recording r{true, false, false};
      r.products = precision::bf16;
      return r;
    }
    float step(std::size_t number) {
      model.set(batches.empty() ? load(number) : batches[number]);
      const float loss = model.forward();
      model.t.backward();
      update.step(1, nn::clip_factor(update.gradient_norm(), 1));
      return loss;
    }
    const batch& load(std::size_t number) {
      for (std::size_t i = 0; i < 10; ++i) batches.emplace_back(given.expected, text("step.", i, "."));
      return batches[number];
    }
    tiny given;
    std::vector<batch> batches;
    classifier<float> model;
    nn::optimizer<float> update;
  };
  const auto path = std::filesystem::temp_directory_path() / text("hocket_bf16_", ::getpid());
  run whole, first, second;
  std::vector<float> losses, resumed;
  for (std::size_t i = 0; i < 8; ++i) losses.push_back(whole.step(i));
  for (std::size_t i = 0; i < 3; ++i) resumed.push_back(first.step(i));
  nn::save_checkpoint<float>(path, {first.given.parameters, first.update, &first.model.t});
  nn::load_checkpoint<float>(path, {second.given.parameters, second.update, &second.model.t});
  std::filesystem::remove(path);
  for (std::size_t i = 3; i < 8; ++i) resumed.push_back(second.step(i));
  CHECK(losses == resumed);
  CHECK(same_bits(everything(whole.given.parameters, false), everything(second.given.parameters, false)));
  CHECK(measure::allocations_of([&] { whole.step(1), whole.step(4); }) == 0);
  // Master weights hold what bf16 could not: a step moves them by less than its spacing.
  std::size_t between = 0;
  const auto& weight = whole.given.parameters.at("encoder.layer.0.output.dense.weight");
  for (std::size_t i = 0; i < weight.size(); ++i)
    between += weight.value().data()[i] != to_f32(to_bf16(weight.value().data()[i]));
  CHECK(between > weight.size() / 2);
}

TEST_CASE("200 steps of full fine-tuning in bf16 stay inside the spread of seeds in f32", "[precision][.long]") {
  const auto sentences = real_sentences(12);
  const auto at = minilm_folder();
  if (sentences.empty() || !std::filesystem::exists(at / "model.safetensors")) {
    WARN("skipped: minilm_l6_v2 or vader_sentiment is missing in " << at.parent_path().string());
    return;
  }
  constexpr std::size_t steps = 200, window = 25, items = 16, longest = 32;
  const auto config = nn::read_encoder_config(at / "config.json");
  const io::safetensors_file file(at / "model.safetensors"), head(folder / "minilm_expected.safetensors");
  const auto words = texts::tokenizer::load(at);
  std::vector<std::vector<std::uint32_t>> ids;
  texts::encode_options encoding;
  encoding.truncation = texts::truncation_options{longest};
  for (const rated& each : sentences) {
    const auto tokens = words.encode(each.text, encoding);
    ids.emplace_back(tokens.begin(), tokens.end());
  }
  /// Mean loss of every window.
  const auto losses_of = [&](precision products, std::uint64_t seed) {
    nn::parameter_set<float> parameters;
    REQUIRE(nn::load_encoder<float>(config, file, parameters));
    load_head<float>(head, config.hidden_size, parameters);
    parameters.train_only({"*"});
    recording how{true, false, false, items, items * longest, longest};
    how.products = products;
    classifier<float> model(config, parameters, cpu{2}, how, seed);
    nn::optimizer_options options;
    options.rate = 5e-5;
    nn::optimizer<float> update(options, cpu{2});
    update.add(parameters);
    nn::epoch_sampler order(sentences.size(), seed);
    std::vector<double> means(steps / window);
    std::vector<std::uint32_t> tokens, lengths, labels;
    for (std::size_t step = 0; step < steps; ++step) {
      tokens.clear(), lengths.clear(), labels.clear();
      for (const std::uint32_t row : order.next(items)) {
        tokens.insert(tokens.end(), ids[row].begin(), ids[row].end());
        lengths.push_back(static_cast<std::uint32_t>(ids[row].size()));
        const double rating = sentences[row].rating;
        labels.push_back(rating >= 0.5 ? 2 : rating <= -0.5 ? 0 : 1);
      }
      model.rows.set(model.t, tokens, lengths);
      model.t.set(model.labels, labels);
      means[step / window] += static_cast<double>(model.forward()) / window;
      model.t.backward();
      update.step(1, nn::clip_factor(update.gradient_norm(), 1));
    }
    return means;
  };
  constexpr std::uint64_t seeds = 4, compared = 2;
  std::vector<std::vector<double>> f32;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) f32.push_back(losses_of(precision::native, seed));
  for (std::uint64_t seed = 1; seed <= compared; ++seed) {
    const auto bf16 = losses_of(precision::bf16, seed);
    for (std::size_t w = 0; w < bf16.size(); ++w) {
      double low = f32[0][w], high = low;
      for (const auto& each : f32) low = std::min(low, each[w]), high = std::max(high, each[w]);
      std::cout << "steps " << w * window << " on, seed " << seed << ": bf16 " << bf16[w] << ", f32 "
                << f32[seed - 1][w] << ", seeds of f32 " << low << " to " << high << "\n";
      CHECK(std::abs(bf16[w] - f32[seed - 1][w]) <= high - low);
    }
    CHECK(bf16.back() < 0.8 * bf16.front());  // it has learnt
  }
}
