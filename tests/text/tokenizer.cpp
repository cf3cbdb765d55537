#include <hocket/text/tokenizer.hpp>

#include "catch.hpp"
#include "text/oracles.hpp"

using namespace hocket;

namespace {

std::vector<std::string> pieces_of(std::string_view normal) {
  std::u32string points;
  for (std::size_t at = 0; at < normal.size();) points += texts::next_code_point(normal, at);
  std::vector<std::string> pieces;
  std::size_t wrong = 0;
  texts::for_each_bert_word(points, [&](std::string_view word, std::size_t length) {
    pieces.emplace_back(word);
    std::size_t counted = 0;
    for (std::size_t at = 0; at < word.size(); ++counted) texts::next_code_point(word, at);
    wrong += counted != length;
  });
  CHECK(wrong == 0);
  return pieces;
}

const texts::tokenizer& small() {
  static const texts::tokenizer loaded = texts::tokenizer::load(tests::text_oracles / "small");
  return loaded;
}

std::string refusal_of(const texts::encode_options& options, std::string_view first, std::string_view second) {
  try {
    small().encode_pair(first, second, options);
  } catch (const error& refused) {
    CHECK(refused.kind() == errc::bad_option);
    return refused.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("random strings become what the library makes of them", "[text][tokenizer]") {
  const auto lines = tests::oracle_lines("texts.jsonl");
  REQUIRE(lines.size() > 3000);
  std::size_t wrong_normal = 0, wrong_pieces = 0, wrong_ids = 0;
  for (const io::json_file& line : lines) {
    const std::string& text = line.root().at("text").as_string();
    const std::string normal = texts::bert_normalizer()(text);
    std::vector<std::string> pieces;
    for (std::size_t i = 0; i < line.root().at("pieces").size(); ++i)
      pieces.push_back(line.root().at("pieces").at(i).as_string());
    wrong_normal += normal != line.root().at("normal").as_string();
    wrong_pieces += pieces_of(normal) != pieces;
    const bool wrong = small().encode(text) != tests::ids_of(line.root().at("ids"));
    if (wrong) UNSCOPED_INFO(line.root().where());
    wrong_ids += wrong;
  }
  CHECK(wrong_normal == 0);
  CHECK(wrong_pieces == 0);
  CHECK(wrong_ids == 0);
}

TEST_CASE("every code point becomes what the library makes of it", "[text][tokenizer]") {
  const std::string table = tests::file_text(tests::text_oracles / "code_points.tsv");
  const texts::bert_normalizer normalizers[] = {{}, {false, false, false, true}};
  std::size_t at = table.find('\n') + 1, compared = 0, wrong = 0;
  for (std::size_t block = 0; block < 0x110; ++block) {
    std::string line = hocket::text(block);
    for (const texts::bert_normalizer& normalizer : normalizers) {
      std::uint64_t digest = 0xCBF29CE484222325;  // FNV-1a
      const auto feed = [&](std::string_view bytes) {
        for (const char byte : bytes) digest = (digest ^ static_cast<unsigned char>(byte)) * 0x100000001B3;
      };
      for (std::size_t i = 0; i < 4096; ++i) {
        const auto c = static_cast<char32_t>(4096 * block + i);
        if (c >= 0xD800 && c < 0xE000) continue;
        std::string text = "a";
        texts::append_utf8(text, c);
        const std::string normal = normalizer(text + "b");
        feed(normal);
        for (const std::string& piece : pieces_of(normal)) feed("\x1f" + piece);
        feed("\x1e");
      }
      line += '\t';
      for (int shift = 60; shift >= 0; shift -= 4) line += "0123456789abcdef"[(digest >> shift) & 15];
    }
    const std::size_t end = table.find('\n', at);
    REQUIRE(end != std::string::npos);
    const bool differs = table.substr(at, end - at) != line;
    if (differs) UNSCOPED_INFO("code points " << 4096 * block << " to " << 4096 * block + 4095);
    wrong += differs;
    at = end + 1;
    ++compared;
  }
  CHECK(compared == 0x110);
  CHECK(wrong == 0);
}

TEST_CASE("pairs, truncation and padding are the library's", "[text][tokenizer]") {
  std::size_t compared = 0, refused = 0;
  for (const io::json_file& line : tests::oracle_lines("options.jsonl")) {
    const io::json_ref row = line.root();
    INFO(row.where());
    texts::encode_options options;
    options.add_special_tokens = row.at("special").as_bool();
    const auto side_of = [](const io::json_ref& part) {
      return part.at("direction").as_string() == "left" ? texts::side::left : texts::side::right;
    };
    if (row.has("truncation")) {
      const io::json_ref part = row.at("truncation");
      const std::string& strategy = part.at("strategy").as_string();
      options.truncation = {part.at("max_length").as_size(),
                            strategy == "only_first"    ? texts::truncation_strategy::only_first
                            : strategy == "only_second" ? texts::truncation_strategy::only_second
                                                        : texts::truncation_strategy::longest_first,
                            side_of(part)};
    }
    if (row.has("padding")) {
      const io::json_ref part = row.at("padding");
      options.padding = {part.size_or("length", 0), part.size_or("pad_to_multiple_of", 0), side_of(part), 0,
                         static_cast<texts::token_id>(part.at("pad_type_id").as_size())};
    }
    const std::string& first = row.at("first").as_string();
    const auto encode = [&] {
      return row.has("second") ? small().encode_pair(first, row.at("second").as_string(), options)
                               : small().encode_text(first, options);
    };
    if (row.has("refused")) {
      CHECK_THROWS_AS(encode(), error);
      ++refused;
      continue;
    }
    const texts::encoding encoded = encode();
    CHECK(encoded.ids == tests::ids_of(row.at("ids")));
    CHECK(encoded.type_ids == tests::ids_of(row.at("type_ids")));
    CHECK(encoded.attention_mask == tests::ids_of(row.at("mask")));
    ++compared;
  }
  CHECK(compared > 300);
  CHECK(refused > 10);
}

TEST_CASE("a batch is padded to its longest text", "[text][tokenizer]") {
  const std::vector<std::string> batch = {"the", "", "the runners' naïve café"};
  texts::encode_options options;
  const auto ragged = small().encode_batch(batch, options);
  options.padding.emplace();
  const auto padded = small().encode_batch(batch, options);
  REQUIRE(padded.size() == batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    CHECK(ragged[i].ids == small().encode(batch[i]));
    CHECK(padded[i].size() == ragged[2].size());
    const auto ones = std::count(padded[i].attention_mask.begin(), padded[i].attention_mask.end(), 1);
    CHECK(static_cast<std::size_t>(ones) == ragged[i].size());
  }
  options.padding->length = 2;  // shorter than a text: nothing is cut
  CHECK(small().encode_batch(batch, options)[2].ids == ragged[2].ids);
}

TEST_CASE("bytes that are not UTF-8 count as U+FFFD, as in Python", "[text][tokenizer]") {
  // bytes.decode("utf-8", "replace") of CPython; the examples are tables 3-8 to 3-11 of the Unicode Standard and more
  const auto check = [](std::string_view bytes, std::u32string_view expected) {
    std::u32string points;
    for (std::size_t at = 0; at < bytes.size();) points += texts::next_code_point(bytes, at);
    CHECK(points == expected);
  };
  check("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", U"\xFFFD\xFFFD\xFFFD\xFFFD\xFFFD\xFFFD\xFFFD\xFFFD\x41");
  check("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", U"\xFFFD\xFFFD\xFFFD\xFFFD\xFFFD\xFFFD\xFFFD\xFFFD\x41");
  check("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", U"\xFFFD\xFFFD\xFFFD\xFFFD\xFFFD\x41\xFFFD\xFFFD\x42");
  check("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", U"\xFFFD\xFFFD\xFFFD\xFFFD\x41");
  check("a\xF0\x9F\x98", U"a\xFFFD");
  check("\xE2\x82", U"\xFFFD");
  check("\xC3", U"\xFFFD");
  check("\xEF\xBF\xBD", U"\xFFFD");
  CHECK(small().encode("caf\xC3\xA9 \xFFthe\xF0\x9F\x98") == small().encode("café the"));  // cleaning removes U+FFFD
  CHECK(small().encode("\xFF[SEP]\xC3") == small().encode("[SEP]"));
}

TEST_CASE("a word of 100 characters is spelled, one of 101 is unknown", "[text][tokenizer]") {
  const texts::token_id unknown = *small().find("[UNK]");
  CHECK(small().encode_words(std::string(100, 'x')).size() == 100);
  CHECK(small().encode_words(std::string(101, 'x')) == std::vector{unknown});
  std::string greek;
  for (int i = 0; i < 100; ++i) greek += "α";  // characters, not bytes
  CHECK(small().encode_words(greek).size() == 100);
  CHECK(small().encode_words(greek + "α") == std::vector{unknown});
}

TEST_CASE("long runs of marks are put in order, equal classes as they came", "[text][tokenizer]") {
  texts::bert_normalizer keep;  // U+302E and U+302F (class 224) stay when accents go: they are no nonspacing marks
  const std::string a = "\u302E", b = "\u302F";
  CHECK(keep("x" + b + a + b) == "x" + b + a + b);
  const std::string higher = "\U0001D165", lower = "\u302E";  // classes 216 and 224
  CHECK(keep("x" + lower + higher) == "x" + higher + lower);
  std::string many, expected = "x";
  for (int i = 0; i < 100000; ++i) many += i % 2 ? higher : lower;
  for (int i = 0; i < 50000; ++i) expected += higher;
  for (int i = 0; i < 50000; ++i) expected += lower;
  CHECK((keep("x" + many) == expected));
}

TEST_CASE("the ids of the published model", "[text][tokenizer]") {
  if (!std::filesystem::exists(tests::published_model() / "tokenizer.json")) {
    WARN("not run: " << tests::published_model().string() << " was not fetched (./hocket fetch minilm_l6_v2)");
    return;
  }
  const auto tokenizer = texts::tokenizer::load(tests::published_model());
  CHECK(tokenizer.vocabulary_size() == 30522);
  CHECK(tokenizer.model_max_length() == 512);
  CHECK(tokenizer.file_options().truncation->max_length == 128);
  const tests::temporary_folder folder;  // the same from vocab.txt alone
  std::filesystem::create_directory(folder / "plain");
  std::filesystem::copy(tests::published_model() / "vocab.txt", folder / "plain");
  const auto plain = texts::tokenizer::load(folder / "plain");
  std::size_t compared = 0;
  for (const io::json_file& line : tests::oracle_lines("published.jsonl")) {
    INFO(line.root().where());
    const std::string& text = line.root().at("text").as_string();
    CHECK(tokenizer.encode(text) == tests::ids_of(line.root().at("ids")));
    CHECK(plain.encode(text) == tests::ids_of(line.root().at("ids")));
    ++compared;
  }
  CHECK(compared > 100);
}

TEST_CASE("options that leave no room are refused", "[text][tokenizer]") {
  texts::encode_options options;
  options.truncation = {2, texts::truncation_strategy::longest_first, texts::side::right};
  CHECK_THAT(refusal_of(options, "the", "the"), Catch::Contains("max_length 2") && Catch::Contains("3 special"));
  options.truncation = {3, texts::truncation_strategy::longest_first, texts::side::right};
  CHECK(small().encode_pair("the", "the", options).size() == 3);
  CHECK_THROWS_AS(small().token(static_cast<texts::token_id>(small().vocabulary_size())), error);
  CHECK_THROWS_AS(small().token(-1), error);
  CHECK(small().token(*small().find("[MASK]")) == "[MASK]");
  CHECK(!small().find("no such entry"));
}
