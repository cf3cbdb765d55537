// A small random classifier with methods on it, and batches for it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/nn/ops/losses.hpp>
#include <hocket/nn/optimizer.hpp>
#include <hocket/peft/bitfit.hpp>
#include <hocket/peft/combined.hpp>
#include <hocket/peft/full.hpp>
#include <hocket/peft/linear_probe.hpp>
#include <hocket/peft/lora.hpp>
#include <hocket/peft/prefix.hpp>

#include "catch.hpp"

namespace peft_test {

using namespace hocket;

inline nn::encoder_config small_config() {
  nn::encoder_config c;
  c.hidden_size = 36;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 3;
  c.intermediate_size = 70;
  c.vocab_size = 61;
  c.max_position_embeddings = 30;
  c.initializer_range = 0.2;
  return c;
}

/// Weights whose biases and gains matter.
template <Real T>
void make_small(nn::parameter_set<T>& weights, const nn::encoder_config& config,
                const nn::classifier_options& options) {
  nn::make_classifier(config, options, 3, weights);
  std::uint64_t stream = 0;
  for (auto& p : weights) {
    const philox random(4, stream++);
    if (p.rows() == 1)
      for (std::size_t i = 0; i < p.size(); ++i) p.writable().data()[i] += static_cast<T>(0.1 * random.normal_at(i));
    p.train(false);
  }
}

/// Normal values in every weight whose name matches: B of a new LoRA adapter is zero.
template <Real T>
void disturb(nn::parameter_set<T>& weights, const std::string& pattern, double deviation = 0.3) {
  std::uint64_t stream = 0;
  for (auto& p : weights) {
    const philox random(5, stream++);
    if (!nn::matches(pattern, p.name())) continue;
    for (std::size_t i = 0; i < p.size(); ++i) p.writable().data()[i] = static_cast<T>(deviation * random.normal_at(i));
  }
}

struct texts_of {
  std::vector<std::uint32_t> lengths, ids, labels;
};
inline texts_of make_texts(const nn::encoder_config& c, const std::vector<std::uint32_t>& lengths, std::size_t labels,
                           std::uint64_t seed = 6) {
  texts_of b{lengths, {}, {}};
  philox random(seed);
  for (const std::uint32_t length : lengths) {
    for (std::uint32_t i = 0; i < length; ++i)
      b.ids.push_back(static_cast<std::uint32_t>(random.next_below(c.vocab_size)));
    b.labels.push_back(static_cast<std::uint32_t>(random.next_below(labels)));
  }
  return b;
}

/// A classifier on a tape with what `join` adds, compiled for training.
template <Real T>
struct recorded {
  template <class Join>
  recorded(const nn::encoder_config& config, const nn::classifier_options& options, nn::parameter_set<T>& weights,
           Join&& join, const cpu& device = {}, bool dropout = false, std::size_t items = 8, std::size_t tokens = 120,
           std::size_t longest = 20, bool keep_states = true, std::shared_ptr<nn::weight_packs<T>> packs = {},
           nn::precision products = nn::precision::native)
      : t(device, 7, {}, products, std::move(packs)), into(t, config, weights) {
    join(into);
    batch = std::make_unique<nn::encoder_batch>(t, config, items, tokens, longest, into.first_position());
    labels = t.indices("labels", batch->items(), options.labels);
    const auto values =
        nn::sequence_classifier<T>(config, options, weights).record(t, *batch, {.dropout = dropout}, into.hooks());
    states = values.states;
    logits = values.logits;
    loss = nn::cross_entropy(t, logits, labels, 0.1);
    std::vector<nn::value> keep{logits, loss};
    if (keep_states) keep.push_back(states.last());
    if (t.moves(loss))
      t.compile(loss, keep);
    else
      t.compile_forward(keep);
  }
  T forward(const texts_of& b) {
    batch->set(t, b.ids, b.lengths);
    t.set(labels, b.labels);
    t.forward();
    return t.scalar(loss);
  }
  std::vector<T> read(nn::value v) const {
    const auto m = t.read(v);
    return {m.data(), m.data() + m.size()};
  }

  nn::tape<T> t;
  peft::additions<T> into;
  std::unique_ptr<nn::encoder_batch> batch;
  nn::index_input labels;
  nn::encoder_values states;
  nn::value logits, loss;
};

template <Real T>
void clear_gradients(nn::parameter_set<T>& weights) {
  for (auto& p : weights)
    if (p.trainable()) std::fill_n(p.gradient().data(), p.size(), T{0});
}
template <Real T>
std::vector<T> all_values(const nn::parameter_set<T>& weights) {
  std::vector<T> all;
  for (const auto& p : weights) all.insert(all.end(), p.value().data(), p.value().data() + p.size());
  return all;
}
template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

/// body(name, method) for every method, several options of some.
template <class Body>
void for_each_method(Body&& body) {
  body("full", peft::full{});
  body("full without embeddings", peft::full{{.embeddings = false}});
  body("linear probe", peft::linear_probe{});
  body("bitfit", peft::bitfit{});
  body("lora", peft::lora{{.rank = 3, .alpha = 6, .dropout = 0.2}});
  body("lora of all products", peft::lora{{.rank = 2, .rslora = true, .targets = "all-linear"}});
  body("prefix", peft::prefix{{.rows = 4}});
  body("prefix by a network", peft::prefix{{.rows = 3, .projection = true, .hidden = 5}});
  body("prefix and lora", peft::combined(peft::prefix{{.rows = 2}}, peft::lora{{.rank = 3, .targets = "value,dense"}}));
}

}  // namespace peft_test
