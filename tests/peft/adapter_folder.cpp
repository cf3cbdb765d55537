// Adapter folders: every method comes back to the bit; what is damaged, missing, too much or unknown is named with its
// file.
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <hocket/io/file.hpp>
#include <hocket/peft/adapter_folder.hpp>

#include "catch.hpp"
#include "error_kind.hpp"
#include "io/temporary.hpp"
#include "peft/small.hpp"

using namespace peft_test;
namespace fs = std::filesystem;

namespace {

const nn::classifier_options three{nn::classifier_pooling::mean, 3};
const fs::path oracles = fs::path(HOCKET_SOURCE_DIR) / "tests/oracles/peft";

std::string read(const fs::path& path) {
  const auto bytes = io::read_file(path, std::uintmax_t{1} << 24);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

/// A folder of peft's, read after its files were changed.
struct folder_of {
  explicit folder_of(const std::string& name) : config(read(oracles / name / peft::config_file)) {
    const io::safetensors_file file(oracles / name / peft::weights_file);
    for (const auto& tensor : file.tensors()) {
      const auto bytes = file.bytes(tensor.name);
      tensors.push_back({tensor.name, tensor.type, tensor.extents, {}});
      contents.emplace_back(bytes.begin(), bytes.end());
    }
  }
  std::string error() {
    for (std::size_t i = 0; i < tensors.size(); ++i) tensors[i].bytes = contents[i];
    io::write_file(out / peft::config_file, config);
    io::write_safetensors(out / peft::weights_file, tensors, metadata);
    nn::parameter_set<float> weights;
    make_small(weights, model, {nn::classifier_pooling::pooler, 3});
    const std::size_t before = weights.size();
    std::string message = tests::error_of([&] {
      const peft::combined read = peft::read_adapters(out / ".", model, weights);
      nn::tape<float> t;
      peft::additions<float> into(t, model, weights);
      read.join(into);  // what is read can be used
    });
    if (!message.empty()) CHECK(weights.size() == before);  // nothing was changed
    return message;
  }
  std::size_t find(const std::string& end) const {
    for (std::size_t i = 0; i < tensors.size(); ++i)
      if (tensors[i].name.ends_with(end)) return i;
    FAIL("no tensor ends in " << end);
    return 0;
  }

  tests::temporary_folder out;
  std::string config;
  std::vector<io::tensor_bytes> tensors;
  std::vector<std::vector<std::byte>> contents;
  io::tensor_metadata metadata;
  const nn::encoder_config model = nn::read_encoder_config(oracles / "base_config.json");
};

void names(const std::string& message, const std::vector<std::string>& parts) {
  INFO(message);
  CHECK(tests::starts(message, "bad_file"));
  for (const auto& part : parts) CHECK(message.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("every method comes back from its folder to the bit", "[peft][folder]") {
  const auto config = small_config();
  const texts_of b = make_texts(config, {5, 20, 1, 7}, 3);
  for_each_method([&](const char* name, const auto& one) {
    INFO(name);
    const tests::temporary_folder out;
    nn::parameter_set<float> weights;
    make_small(weights, config, three);
    peft::attach(one, config, weights, 2);
    for (const nn::parameter<float>* p : peft::trained_by(one, weights)) disturb(weights, p->name(), 0.1);
    recorded<float> before(config, three, weights, [&](auto& into) { one.join(into); });
    const float loss = before.forward(b);
    const peft::adapter_notes notes{nn::classifier_pooling::mean, {"bad", "so \"so\"\n", "g\xC3\xBCt"}};
    peft::write_adapter(out / "adapter", one, config, weights, notes, "models/a \"b\"");

    const auto opened = peft::open_adapters(out / "adapter", config);
    for (const auto& each : opened) {
      CHECK(each.notes.pooling == notes.pooling);
      CHECK(each.notes.labels == notes.labels);
      CHECK(each.labels == 3);
      CHECK(each.config.base_model == "models/a \"b\"");
    }
    nn::parameter_set<float> again;
    make_small(again, config, three);
    const auto method = peft::read_adapters(out / "adapter", config, again);
    CHECK(again.trainable_count() == 0);
    recorded<float> after(config, three, again, [&](auto& into) { method.join(into); });
    CHECK(after.forward(b) == loss);
    CHECK(same_bits(before.read(before.logits), after.read(after.logits)));
    // and is written to the same bytes again, but for a network that only its rows are left of
    peft::write_adapter(out / "again", method, config, again, notes, "models/a \"b\"");
    if (opened.size() == 1)
      CHECK(read(out / "adapter" / peft::weights_file) == read(out / "again" / peft::weights_file));
  });
}

TEST_CASE("options of LoRA come back, spelled out where peft would match others", "[peft][folder]") {
  const auto config = small_config();
  const auto round = [&](const peft::lora_options& options, bool pooler) {
    const tests::temporary_folder out;
    nn::parameter_set<float> weights;
    nn::make_encoder(config, pooler, 1, weights);
    const peft::lora method{options};
    method.add_to(config, weights, 2);
    peft::write_adapter(out / "a", method, config, weights);
    const auto back = peft::open_adapters(out / "a", config)[0].config;
    CHECK(!back.head);
    const auto before = peft::lora_targets(config, pooler, options),
               after = peft::lora_targets(config, true, std::get<peft::lora>(back.method).options);
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
      CHECK(before[i].module == after[i].module);
      CHECK(before[i].rank == after[i].rank);
      CHECK(before[i].scale == after[i].scale);
    }
    CHECK(std::get<peft::lora>(back.method).options.dropout == options.dropout);
    return read(out / "a" / peft::config_file);
  };
  CHECK(round({.rank = 3, .alpha = 0.3, .dropout = 0.05}, true).find("\"query\", \"value\"") != std::string::npos);
  CHECK(round({.targets = "dense"}, true).find("\"target_modules\": [\"dense\"]") != std::string::npos);
  CHECK(round({.targets = "dense"}, false).find("\"encoder.layer.0.output.dense\"") != std::string::npos);
  round({.targets = "all-linear", .exclude = "key"}, true);
  round({.rank = 2, .rslora = true, .targets = "*.1.*.dense"}, false);
  round({.targets = "query,dense", .layers = "1"}, true);
  round({.rank = 4, .rank_pattern = "query:2,layer.1.attention.self.value:5", .alpha_pattern = "value:1.25"}, true);
}

TEST_CASE("keys, shapes and numbers of peft's folders that are wrong are named", "[peft][folder]") {
  const std::string a = "encoder.layer.0.attention.self.query.lora_A.weight", weights = "adapter_model.safetensors";
  CHECK(folder_of("lora").error() == "");
  const auto without = [&](const char* name, const std::string& end) {
    folder_of f(name);
    const auto at = static_cast<std::ptrdiff_t>(f.find(end));
    f.tensors.erase(f.tensors.begin() + at);
    f.contents.erase(f.contents.begin() + at);
    return f.error();
  };
  names(without("lora", a), {weights, "missing: base_model.model.bert." + a});
  names(without("lora", "classifier.bias"), {weights, "missing: base_model.model.classifier.bias"});
  names(without("prefix", "prompt_embeddings"), {weights, "missing: prompt_embeddings"});
  names(without("prefix", "classifier.bias"), {weights, "missing: base_model.classifier.bias"});
  const auto changed = [&](const char* name, const std::function<void(folder_of&)>& change) {
    folder_of f(name);
    change(f);
    return f.error();
  };
  names(changed("lora", [&](folder_of& f) { f.tensors[f.find(a)].name = "base_model.model.bert.encoder.layer.7.x"; }),
        {weights, "missing: base_model.model.bert." + a, "not expected: base_model.model.bert.encoder.layer.7.x"});
  names(changed("lora", [&](folder_of& f) { f.tensors[f.find(a)].name = "base_model.model." + a; }),
        {"not expected: base_model.model." + a});
  names(changed("lora",
                [&](folder_of& f) { std::swap(f.tensors[f.find(a)].extents[0], f.tensors[f.find(a)].extents[1]); }),
        {weights, a, "[36, 4]", "[4, 36]"});
  names(changed("lora", [&](folder_of& f) { f.tensors[f.find(a)].extents = {4 * 36}; }), {weights, a, "[4, 36]"});
  names(changed("prefix",
                [&](folder_of& f) {
                  f.tensors[f.find("prompt_embeddings")].extents = {2, 2, 144};
                }),
        {weights, "prompt_embeddings", "[4, 144]"});
  names(changed("prefix",
                [&](folder_of& f) {
                  f.config = replaced(f.config, "\"num_virtual_tokens\": 4", "\"num_virtual_tokens\": 5");
                }),
        {weights, "prompt_embeddings", "[5, 144]"});
  names(changed("lora", [&](folder_of& f) { f.config = replaced(f.config, "\"r\": 4", "\"r\": 5"); }),
        {weights, "lora_A", "[5, 36]"});
  names(changed("lora", [&](folder_of& f) { f.config = replaced(f.config, "\"query\"", "\"key\""); }),
        {"missing: base_model.model.bert.encoder.layer.0.attention.self.key.lora_A.weight", "not expected: "});
  names(changed("lora", [&](folder_of& f) { std::memset(f.contents[f.find(a)].data() + 8, 0xFF, 4); }),
        {weights, a, "nan"});
  names(changed("lora", [&](folder_of& f) { f.tensors[f.find(a)].type = io::tensor_type::i32; }),
        {weights, a, "floating point"});
  names(changed("lora",
                [&](folder_of& f) {
                  f.metadata = {{"hocket.pooling", "most"}};
                }),
        {weights, "hocket.pooling", "'most'"});
  names(changed("lora",
                [&](folder_of& f) {
                  f.metadata = {{"hocket.labels", "[\"a\"]"}};
                }),
        {weights, "1 names of classes", "has 3"});
  names(changed("lora", [&](folder_of& f) { f.metadata = {{"hocket.labels", "[\"a\""}}; }), {weights, "hocket.labels"});
}

TEST_CASE("other dtypes are read: halves exactly, f64 rounded", "[peft][folder]") {
  folder_of f("lora");
  for (std::size_t i = 0; i < f.tensors.size(); ++i) {
    f.tensors[i].type = io::tensor_type::bf16;
    std::vector<std::byte> halves;
    for (std::size_t k = 0; k < f.contents[i].size(); k += 4) {
      halves.push_back(f.contents[i][k + 2]);
      halves.push_back(f.contents[i][k + 3]);
    }
    f.contents[i] = halves;
  }
  CHECK(f.error() == "");
}

TEST_CASE("a configuration that would compute something else is refused by the option's name", "[peft][folder]") {
  const auto with = [](const char* name, const std::string& key, const std::string& value) {
    folder_of f(name);
    const auto at = f.config.find("\"" + key + "\":");
    if (at == std::string::npos) {
      f.config = replaced(f.config, "{", "{\"" + key + "\": " + value + ",");
    } else {
      std::size_t end = at, depth = 0;  // up to the comma behind the value
      for (; end < f.config.size() && (depth > 0 || (f.config[end] != ',' && f.config[end] != '\n')); ++end) {
        depth += f.config[end] == '[' || f.config[end] == '{';
        depth -= f.config[end] == ']' || f.config[end] == '}';
      }
      f.config.replace(at, end - at, "\"" + key + "\": " + value);
    }
    return f.error();
  };
  const auto refused = [&](const char* name, const std::string& key, const std::string& value,
                           const std::vector<std::string>& parts = {}) {
    const std::string message = with(name, key, value);
    INFO(key << " " << value);
    names(message, {"adapter_config.json", key});
    names(message, parts);
  };
  refused("lora", "peft_type", "\"IA3\"", {"'IA3'", "LORA and PREFIX_TUNING"});
  refused("lora", "peft_type", "7", {"expected a string"});
  for (const char* key : {"use_dora", "lora_bias", "fan_in_fan_out", "use_qalora", "ensure_weight_tying"})
    refused("lora", key, "true", {"not built"});
  refused("lora", "bias", "\"all\"", {"'all'"});
  refused("lora", "bias", "\"lora_only\"");
  for (const char* key : {"trainable_token_indices", "alora_invocation_tokens", "layer_replication"})
    refused("lora", key, "[1, 2]", {"not built"});
  refused("lora", "target_parameters", "[\"x\"]");
  for (const char* key : {"loftq_config", "corda_config", "eva_config", "megatron_config", "an_option_of_later_years"})
    refused("lora", key, "{\"x\": 1}", {"not built", "an object"});
  refused("lora", "a_number", "3", {"here 3"});
  for (const char* start : {"\"pissa\"", "\"pissa_niter_4\"", "\"olora\"", "\"loftq\"", "\"corda\"", "\"lora_ga\""})
    refused("lora", "init_lora_weights", start, {"changes the base model's weights"});
  refused("lora", "target_modules", "\".*(query|value)\"", {"regular expression"});
  refused("lora", "target_modules", "[\"query\", 3]", {"[1]", "expected a string"});
  refused("lora", "target_modules", "[\"que ry\"]", {"no name of a module"});
  refused("lora", "exclude_modules", "\"key|x\"", {"regular expression"});
  refused("lora", "layers_pattern", "\"blocks\"", {"'layer'"});
  refused("lora", "rank_pattern", "{\"que.*\": 4}", {"regular expression"});
  refused("lora", "modules_to_save", "[\"classifier\", \"pooler\"]", {"'pooler'"});
  refused("lora", "task_type", "\"CAUSAL_LM\"", {"'CAUSAL_LM'"});
  refused("lora", "r", "-1");
  refused("lora", "r", "2.5");
  names(with("lora", "r", "0"), {"adapter_config.json", "rank"});
  names(with("lora", "layers_to_transform", "[0, 2]"), {"adapter_config.json", "layers=0,2"});
  names(with("lora", "target_modules", "[\"score\"]"), {"adapter_config.json", "leave no module"});
  refused("lora", "lora_alpha", "1e999");
  refused("prefix", "token_dim", "40", {"40", "36"});
  refused("prefix", "num_layers", "3", {"3", "2"});
  refused("prefix", "num_attention_heads", "4");
  refused("prefix", "num_transformer_submodules", "2");
  refused("prefix", "num_virtual_tokens", "0");
  refused("prefix", "num_virtual_tokens", "30", {"30 positions"});
  // What switches nothing on is passed over, and so is what peft notes about itself.
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"an_option_of_later_years", "null"},
           {"another", "false"},
           {"lists", "[]"},
           {"tables", "{}"},
           {"peft_version", "\"9.9\""},
           {"inference_mode", "false"},
           {"auto_mapping", "{\"x\": \"y\"}"},
           {"init_lora_weights", "false"},
           {"init_lora_weights", "\"gaussian\""},
           {"init_lora_weights", "\"eva\""},
           {"layers_pattern", "[\"layer\"]"},
           {"layers_to_transform", "[0, 1]"},
           {"layers_to_transform", "null"},
           {"target_modules", "[\"query\", \"attention.self.value\", \"score\"]"},
           {"exclude_modules", "[\"key\", \"k_proj\"]"},
           {"rank_pattern", "{\"q_proj\": 9}"},
           {"alpha_pattern", "{\"q_proj\": 9}"}}) {
    INFO(key << " " << value);
    CHECK(with("lora", key, value) == "");
  }
  names(with("lora", "layers_to_transform", "1"),
        {"not expected: ", "encoder.layer.0.attention.self.query.lora_A.weight"});
}

TEST_CASE("folders that are none, or fit no model, are named", "[peft][folder]") {
  const tests::temporary_folder out;
  const auto config = small_config();
  nn::parameter_set<float> weights;
  make_small(weights, config, three);
  names(tests::error_of([&] { peft::read_adapters(out / "absent", config, weights); }),
        {"absent", "adapter_config.json"});
  const peft::lora lora{{.rank = 2}};
  const peft::prefix prefix{{.rows = 2}};
  const peft::combined both(prefix, lora);
  both.add_to(config, weights, 1);
  peft::write_adapter(out / "both", both, config, weights);
  CHECK(fs::exists(out / "both" / "lora" / peft::config_file));
  CHECK(fs::exists(out / "both" / "prefix" / peft::config_file));
  CHECK(tests::kind_of([&] {
          peft::write_adapter(out / "two", peft::combined(lora, peft::lora{{}, "x"}), config, weights);
        }) == "bad_option");
  CHECK(tests::kind_of([&] { peft::write_adapter(out / "none", peft::combined{}, config, weights); }) == "bad_option");
  fs::remove(out / "both" / "lora" / peft::weights_file);
  names(tests::error_of([&] { peft::open_adapters(out / "both", config); }), {"adapter_model.safetensors"});
  // Heads of one name that differ.
  disturb(weights, "*modules_to_save*");
  peft::write_adapter(out / "both" / "lora", lora, config, weights);
  nn::parameter_set<float> fresh;
  make_small(fresh, config, three);
  names(tests::error_of([&] { peft::read_adapters(out / "both", config, fresh); }), {"classifier", "not the head"});
  // A model of other sizes.
  auto larger = config;
  larger.hidden_size = 48;
  nn::parameter_set<float> others;
  make_small(others, larger, three);
  names(tests::error_of([&] { peft::read_adapters(out / "both" / "lora", larger, others); }), {"[2, 36]", "[2, 48]"});
  // Terms of a pooler are passed over by a model that was loaded without it.
  nn::parameter_set<float> pooled;
  make_small(pooled, config, {nn::classifier_pooling::pooler, 3});
  const peft::lora all{{.rank = 2, .targets = "all-linear"}, "all"};
  all.add_to(config, pooled, 1);
  peft::write_adapter(out / "all", all, config, pooled);
  nn::parameter_set<float> plain;
  make_small(plain, config, three);
  peft::read_adapters(out / "all", config, plain, "all");
  CHECK(plain.contains(all.a_of("encoder.layer.0.output.dense")));
  CHECK(!plain.contains(all.a_of("pooler.dense")));
}

namespace {

/// Files of folders with damages: they are read, or refused with an error of ours.
void fuzz(std::size_t rounds, std::uint64_t seed) {
  philox random(seed);
  const nn::encoder_config model = nn::read_encoder_config(oracles / "base_config.json");
  nn::parameter_set<float> base;
  make_small(base, model, {nn::classifier_pooling::pooler, 3});
  const tests::temporary_folder out;
  std::size_t opened = 0, refused = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    const char* const names_of[] = {"lora", "lora_all", "prefix", "prefix_network"};
    const fs::path from = oracles / names_of[random.next_below(4)];
    const bool in_config = random.next_below(2) != 0;
    const std::string config = read(from / peft::config_file), weights = read(from / peft::weights_file);
    const auto hurt = [&](const std::string& good, bool yes) {
      std::vector<unsigned char> bytes(good.begin(), good.end());
      if (yes) bytes = tests::damaged(bytes, random);
      return std::string(bytes.begin(), bytes.end());
    };
    io::write_file(out / peft::config_file, hurt(config, in_config));
    io::write_file(out / peft::weights_file, hurt(weights, !in_config));
    nn::parameter_set<float> set;
    for (const auto& p : base) set.add(p.name(), p.value());
    try {
      peft::read_adapters(out / ".", model, set);
      ++opened;
    } catch (const error& problem) {
      ++refused;
      if (problem.kind() != errc::bad_file) {
        INFO(problem.what());
        CHECK(problem.kind() == errc::bad_file);
      }
    }
  }
  CHECK(refused > rounds / 2);
  CHECK(opened > 0);
}

}  // namespace

TEST_CASE("damaged folders never do worse than being refused", "[peft][folder]") { fuzz(600, 1); }
TEST_CASE("damaged folders, at length", "[peft][folder][.long]") { fuzz(100000, 2); }
