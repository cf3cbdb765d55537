#include <hocket/nn/encoder_config.hpp>

#include "catch.hpp"
#include "io/temporary.hpp"

using namespace hocket;

namespace {

const std::string good =
    "{\"model_type\":\"bert\",\"hidden_size\":384,\"num_hidden_layers\":6,\"num_attention_heads\":12,"
    "\"intermediate_size\":1536,\"vocab_size\":30522,\"max_position_embeddings\":512,\"type_vocab_size\":2,"
    "\"layer_norm_eps\":1e-12,\"hidden_act\":\"gelu\",\"hidden_dropout_prob\":0.25,\"pad_token_id\":0}";

std::string changed(const char* from, const char* to) {
  const std::size_t at = good.find(from);
  return at == std::string::npos ? std::string() : std::string(good).replace(at, std::string_view(from).size(), to);
}

std::string refusal(const std::filesystem::path& path) {
  try {
    nn::read_model_folder(path);
  } catch (const error& refused) {
    CHECK(refused.kind() == errc::bad_file);
    return refused.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("sizes come from the model's config.json", "[nn][encoder_config]") {
  const tests::temporary_folder folder;
  io::write_file(folder / "config.json", good);
  const nn::encoder_config config = nn::read_encoder_config(folder / "config.json");
  CHECK(config.hidden_size == 384);
  CHECK(config.num_hidden_layers == 6);
  CHECK(config.num_attention_heads == 12);
  CHECK(config.head_width() == 32);
  CHECK(config.intermediate_size == 1536);
  CHECK(config.vocab_size == 30522);
  CHECK(config.max_position_embeddings == 512);
  CHECK(config.type_vocab_size == 2);
  CHECK(config.layer_norm_eps == 1e-12);
  CHECK(config.hidden_act == nn::encoder_activation::gelu_erf);
  CHECK(config.hidden_dropout_prob == 0.25);
  CHECK(config.attention_probs_dropout_prob == 0.1);  // transformers' default
}

TEST_CASE("a config that is not understood is refused by name", "[nn][encoder_config]") {
  const tests::temporary_folder folder;
  const char* const changes[][3] = {
      {"\"bert\"", "\"llama\"", "model_type is 'llama'"},
      {"\"hidden_size\":384", "\"hidden_size\":380", "hidden_size 380 is no multiple of num_attention_heads 12"},
      {"\"num_attention_heads\":12", "\"num_attention_heads\":0", "num_attention_heads is 0"},
      {"\"intermediate_size\":1536,", "", "'intermediate_size' is missing"},
      {"\"vocab_size\":30522", "\"vocab_size\":\"30522\"", "vocab_size: expected a number, found a string"},
      {"\"gelu\"", "\"silu\"", "hidden_act is 'silu'"},
      {"\"layer_norm_eps\":1e-12", "\"layer_norm_eps\":0", "layer_norm_eps 0"},
      {"0.25", "1.0", "hidden_dropout_prob 1"},
      {"\"pad_token_id\":0", "\"pad_token_id\":30522", "pad_token_id 30522"},
      {"\"pad_token_id\":0", "\"position_embedding_type\":\"relative_key\"", "'relative_key'"},
      {"\"pad_token_id\":0", "\"is_decoder\":true", "is_decoder"},
  };
  for (const auto& [from, to, named] : changes) {
    INFO(from << " -> " << to);
    REQUIRE(!changed(from, to).empty());
    io::write_file(folder / "config.json", changed(from, to));
    CHECK_THROWS_WITH(nn::read_encoder_config(folder / "config.json"),
                      Catch::Contains(named) && Catch::Contains("config.json"));
  }
}

TEST_CASE("a model folder says what it lacks and how it pools", "[nn][encoder_config]") {
  const tests::temporary_folder folder;
  const auto model = folder / "model";
  CHECK_THAT(refusal(model), Catch::Contains("no such folder"));
  std::filesystem::create_directories(model / "1_Pooling");
  CHECK_THAT(refusal(model), Catch::Contains("lacks config.json, model.safetensors, tokenizer.json (or vocab.txt)"));
  io::write_file(model / "adapter_config.json", "{}");
  CHECK_THAT(refusal(model), Catch::Contains("it is an adapter"));
  io::write_file(model / "config.json", good);
  io::write_file(model / "model.safetensors", "");
  io::write_file(model / "vocab.txt", "");
  const auto plain = nn::read_model_folder(model);
  CHECK(!plain.pooling);
  CHECK_FALSE(plain.normalize);
  CHECK(plain.max_length == 512);
  io::write_file(model / "sentence_bert_config.json", "{\"max_seq_length\": 256}");
  io::write_file(model / "modules.json",
                 "[{\"type\":\"sentence_transformers.models.Transformer\",\"path\":\"\"},"
                 "{\"type\":\"sentence_transformers.models.Pooling\",\"path\":\"1_Pooling\"},"
                 "{\"type\":\"sentence_transformers.models.Normalize\",\"path\":\"2_Normalize\"}]");
  CHECK_THAT(refusal(model), Catch::Contains("no such file"));
  const auto pooling = [&](const char* content) { io::write_file(model / "1_Pooling" / "config.json", content); };
  pooling("{\"pooling_mode_cls_token\": true, \"pooling_mode_mean_tokens\": false}");
  const auto whole = nn::read_model_folder(model);
  CHECK(whole.pooling == nn::encoder_pooling::cls);
  CHECK(whole.normalize);
  CHECK(whole.max_length == 256);
  pooling("{\"pooling_mode_mean_tokens\": true}");
  CHECK(nn::read_model_folder(model).pooling == nn::encoder_pooling::mean);
  pooling("{\"pooling_mode_max_tokens\": true}");
  CHECK_THAT(refusal(model), Catch::Contains("pooling_mode_max_tokens"));
  pooling("{\"pooling_mode_mean_tokens\": true, \"pooling_mode_cls_token\": true}");
  CHECK_THAT(refusal(model), Catch::Contains("a second way"));
  pooling("{}");
  CHECK_THAT(refusal(model), Catch::Contains("no pooling_mode is true"));
  io::write_file(model / "sentence_bert_config.json", "{\"max_seq_length\": 1024}");
  pooling("{\"pooling_mode_mean_tokens\": true}");
  CHECK_THAT(refusal(model), Catch::Contains("1024"));
  io::write_file(model / "modules.json", "[{\"type\":\"sentence_transformers.models.Dense\",\"path\":\"2_Dense\"}]");
  CHECK_THAT(refusal(model), Catch::Contains("Dense"));
}
