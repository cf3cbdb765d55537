// The verbs `finetune`, `predict` and `merge` as a user meets them, on a small random model.
#include <cstdlib>

#include <hocket/core/tolerance.hpp>
#include <hocket/io/npy.hpp>
#include <hocket/io/safetensors.hpp>
#include <hocket/io/tsv.hpp>
#include <hocket/nn/encoder_config.hpp>
#include <hocket/nn/sequence_classifier.hpp>

#include "experiments/programs.hpp"

using namespace hocket;
using program::scratch;

namespace {

const std::vector<std::string> words = {"good", "fine", "bad", "poor", "the", "a", "film", "book", "##s", "was", "!"};

/// A model's folder: two layers, a vocabulary of a few words.
void make_model(const program::fs::path& folder, std::uint64_t seed = 1, bool pooler = true) {
  program::fs::create_directories(folder);
  std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
  for (const auto& word : words) vocabulary += word + "\n";
  io::write_file(folder / "vocab.txt", vocabulary);
  io::write_file(folder / "config.json",
                 R"({"model_type": "bert", "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3,
"intermediate_size": 40, "vocab_size": 16, "max_position_embeddings": 24, "type_vocab_size": 2,
"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "initializer_range": 0.3})");
  const auto config = nn::read_encoder_config(folder / "config.json");
  nn::parameter_set<float> weights;
  nn::make_encoder(config, pooler, seed, weights);
  std::vector<io::tensor_bytes> tensors;
  for (const auto& each : weights) {
    const auto v = each.value();
    const bool vector = each.name().ends_with(".bias") || each.name().find("LayerNorm") != std::string::npos;
    tensors.push_back(vector ? io::named_tensor(each.name(), view<const float, 1>(v.data(), {v.size()}))
                             : io::named_tensor(each.name(), v));
  }
  io::write_safetensors(folder / "model.safetensors", tensors);
}

/// Rows whose label is that of their one telling word.
std::string rows(std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) {
    const bool good = i % 3 != 0;
    all += std::string(good ? "yes" : "no") + "\t" + (i % 2 ? "the film" : "a book s") + " was " +
           (good ? (i % 5 ? "good" : "fine") : (i % 2 ? "bad" : "poor !")) + "\n";
  }
  return all;
}

struct place : scratch {
  place() {
    make_model(path / "model");
    io::write_file(path / "train.tsv", rows(40));
    io::write_file(path / "texts.txt", "the film was good\nthe film was bad\n\ngood good\nfilm");
  }
  program::result run(const std::vector<std::string>& arguments) const {
    return program::run(path, PEFT_VS_FULL, arguments);
  }
  std::vector<std::string> finetune(const std::string& method, const std::vector<std::string>& settings,
                                    const std::string& out = "out") const {
    std::vector<std::string> all = {"finetune", "--model", "model", "--data",    "train.tsv", "--method",
                                    method,     "--out",   out,     "--threads", "1"};
    if (!settings.empty()) all.emplace_back("-S");
    all.insert(all.end(), settings.begin(), settings.end());
    return all;
  }
  std::vector<float> logits(const std::string& adapter, const std::string& model = "model") const {
    std::vector<std::string> all = {"predict", "--model", model, "--text", "texts.txt", "--logits", "l.npy"};
    if (!adapter.empty()) all.insert(all.end(), {"--adapter", adapter});
    const auto done = run(all);
    INFO(done.err);
    REQUIRE(done.code == 0);
    const auto array = io::read_npy(path / "l.npy");
    return io::read_npy_values<float>(path / "l.npy", array.size());
  }
};

const std::vector<std::string> all_methods = {"full", "linear_probe", "bitfit", "lora", "prefix", "prefix_lora"};

}  // namespace

TEST_CASE("every method learns, and predict prints names of classes in the texts' order", "[experiments][peft]") {
  const place here;
  for (const auto& method : all_methods) {
    INFO(method);
    std::vector<std::string> settings = {"learning_rate=0.02", "epochs=30", "batch=8", "model_dropout=0"};
    if (method.find("prefix") == 0) settings.emplace_back("num_virtual_tokens=3");
    const auto done = here.run(here.finetune(method, settings, method));
    INFO(done.err);
    REQUIRE(done.code == 0);
    CHECK(done.says("trainable"));
    CHECK_FALSE(program::fs::exists(here.path / method / "unfinished"));
    const auto said =
        here.run({"predict", "--model", "model", "--adapter", method, "--text", "texts.txt", "--threads", "2"});
    const auto lines = program::lines(said.out);
    REQUIRE(lines.size() == 5);  // the empty line is a text, the end of the file none
    CHECK(lines[0] == "yes");
    if (method != "linear_probe") CHECK(lines[1] == "no");
    const auto logits = here.logits(method);
    REQUIRE(logits.size() == 10);
    for (std::size_t i = 0; i < 5; ++i) CHECK(lines[i] == (logits[2 * i + 1] > logits[2 * i] ? "yes" : "no"));
  }
}

TEST_CASE("a run that is interrupted or killed goes on to the same bytes", "[experiments][peft]") {
  const place here;
  io::write_file(here.path / "valid.tsv", rows(11));
  const std::vector<std::string> settings = {"epochs=300",           "batch=4",     "rank=2", "dropout=0.1",
                                             "validation=valid.tsv", "patience=299"};
  REQUIRE(here.run(here.finetune("lora", settings, "whole")).code == 0);
  const std::string whole = program::read(here.path / "whole" / "adapter_model.safetensors");
  // The program is stopped wherever it happens to be; a few tries, as a fast machine may finish first.
  std::size_t interrupted = 0;
  for (int attempt = 0; attempt < 12; ++attempt) {
    std::string command = "cd '" + here.path.string() + "' && timeout -s INT 0." + std::to_string(2 + attempt % 5) +
                          " '" + PEFT_VS_FULL + "'";
    for (const auto& word : here.finetune("lora", settings, "parts")) command += " '" + word + "'";
    const int status = std::system((command + " >o.txt 2>e.txt").c_str());
    if (status == 0) break;
    interrupted += program::read(here.path / "e.txt").find("the same command continues") != std::string::npos;
  }
  const auto last = here.run(here.finetune("lora", settings, "parts"));
  INFO(last.err);
  REQUIRE(last.code == 0);
  if (interrupted == 0) WARN("the run was never caught in the middle");
  CHECK(program::read(here.path / "parts" / "adapter_model.safetensors") == whole);
  CHECK(program::read(here.path / "parts" / "epochs.tsv") == program::read(here.path / "whole" / "epochs.tsv"));
}

TEST_CASE("an unfinished run of other settings is not continued silently", "[experiments][peft]") {
  const place here;
  const auto folder = here.path / "out" / "unfinished";
  program::fs::create_directories(folder);
  io::write_file(folder / "settings.tsv", "key\tvalue\nmethod\tlora\n");
  io::write_file(folder / "checkpoint.safetensors", "");
  const auto refused = here.run(here.finetune("bitfit", {"epochs=1"}));
  CHECK(refused.code == 2);
  CHECK(refused.says("method was lora and is bitfit"));
  auto again = here.finetune("bitfit", {"epochs=1"});
  again.emplace_back("--restart");
  CHECK(here.run(again).code == 0);
}

TEST_CASE("a merged model gives the adapter's logits; threads give the same bits", "[experiments][peft]") {
  const place here;
  for (const auto& method : {std::string("lora"), std::string("full"), std::string("bitfit")}) {
    INFO(method);
    std::vector<std::string> settings = {"epochs=3", "batch=8"};
    if (method == "lora") settings.insert(settings.end(), {"targets=all-linear", "dropout=0.3"});
    REQUIRE(here.run(here.finetune(method, settings, method)).code == 0);
    program::fs::create_directories(here.path / "merged");
    for (const char* name : {"config.json", "vocab.txt"})
      program::fs::copy_file(here.path / "model" / name, here.path / "merged" / name,
                             program::fs::copy_options::overwrite_existing);
    const auto merged =
        here.run({"merge", "--model", "model", "--adapter", method, "--out", "merged/model.safetensors"});
    INFO(merged.err);
    REQUIRE(merged.code == 0);
    const auto joined = here.logits(method), apart = here.logits("", "merged");
    REQUIRE(joined.size() == apart.size());
    const auto scale = static_cast<float>(max_abs(joined.data(), joined.size()));
    for (std::size_t i = 0; i < joined.size(); ++i)  // the terms are summed in another order
      CHECK(std::abs(joined[i] - apart[i]) <= 64 * std::numeric_limits<float>::epsilon() * (1 + scale));
    if (method != "lora") CHECK(joined == apart);
    const auto named = here.run({"predict", "--model", "merged", "--text", "texts.txt"});
    CHECK((program::lines(named.out)[0] == "yes" || program::lines(named.out)[0] == "no"));
  }
  auto two = here.finetune("lora", {"epochs=3", "batch=8", "targets=all-linear", "dropout=0.3"}, "two");
  for (std::size_t i = 0; i + 1 < two.size(); ++i)
    if (two[i] == "--threads") two[i + 1] = "2";
  REQUIRE(here.run(two).code == 0);
  CHECK(program::read(here.path / "two" / "adapter_model.safetensors") ==
        program::read(here.path / "lora" / "adapter_model.safetensors"));
  REQUIRE(here.run(here.finetune("prefix", {"epochs=1", "num_virtual_tokens=2", "initial_text=the film"}, "p")).code ==
          0);
  const auto refused = here.run({"merge", "--model", "model", "--adapter", "p", "--out", "m.safetensors"});
  CHECK(refused.code == 2);
  CHECK(refused.says("prefix"));
}

TEST_CASE("a run that ends while its rate still rises says so", "[experiments][peft]") {
  const place here;
  const auto warns = [&](const std::string& warmup) {
    const auto done = here.run(here.finetune("bitfit", {"epochs=2", "batch=8", "warmup=" + warmup}, "out" + warmup));
    INFO(done.err);
    REQUIRE(done.code == 0);
    return done.says("set warmup");
  };
  CHECK(warns("10"));  // of 40 texts, 8 a batch, two epochs: 10 steps
  CHECK_FALSE(warns("9"));
  CHECK_FALSE(warns("0"));
  CHECK_FALSE(warns("0.9"));
}

TEST_CASE("texts as they come: CRLF, bytes that are no UTF-8, empty and very long texts", "[experiments][peft]") {
  const place here;
  std::string windows = "\xEF\xBB\xBFlabel\ttext\r\n", longest;
  for (const auto& line : program::lines(rows(12))) windows += line + "\r\n";
  for (int i = 0; i < 4000; ++i) longest += "film ";
  windows += "yes\t\r\n\r\nno\t\xFF\xFE bad\r\nyes\t" + longest + "\r\n";
  io::write_file(here.path / "train.tsv", windows);
  const auto done = here.run(here.finetune("lora", {"epochs=2", "max_length=16"}));
  INFO(done.err);
  REQUIRE(done.code == 0);
  CHECK(done.says("texts\t15"));
  CHECK(done.says("1 texts are not UTF-8"));
  CHECK(done.says("1 texts were cut at 16 tokens"));
  io::write_file(here.path / "valid.tsv", "yes\tgood\nno\t" + longest + "\nno\t\xFF\n");
  const auto judged = here.run(here.finetune("lora", {"epochs=1", "max_length=16", "validation=valid.tsv"}, "judged"));
  CHECK(judged.says("valid.tsv: note: 1 texts are not UTF-8"));
  CHECK(judged.says("valid.tsv: note: 1 texts were cut at 16 tokens"));
  CHECK(judged.says("train.tsv: note: 1 texts were cut at 16 tokens"));
  io::write_file(here.path / "texts.txt", longest + "\r\n\r\n\xC0\r\n");
  CHECK(here.logits("out").size() == 6);
  io::write_file(here.path / "texts.txt", "");
  CHECK(here.logits("out").empty());
  io::write_file(here.path / "train.tsv", "yes\tgood\nno\tbad\n");  // an example of each class
  CHECK(here.run(here.finetune("full", {"epochs=2"})).code == 0);
  CHECK(here.run(here.finetune("full", {"epochs=2", "validation=0.5"}, "v")).code == 2);
}

TEST_CASE("wrong use is exit 2, unusable files are exit 4, with file and line", "[experiments][peft]") {
  const place here;
  const auto refuses = [&](int code, const std::vector<std::string>& arguments, const std::string& reason) {
    const auto done = here.run(arguments);
    INFO(done.err);
    CHECK(done.code == code);
    CHECK(done.says(reason));
    CHECK_FALSE(program::fs::exists(here.path / "out" / "adapter_config.json"));
  };
  const auto refuses_data = [&](const std::string& content, const std::string& reason) {
    io::write_file(here.path / "train.tsv", content);
    refuses(4, here.finetune("lora", {"epochs=1"}), reason);
  };
  refuses(2, {"finetune"}, "--model");
  refuses(2, {"predict", "--model", "model"}, "--text");
  refuses(2, {"predict", "--model", "model", "--text", "texts.txt"}, "--adapter");
  refuses(2, {"merge", "--model", "model", "--out", "x"}, "--adapter");
  refuses(2, {"predict", "--model", "model", "--text", "texts.txt", "--max-length", "-1"}, "--max-length=-1");
  refuses(2, here.finetune("qlora", {}), "known are: full, linear_probe, bitfit, lora, prefix, prefix_lora");
  refuses(2, here.finetune("lora", {"ranks=3"}), "known are: learning_rate");
  refuses(2, here.finetune("full", {"rank=3"}), "no key rank");
  refuses(2, here.finetune("lora", {"rank"}), "key=value");
  refuses(2, here.finetune("lora", {"rank=x"}), "rank=x");
  refuses(2, here.finetune("lora", {"rank=0"}), "rank");
  refuses(2, here.finetune("lora", {"targets=queries"}), "queries");
  refuses(2, here.finetune("lora", {"epochs=0"}), "epochs");
  refuses(2, here.finetune("lora", {"max_length=25"}), "expected 2 to 24");
  refuses(2, here.finetune("prefix", {"num_virtual_tokens=30"}), "30");
  refuses(2, here.finetune("prefix", {"hidden=8"}), "projection=true");
  refuses(2, here.finetune("lora", {"precision=int8"}), "bf16");
  refuses(2, here.finetune("lora", {"schedule=step"}), "cosine");
  refuses(2, here.finetune("lora", {"validation=1.5"}), "between 0 and 1");
  refuses(4, here.finetune("lora", {"validation=nowhere.tsv"}), "nowhere.tsv");
  refuses(4, here.finetune("lora", {"learning_rate=1e30", "epochs=30", "clip=0"}), "learning_rate");
  refuses_data("yes\tgood\nno bad\n", "train.tsv: line 2");
  refuses_data("yes\tgood\nno\tbad\tpoor\n", "train.tsv: line 2: 3 fields");
  refuses_data("yes\tgood\n\tbad\n", "train.tsv: line 2");
  refuses_data("yes\tgood\n\xFF\tbad\n", "train.tsv: line 2");
  refuses_data("yes\tgood\n\nyes\tbad\n", "one label 'yes'");
  refuses_data("", "no rows");
  io::write_file(here.path / "train.tsv", rows(9));
  io::write_file(here.path / "valid.tsv", "yes\tgood\nmaybe\tbad\n");
  refuses(4, here.finetune("lora", {"validation=valid.tsv"}), "valid.tsv: line 2: label 'maybe'");
  auto elsewhere = here.finetune("lora", {});
  elsewhere[2] = "nowhere";
  refuses(4, elsewhere, "no such folder");
  program::fs::create_directories(here.path / "empty");
  elsewhere[2] = "empty";
  refuses(4, elsewhere, "config.json, model.safetensors, tokenizer.json");
  make_model(here.path / "flat", 2, false);
  auto flat = here.finetune("lora", {"pooling=pooler"});
  flat[2] = "flat";
  refuses(4, flat, "no pooler");
}

TEST_CASE("an adapter of another model is refused", "[experiments][peft]") {
  const place here;
  REQUIRE(here.run(here.finetune("lora", {"epochs=1"})).code == 0);
  make_model(here.path / "other", 2);
  const auto foreign = here.run({"predict", "--model", "other", "--adapter", "out", "--text", "texts.txt"});
  CHECK(foreign.code == 4);
  CHECK(foreign.says("another model"));
  program::fs::remove(here.path / "out" / "adapter_model.safetensors");
  CHECK(here.run({"predict", "--model", "model", "--adapter", "out", "--text", "texts.txt"}).code == 4);
  CHECK(here.run({"predict", "--model", "model", "--adapter", "nowhere", "--text", "texts.txt"}).code == 4);
}
