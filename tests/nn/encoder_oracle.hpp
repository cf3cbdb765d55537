// The stored outputs of transformers (tests/oracles/encoder/make.py), and the classifier that they belong to: an
// encoder with a head over [mean of the tokens, pooler's output].
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <hocket/io/safetensors.hpp>
#include <hocket/nn/encoder.hpp>
#include <hocket/nn/ops/arrange.hpp>
#include <hocket/nn/ops/losses.hpp>

#include "catch.hpp"
#include "nn/peer.hpp"

namespace encoder_test {

using namespace hocket;
using nn_test::by_peer;
using nn_test::cross_entropy_magnitude;
using nn_test::numbers;
using nn_test::values;

inline const std::filesystem::path folder = std::filesystem::path(HOCKET_SOURCE_DIR) / "tests/oracles/encoder";
inline std::filesystem::path minilm_folder() {
  const char* const home = std::getenv("HOME");
  const char* const cache = std::getenv("HOCKET_CACHE");
  return (cache ? std::filesystem::path(cache) : std::filesystem::path(home ? home : ".") / ".cache/hocket") /
         "data/minilm_l6_v2";
}
inline constexpr double smoothing = 0.1;  ///< as make.py
inline constexpr std::size_t classes = 3;

struct batch {
  batch(const io::safetensors_file& file, const std::string& prefix)
      : lengths(numbers(file, prefix + "lengths")),
        ids(numbers(file, prefix + "ids")),
        types(numbers(file, prefix + "types")),
        labels(numbers(file, prefix + "labels")) {}
  std::vector<std::uint32_t> lengths, ids, types, labels;
};

/// The head's weights lie beside the encoder's.
template <Real T>
void load_head(const io::safetensors_file& file, std::size_t width, nn::parameter_set<T>& into) {
  const auto load = [&](const std::string& name, std::size_t rows, std::size_t columns) {
    const auto stored = file.copy_as<T>(name);
    std::copy(stored.begin(), stored.end(), into.add(name, rows, columns).writable().data());
  };
  load("head.weight", classes, 2 * width);
  load("head.bias", 1, classes);
}

struct recording {
  bool dropout = false, checkpoint_layers = false, all_hidden = true;
  std::size_t items = 8, tokens = 160, longest = 23;
  nn::precision products = nn::precision::native;
};

/// A model on a tape, compiled for training.
template <Real T>
struct classifier {
  classifier(const nn::encoder_config& config, nn::parameter_set<T>& parameters, const cpu& device = {},
             const recording& how = {}, std::uint64_t seed = 1, const nn::encoder_hooks<T>& hooks = {})
      : t(device, seed, {}, how.products), rows(t, config, how.items, how.tokens, how.longest) {
    const nn::encoder<T> model(config, parameters);
    labels = t.indices("labels", rows.items(), classes);
    const auto states = model.record(t, rows, {how.dropout, how.checkpoint_layers}, hooks);
    hidden = states.hidden;
    mean = model.embed(t, rows, states.last(), nn::encoder_pooling::mean, false);
    pooler = model.pooler(t, rows, states.last(), hooks);
    logits = nn::linear(t, nn::concat_columns(t, {mean, pooler}), {model.weights_of(t, "head")});
    loss = nn::cross_entropy(t, logits, labels, smoothing);
    std::vector<nn::value> keep{mean, pooler, logits};
    if (how.all_hidden) keep.insert(keep.end(), hidden.begin(), hidden.end());
    t.compile(loss, keep);
  }
  void set(const batch& b) {
    rows.set(t, b.ids, b.lengths, b.types);
    t.set(labels, b.labels);
  }
  T forward() {
    t.forward();
    return t.scalar(loss);
  }

  nn::tape<T> t;
  nn::encoder_batch rows;
  nn::index_input labels;
  std::vector<nn::value> hidden;
  nn::value mean, pooler, logits, loss;
};

}  // namespace encoder_test
