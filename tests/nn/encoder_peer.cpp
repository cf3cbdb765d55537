// From text to a sentence's embedding (tokens, encoder, mean, length 1) beside tokenizers and transformers: stored
// sentences; and, where tests/encoder_peer/parity.py has just asked the libraries, hundreds of real ones and every
// gradient of MiniLM.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "catch.hpp"
#include "nn/encoder_oracle.hpp"
#include "nn/sentences.hpp"

using namespace encoder_test;

namespace {

std::vector<std::string> lines_of(std::istream& in) {
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// Every element within the peer's own largest error; and each row has length 1.
void check(const std::vector<float>& ours, const io::safetensors_file& expected, const std::string& name,
           std::size_t columns) {
  const auto reference = values(expected, name + ".f64"), peer = values(expected, name + ".f32");
  REQUIRE(ours.size() == reference.size());
  const comparison result =
      by_peer(ours.data(), reference, max_abs_difference(peer.data(), reference.data(), reference.size()), 2,
              max_abs(reference.data(), reference.size()));
  INFO(name << " " << result.message());
  CHECK(result);
  for (std::size_t r = 0; r < ours.size() / columns; ++r) {
    double square = 0;
    for (std::size_t c = 0; c < columns; ++c)
      square += static_cast<double>(ours[r * columns + c]) * static_cast<double>(ours[r * columns + c]);
    CHECK(std::abs(square - 1) <= rounding<float>(2));
  }
}

}  // namespace

TEST_CASE("embeddings of stored sentences equal those of tokenizers and transformers", "[encoder][sentences]") {
  const io::safetensors_file expected(folder / "sentences_expected.safetensors");
  const std::string* const stored = expected.metadata("texts");
  REQUIRE(stored);
  std::istringstream in(*stored);
  const auto lines = lines_of(in);
  const auto small = nn::read_encoder_config(folder / "sentences_config.json");
  check(embeddings(small, io::safetensors_file(folder / "sentences_model.safetensors"),
                   texts::tokenizer::load(folder.parent_path() / "text/small"), lines, 64),
        expected, "small", small.hidden_size);
  const auto model = minilm_folder();
  if (!std::filesystem::exists(model / "model.safetensors")) {
    WARN("skipped: " << model.string() << " is missing; fetch minilm_l6_v2 first");
    return;
  }
  const auto config = nn::read_encoder_config(model / "config.json");
  check(
      embeddings(config, io::safetensors_file(model / "model.safetensors"), texts::tokenizer::load(model), lines, 256),
      expected, "minilm", config.hidden_size);
}

// What parity.py has written into the folder of HOCKET_ENCODER_PEER: sentences.txt, expected.safetensors.
TEST_CASE("MiniLM beside the live libraries: real sentences, and all gradients of a ragged batch", "[.peer]") {
  const char* const given = std::getenv("HOCKET_ENCODER_PEER");
  REQUIRE(given);
  const std::filesystem::path at(given), model = minilm_folder();
  const io::safetensors_file weights(model / "model.safetensors"), expected(at / "expected.safetensors");
  const auto config = nn::read_encoder_config(model / "config.json");
  std::ifstream in(at / "sentences.txt");
  const auto lines = lines_of(in);
  REQUIRE(lines.size() >= 300);
  check(embeddings(config, weights, texts::tokenizer::load(model), lines, 256), expected, "sentences",
        config.hidden_size);

  nn::parameter_set<float> parameters;
  REQUIRE(nn::load_encoder<float>(config, weights, parameters));  // with its pooler
  load_head<float>(expected, config.hidden_size, parameters);
  parameters.train_only({"*"});
  const batch b(expected, "");
  const auto tokens = b.ids.size(), longest = std::size_t{*std::max_element(b.lengths.begin(), b.lengths.end())};
  classifier<float> with(config, parameters, cpu{2}, {false, false, false, b.lengths.size(), tokens, longest});
  with.set(b);
  with.forward();
  with.t.backward();
  double largest = 0;
  for (const auto& p : parameters) {
    const auto reference = values(expected, "f64.gradient." + p.name());
    REQUIRE(reference.size() == p.size());
    largest = std::max(largest, max_abs(reference.data(), reference.size()));
  }
  std::size_t compared = 0;
  double worst = 0;
  for (auto& p : parameters) {
    const auto reference = values(expected, "f64.gradient." + p.name());
    const comparison result =
        by_peer(p.gradient().data(), reference, values(expected, "f32.error." + p.name())[0], 3, largest);
    INFO(p.name() << " " << result.message());
    CHECK(result);
    compared += result.count;
    worst = std::max(worst, result.max_units);
  }
  std::cout << lines.size() << " sentences; " << parameters.size() << " tensors, " << compared
            << " gradients, the worst " << worst << " x its bound\n";
}
