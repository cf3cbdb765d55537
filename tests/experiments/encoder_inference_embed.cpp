// The verb `embed` as a user meets it: transformers' embeddings of awkward texts, exit codes, messages.
#include <hocket/core/tolerance.hpp>
#include <hocket/io/npy.hpp>
#include <hocket/io/safetensors.hpp>

#include "experiments/encoder_inference/embed.hpp"
#include "experiments/programs.hpp"
#include "nn/peer.hpp"

using namespace hocket;
using program::scratch;

namespace {

namespace fs = program::fs;
const fs::path oracles = fs::path(HOCKET_SOURCE_DIR) / "tests" / "oracles";

program::result embed(const scratch& folder, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "embed");
  return program::run(folder.path, ENCODER_INFERENCE, arguments);
}

/// The small model of the oracles as a folder.
void make_model(const fs::path& folder) {
  fs::create_directories(folder);
  fs::copy_file(oracles / "encoder/sentences_config.json", folder / "config.json");
  fs::copy_file(oracles / "encoder/sentences_model.safetensors", folder / "model.safetensors");
  fs::copy_file(oracles / "text/small/tokenizer.json", folder / "tokenizer.json");
}

std::vector<float> rows_of(const scratch& folder, std::size_t rows) {
  const io::npy_array array = io::read_npy(folder.path / "out.npy");
  REQUIRE(array.type() == dtype::f32);
  REQUIRE(array.extents() == std::vector<std::size_t>{rows, 8});
  return io::read_npy_values<float>(folder.path / "out.npy", rows * 8);
}

}  // namespace

TEST_CASE("embed writes transformers' embeddings of awkward texts", "[experiments][encoder_inference]") {
  const scratch folder;
  make_model(folder.path / "model");
  const io::safetensors_file expected(oracles / "embed/expected.safetensors");
  struct setting {
    const char *name, *max_length, *pooling, *normalize;
  };
  for (const setting& s : {setting{"usual", "64", "mean", "true"}, setting{"cls", "64", "cls", "true"},
                           setting{"raw", "64", "mean", "false"}, setting{"short", "9", "cls", "false"},
                           setting{"empty", "2", "mean", "true"}}) {
    for (const char* threads : {"1", "2"}) {
      const auto done = embed(folder, {"--model", "model", "--text", (oracles / "embed/texts.txt").string(), "--out",
                                       "out.npy", "--max-length", s.max_length, "--pooling", s.pooling, "--normalize",
                                       s.normalize, "--threads", threads});
      INFO(s.name << " " << done.err);
      REQUIRE(done.code == 0);
      const auto reference = nn_test::values(expected, text(s.name, ".f64"));
      const auto peer = nn_test::values(expected, text(s.name, ".f32"));
      const auto ours = rows_of(folder, reference.size() / 8);
      const comparison result =
          nn_test::by_peer(ours.data(), reference, max_abs_difference(peer.data(), reference.data(), reference.size()),
                           2, max_abs(reference.data(), reference.size()));
      INFO(result.message());
      CHECK(result);
    }
  }
}

TEST_CASE("embed's defaults are 256 tokens, the mean, length 1", "[experiments][encoder_inference]") {
  const scratch folder;
  make_model(folder.path / "model");  // which has 64 positions: texts are cut there
  const std::string file = (oracles / "embed/texts.txt").string();
  REQUIRE(embed(folder, {"--model", "model", "--text", file, "--out", "out.npy"}).code == 0);
  const std::string plain = program::read(folder.path / "out.npy");
  const auto spelled = embed(folder, {"--model", "model", "--text", file, "--out", "out.npy", "--precision", "f32",
                                      "--max-length", "64", "--pooling", "mean", "--normalize", "true"});
  REQUIRE(spelled.code == 0);
  CHECK(spelled.says("cut"));
  CHECK(program::read(folder.path / "out.npy") == plain);
}

TEST_CASE("a text's row has the same bits wherever it stands", "[experiments][encoder_inference]") {
  const scratch folder;
  make_model(folder.path / "model");
  const auto words = program::lines(program::read(oracles / "embed/texts.txt"));
  for (const char* precision : {"f32", "bf16", "int8"}) {
    std::string file;
    for (int copy = 0; copy < 20; ++copy)
      for (const auto& word : words) file += word + "\n";
    io::write_file(folder.path / "texts.txt", file);
    const auto with = [&](const char* threads) {
      const auto done = embed(folder, {"--model", "model", "--text", "texts.txt", "--out", "out.npy", "--precision",
                                       precision, "--threads", threads});
      INFO(precision << " " << done.err);
      REQUIRE(done.code == 0);
      return rows_of(folder, 20 * words.size());
    };
    const auto one = with("1");
    CHECK(with("2") == one);
    CHECK(with("3") == one);
    const std::size_t once = words.size() * 8;
    for (std::size_t i = once; i < one.size(); ++i)
      if (one[i] != one[i % once]) FAIL_CHECK(precision << ": row " << i / 8 << " differs from " << i % once / 8);
  }
}

TEST_CASE("lines become texts", "[experiments][encoder_inference]") {
  using experiments::encoder_inference::texts_of;
  using list = std::vector<std::string_view>;
  CHECK(texts_of("").empty());
  CHECK(texts_of("\n") == list{""});
  CHECK(texts_of("a") == list{"a"});
  CHECK(texts_of("a\n") == list{"a"});
  CHECK(texts_of("a\n\nb\n\n") == list{"a", "", "b", ""});
  CHECK(texts_of("a\r\n\r\nb\r\r\nc\rd\r") == list{"a", "", "b\r", "c\rd"});
}

TEST_CASE("a file without texts gives an array without rows", "[experiments][encoder_inference]") {
  const scratch folder;
  make_model(folder.path / "model");
  io::write_file(folder.path / "texts.txt", "");
  const auto done = embed(folder, {"--model", "model", "--text", "texts.txt", "--out", "out.npy"});
  CHECK(done.code == 0);
  CHECK(done.says("no texts"));
  CHECK(rows_of(folder, 0).empty());
}

TEST_CASE("numbers that are not finite are refused, in weights and in embeddings", "[experiments][encoder_inference]") {
  const scratch folder;
  make_model(folder.path / "model");
  io::write_file(folder.path / "texts.txt", "one\ntwo\n");
  const std::string norm = "embeddings.LayerNorm.weight", last = "encoder.layer.0.output.LayerNorm.weight";
  const auto with = [&](const std::string& name, float value) {
    const io::safetensors_file whole(oracles / "encoder/sentences_model.safetensors");
    std::vector<io::tensor_bytes> tensors;
    const std::vector<float> changed(8, value);
    for (const auto& each : whole.tensors())
      tensors.push_back(each.name == name
                            ? io::named_tensor(name, view<const float, 1>(changed.data(), {8}))
                            : io::tensor_bytes{each.name, each.type, each.extents, whole.bytes(each.name)});
    io::write_safetensors(folder.path / "model/model.safetensors", tensors);
    return embed(folder, {"--model", "model", "--text", "texts.txt", "--out", "out.npy", "--normalize", "false"});
  };
  const auto broken = with(norm, NAN);
  CHECK(broken.code == 4);
  CHECK(broken.says("model.safetensors: tensor '" + norm + "': element 0 of 8 is nan"));
  const auto too_large = with(last, std::numeric_limits<float>::max());
  CHECK(too_large.code == 4);
  CHECK(too_large.says("row 0, column "));
  CHECK_FALSE(fs::exists(folder.path / "out.npy"));
}

TEST_CASE("wrong use of embed is exit 2, unreadable files are exit 4", "[experiments][encoder_inference]") {
  const scratch folder;
  make_model(folder.path / "model");
  io::write_file(folder.path / "texts.txt", "a text\n");
  const auto refuses = [&](int code, std::vector<std::string> arguments, std::vector<std::string> reasons) {
    const auto done = embed(folder, arguments);
    INFO(done.err);
    CHECK(done.code == code);
    for (const auto& reason : reasons) {
      INFO(reason);
      CHECK(done.says(reason));
    }
    for (const auto& file : fs::directory_iterator(folder.path))
      CHECK(file.path().filename().string().find("out.npy") == std::string::npos);
  };
  const auto with = [](std::vector<std::string> more) {
    more.insert(more.begin(), {"--model", "model", "--text", "texts.txt", "--out", "out.npy"});
    return more;
  };
  refuses(2, {}, {"--model"});
  refuses(2, {"--model", "model", "--out", "out.npy"}, {"--text"});
  refuses(2, {"--model", "model", "--text", "texts.txt"}, {"--out"});
  refuses(2, with({"--precision", "f16"}), {"f16", "f32, bf16, int8"});
  refuses(2, with({"--pooling", "max"}), {"max", "mean, cls"});
  refuses(2, with({"--normalize", "yes"}), {"yes", "true or false"});
  refuses(2, with({"--max-length", "65"}), {"65", "64"});
  refuses(2, with({"--max-length", "1"}), {"max_length 1", "2 special tokens"});
  refuses(2, with({"--max-length", "0"}), {"max_length 0"});
  refuses(2, with({"--max-length", "-3"}), {"-3"});
  refuses(2, with({"--max-length", "many"}), {"many", "whole number"});
  refuses(2, with({"--threads", "0"}), {"0", "expected 1 to 4096"});
  refuses(2, with({"--colour", "red"}), {"--colour", "--precision"});
  refuses(4, {"--model", "nowhere", "--text", "texts.txt", "--out", "out.npy"}, {"nowhere", "model.safetensors"});
  refuses(4, {"--model", "model", "--text", "absent.txt", "--out", "out.npy"}, {"absent.txt", "no such file"});
  refuses(4, {"--model", "model", "--text", "model", "--out", "out.npy"}, {"model", "not a regular file"});
  refuses(4, {"--model", "model", "--text", "texts.txt", "--out", "nowhere/out.npy"}, {"nowhere/out.npy", "folder"});
  fs::remove(folder.path / "model/tokenizer.json");
  refuses(4, with({}), {"tokenizer.json", "vocab.txt"});
  make_model(folder.path / "cut");
  fs::resize_file(folder.path / "cut/model.safetensors", 100'000);
  refuses(4, {"--model", "cut", "--text", "texts.txt", "--out", "out.npy"}, {"model.safetensors"});
  make_model(folder.path / "other");
  io::write_file(folder.path / "other/config.json", R"({"model_type": "gpt2"})");
  refuses(4, {"--model", "other", "--text", "texts.txt", "--out", "out.npy"}, {"gpt2", "bert"});
}
