// Tokenizer files that are wrong, each refused with what is wrong; and the two ways in which a model keeps its
// vocabulary.
#include <hocket/text/tokenizer.hpp>

#include "catch.hpp"
#include "text/oracles.hpp"

using namespace hocket;

namespace {

std::string refusal(const tests::temporary_folder& folder) {
  try {
    texts::tokenizer::load(folder / ".");
  } catch (const error& refused) {
    CHECK(refused.kind() == errc::bad_file);
    return refused.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a tokenizer.json with a part that is not understood is refused by name", "[text][tokenizer_files]") {
  const std::string good = tests::file_text(tests::text_oracles / "small" / "tokenizer.json");
  const tests::temporary_folder folder;
  struct change {
    const char *from, *to, *named;
  };
  const change changes[] = {
      {"\"type\":\"BertNormalizer\"", "\"type\":\"NFC\"", "normalizer: type 'NFC'"},
      {"\"type\":\"BertPreTokenizer\"", "\"type\":\"ByteLevel\"", "pre_tokenizer: type 'ByteLevel'"},
      {"\"model\":{\"type\":\"WordPiece\"", "\"model\":{\"type\":\"BPE\"", "model: type 'BPE'"},
      {"\"type\":\"TemplateProcessing\"", "\"type\":\"RobertaProcessing\"", "post_processor: type 'RobertaProcessing'"},
      {"\"[UNK]\":1", "\"[UNKNOWN]\":1", "'[UNK]'"},
      {"\"!\":5", "\"!\":6", "id 6 is also"},
      {"\"!\":5", "\"!\":5000000", "id 5000000"},
      {"\"!\":5", "\"!\":-5", "'!'"},
      {"\"!\":5", "\"!\":5,\"!\":5", "stands twice"},
      {"\"id\":2,\"special\"", "\"id\":3,\"special\"", "'[CLS]' has id 3"},
      {"\"ids\":[2]", "\"ids\":[99999]", "99999"},
      {"\"truncation\":null", "\"truncation\":{\"max_length\":8,\"strategy\":\"Random\"}", "strategy 'Random'"},
      {"\"Sequence\":{\"id\":\"A\"", "\"Sequence\":{\"id\":\"C\"", "'C'"},
      {"\"vocab\":{", "\"vocabulary\":{", "'vocab' is missing"},
      {"\"lowercase\":true", "\"lowercase\":\"yes\"", "lowercase: expected a boolean, found a string"},
  };
  for (const change& one : changes) {
    INFO(one.from << " -> " << one.to);
    const std::string changed = tests::replaced(good, one.from, one.to);
    REQUIRE(!changed.empty());
    io::write_file(folder / "tokenizer.json", changed);
    CHECK_THAT(refusal(folder), Catch::Contains(one.named) && Catch::Contains("tokenizer.json"));
  }
  io::write_file(folder / "tokenizer.json", good);
  CHECK(refusal(folder) == "accepted");
  for (std::size_t cut = 0; cut < good.size() - 2; cut += 997) {
    io::write_file(folder / "tokenizer.json", std::string_view(good).substr(0, cut));
    CHECK_THAT(refusal(folder), Catch::Contains("not valid JSON"));
  }
}

TEST_CASE("vocab.txt with tokenizer_config.json is the same tokenizer", "[text][tokenizer_files]") {
  const auto whole = texts::tokenizer::load(tests::text_oracles / "small");
  std::string lines;
  for (std::size_t id = 0; id < whole.vocabulary_size(); ++id)
    lines += hocket::text(whole.token(static_cast<texts::token_id>(id)), id % 2 ? "\n" : "\r\n");
  const tests::temporary_folder folder;
  io::write_file(folder / "vocab.txt", lines);
  const auto plain = texts::tokenizer::load(folder / ".");
  CHECK(plain.vocabulary_size() == whole.vocabulary_size());
  for (const io::json_file& line : tests::oracle_lines("texts.jsonl")) {
    const std::string& text = line.root().at("text").as_string();
    if (plain.encode(text) != whole.encode(text)) FAIL(line.root().where());
  }
  CHECK(plain.encode_pair("the", "a").type_ids == whole.encode_pair("the", "a").type_ids);

  io::write_file(folder / "tokenizer_config.json",
                 "{\"do_lower_case\": false, \"cls_token\": {\"content\": \"[MASK]\"}, \"model_max_length\": "
                 "1000000000000000019884624838656}");
  const auto cased = texts::tokenizer::load(folder / ".");
  CHECK(cased.model_max_length() == 0);
  CHECK(cased.encode("THE") != cased.encode("the"));
  CHECK(cased.encode("the").front() == *whole.find("[MASK]"));

  io::write_file(folder / "tokenizer_config.json", "{\"sep_token\": \"<sep>\"}");
  CHECK_THAT(refusal(folder), Catch::Contains("sep_token '<sep>'"));
  std::filesystem::remove(folder / "tokenizer_config.json");
  io::write_file(folder / "vocab.txt", lines + "the\n");
  CHECK_THAT(refusal(folder), Catch::Contains("repeats line") && Catch::Contains("'the'"));
  io::write_file(folder / "vocab.txt", lines + "\xC3\n");
  CHECK_THAT(refusal(folder), Catch::Contains("not valid UTF-8"));
  io::write_file(folder / "vocab.txt", "");
  CHECK_THAT(refusal(folder), Catch::Contains("empty"));
  std::filesystem::remove(folder / "vocab.txt");
  CHECK_THAT(refusal(folder), Catch::Contains("neither tokenizer.json nor vocab.txt"));
}

TEST_CASE("added tokens follow their options", "[text][tokenizer_files]") {
  const std::string good = tests::file_text(tests::text_oracles / "small" / "tokenizer.json");
  const auto base = texts::tokenizer::load(tests::text_oracles / "small");
  const std::size_t next = base.vocabulary_size();
  const tests::temporary_folder folder;
  const auto with = [&](const std::string& token) {
    io::write_file(folder / "tokenizer.json",
                   tests::replaced(good, "\"added_tokens\":[", "\"added_tokens\":[" + token + ","));
    return texts::tokenizer::load(folder / ".");
  };
  const auto added = static_cast<texts::token_id>(next);
  const auto id = [&](std::string_view content) { return *base.find(content); };
  const auto token = [&](std::string_view content, std::string_view flags) {
    return hocket::text("{\"id\":", next, ",\"content\":", io::json_quoted(content), ",\"special\":true", flags, "}");
  };
  // What is expected here is what the library gives (tests/tokenizers_peer compares them at large).
  const auto single = with(token("<x>", ",\"single_word\":true"));
  CHECK(single.encode_words("a<x>") == base.encode_words("a<x>"));
  CHECK(single.encode_words("a <x>!") == std::vector{id("a"), added, id("!")});
  const auto normalized = with(token("Café Au", ",\"normalized\":true"));
  CHECK(normalized.encode_words("CAFÉ AU") == std::vector{added});
  CHECK(normalized.encode_words("cafe  au") == base.encode_words("cafe  au"));
  CHECK(with(token("Café Au", "")).encode_words("CAFÉ AU") == base.encode_words("CAFÉ AU"));
  CHECK_THROWS_AS(with(hocket::text("{\"id\":", next + 1, ",\"content\":\"<x>\"}")), error);
}

TEST_CASE("a damaged tokenizer.json is refused or makes a tokenizer that runs", "[text][tokenizer_files]") {
  std::string good = tests::file_text(tests::text_oracles / "small" / "tokenizer.json");
  const std::size_t vocab = good.find("\"vocab\":{");  // the last member of the last member
  REQUIRE(vocab != std::string::npos);
  good.resize(vocab);
  good += "\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"[MASK]\":4,\"a\":5,\"##b\":6}}}";
  const tests::temporary_folder folder;
  philox random(11);
  std::size_t accepted = 0, refused = 0;
  for (int round = 0; round < 3000; ++round) {
    const auto bytes = tests::damaged({good.begin(), good.end()}, random);
    io::write_file(folder / "tokenizer.json", {std::as_bytes(std::span(bytes))});
    try {
      const auto tokenizer = texts::tokenizer::load(folder / ".");
      for (const texts::token_id id : tokenizer.encode_pair("ab [SEP] é \xFF", "[MASK]b").ids) tokenizer.token(id);
      ++accepted;
    } catch (const error& problem) {
      if (problem.kind() != errc::bad_file) throw;
      ++refused;
    }
  }
  CHECK(accepted > 0);
  CHECK(refused > 0);
}
