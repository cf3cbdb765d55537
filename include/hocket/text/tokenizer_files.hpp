// What a model's own files say about its tokenizer: tokenizer.json as the `tokenizers` library writes it, or vocab.txt
// with tokenizer_config.json as older models have them. A part that is not understood is refused by name: a tokenizer
// that is almost the model's would give almost its ids.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/core/error.hpp>
#include <hocket/io/file.hpp>
#include <hocket/io/json.hpp>
#include <hocket/text/added_tokens.hpp>
#include <hocket/text/bert_normalizer.hpp>
#include <hocket/text/wordpiece.hpp>

namespace hocket::texts {

enum class side { left, right };

enum class truncation_strategy { longest_first, only_first, only_second };

struct truncation_options {
  std::size_t max_length = 512;  ///< tokens, special ones included
  truncation_strategy strategy = truncation_strategy::longest_first;
  side direction = side::right;  ///< where tokens are dropped
};

struct padding_options {
  std::size_t length = 0;       ///< tokens; 0: as long as the longest of the batch
  std::size_t multiple_of = 0;  ///< rounds the length up; 0: does not
  side direction = side::right;
  token_id id = 0;
  token_id type_id = 0;
};

/// One step of a template: special tokens, or the tokens of a text.
struct template_piece {
  std::vector<token_id> special;  ///< empty: the text
  std::size_t sequence = 0;       ///< 0 or 1
  token_id type_id = 0;
};

struct tokenizer_files {
  std::string source;  ///< for messages
  std::vector<std::string> vocabulary;
  wordpiece_options model;
  bert_normalizer normalizer;
  std::vector<added_token> added;
  std::vector<template_piece> single, pair;
  std::optional<truncation_options> truncation;  ///< as the file has it
  std::optional<padding_options> padding;
  std::size_t model_max_length = 0;  ///< tokens; 0: the files do not say
};

namespace detail {

inline void require_type(const io::json_ref& part, std::string_view expected) {
  const std::string& type = part.at("type").as_string();
  expects(type == expected, errc::bad_file, part.where(), ": type '", type, "' is not read; '", expected, "' is");
}

inline side read_side(const io::json_ref& part, std::string_view otherwise) {
  const std::string name = part.string_or("direction", otherwise);
  expects(name == "Left" || name == "Right", errc::bad_file, part.where(), ": direction '", name,
          "' is neither Left nor Right");
  return name == "Left" ? side::left : side::right;
}

inline token_id read_id(const io::json_ref& number) {
  const std::size_t id = number.as_size();
  expects(id <= 0x7FFFFFFF, errc::bad_file, number.where(), ": ", id, " is no token id");
  return static_cast<token_id>(id);
}

/// A vocabulary's object {entry: id}, by id. Ids need not be dense, but no two entries may share one.
inline std::vector<std::string> read_vocabulary(const io::json_ref& vocab) {
  vocab.require(io::json_kind::object);
  std::vector<std::string> entries;
  for (const auto& [entry, number] : vocab.value().members()) {
    const io::json_ref at(number, text(vocab.where(), ": '", entry, "'"));
    const auto id = static_cast<std::size_t>(read_id(at));
    expects(id < 2 * vocab.size() + 1024, errc::bad_file, at.where(), ": id ", id, " in a vocabulary of ", vocab.size(),
            " entries");
    if (id >= entries.size()) entries.resize(id + 1);
    expects(entries[id].empty(), errc::bad_file, at.where(), ": id ", id, " is also that of '", entries[id], "'");
    entries[id] = entry;
  }
  return entries;
}

inline std::vector<template_piece> read_template(const io::json_ref& post, std::string_view name) {
  std::vector<template_piece> pieces;
  const io::json_ref list = post.at(name);
  list.require(io::json_kind::array);
  for (std::size_t i = 0; i < list.size(); ++i) {
    const bool special = list.at(i).has("SpecialToken");
    const io::json_ref part = list.at(i).at(special ? "SpecialToken" : "Sequence");
    template_piece piece;
    piece.type_id = read_id(part.at("type_id"));
    const std::string& id = part.at("id").as_string();
    if (special) {
      const io::json_ref ids = post.at("special_tokens").at(id).at("ids");
      ids.require(io::json_kind::array);
      for (std::size_t k = 0; k < ids.size(); ++k) piece.special.push_back(read_id(ids.at(k)));
      if (piece.special.empty()) continue;
    } else {
      expects(id == "A" || id == "B", errc::bad_file, part.where(), ": sequence '", id, "' is neither A nor B");
      piece.sequence = id == "B" ? 1 : 0;
    }
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

/// [CLS] A [SEP] and [CLS] A [SEP] B [SEP].
inline void set_bert_templates(tokenizer_files& files, token_id cls, token_id sep) {
  files.single = {{{cls}, 0, 0}, {{}, 0, 0}, {{sep}, 0, 0}};
  files.pair = files.single;
  files.pair.push_back({{}, 1, 1});
  files.pair.push_back({{sep}, 0, 1});
}

inline void read_post_processor(tokenizer_files& files, const io::json_ref& root) {
  files.single = {{{}, 0, 0}};
  files.pair = {{{}, 0, 0}, {{}, 1, 1}};
  if (!root.has("post_processor")) return;
  const io::json_ref post = root.at("post_processor");
  const std::string& type = post.at("type").as_string();
  if (type == "BertProcessing") {
    set_bert_templates(files, read_id(post.at("cls").at(1)), read_id(post.at("sep").at(1)));
    return;
  }
  require_type(post, "TemplateProcessing");
  files.single = read_template(post, "single");
  files.pair = read_template(post, "pair");
}

inline void read_normalizer(tokenizer_files& files, const io::json_ref& root) {
  const io::json_ref part = root.at("normalizer");
  require_type(part, "BertNormalizer");
  files.normalizer.clean_text = part.bool_or("clean_text", true);
  files.normalizer.handle_chinese_chars = part.bool_or("handle_chinese_chars", true);
  files.normalizer.lowercase = part.bool_or("lowercase", true);
  files.normalizer.strip_accents = part.bool_or("strip_accents", files.normalizer.lowercase);
}

inline void read_truncation(tokenizer_files& files, const io::json_ref& root) {
  if (root.has("truncation")) {
    const io::json_ref part = root.at("truncation");
    truncation_options options;
    options.max_length = part.at("max_length").as_size();
    options.direction = read_side(part, "Right");
    const std::string name = part.string_or("strategy", "LongestFirst");
    expects(name == "LongestFirst" || name == "OnlyFirst" || name == "OnlySecond", errc::bad_file, part.where(),
            ": strategy '", name, "' is not known");
    options.strategy = name == "OnlyFirst"    ? truncation_strategy::only_first
                       : name == "OnlySecond" ? truncation_strategy::only_second
                                              : truncation_strategy::longest_first;
    files.truncation = options;
  }
  if (root.has("padding")) {
    const io::json_ref part = root.at("padding");
    padding_options options;
    options.direction = read_side(part, "Right");
    options.multiple_of = part.size_or("pad_to_multiple_of", 0);
    options.id = read_id(part.at("pad_id"));
    options.type_id = read_id(part.at("pad_type_id"));
    const io::json_ref strategy = part.at("strategy");
    if (strategy.kind() == io::json_kind::object) {
      options.length = strategy.at("Fixed").as_size();
    } else {
      expects(strategy.as_string() == "BatchLongest", errc::bad_file, strategy.where(), ": '", strategy.as_string(),
              "' is neither BatchLongest nor Fixed");
    }
    files.padding = options;
  }
}

}  // namespace detail

/// Reads tokenizer.json.
inline tokenizer_files read_tokenizer_json(const std::filesystem::path& path) {
  const io::json_file file(path);
  const io::json_ref root = file.root();
  tokenizer_files files;
  files.source = path.string();
  const io::json_ref model = root.at("model");
  if (model.has("type")) detail::require_type(model, "WordPiece");
  files.vocabulary = detail::read_vocabulary(model.at("vocab"));
  files.model.unk_token = model.string_or("unk_token", files.model.unk_token);
  files.model.continuing_subword_prefix =
      model.string_or("continuing_subword_prefix", files.model.continuing_subword_prefix);
  files.model.max_input_chars_per_word =
      model.size_or("max_input_chars_per_word", files.model.max_input_chars_per_word);
  detail::read_normalizer(files, root);
  detail::require_type(root.at("pre_tokenizer"), "BertPreTokenizer");
  detail::read_post_processor(files, root);
  detail::read_truncation(files, root);
  if (root.has("added_tokens")) {
    const io::json_ref list = root.at("added_tokens");
    list.require(io::json_kind::array);
    for (std::size_t i = 0; i < list.size(); ++i) {
      const io::json_ref part = list.at(i);
      added_token token;
      token.content = part.at("content").as_string();
      token.id = detail::read_id(part.at("id"));
      token.single_word = part.bool_or("single_word", false);
      token.lstrip = part.bool_or("lstrip", false);
      token.rstrip = part.bool_or("rstrip", false);
      token.special = part.bool_or("special", false);
      token.normalized = part.bool_or("normalized", !token.special);
      files.added.push_back(std::move(token));
    }
  }
  return files;
}

/// One entry a line, numbered from 0; a line may end in \r\n.
inline std::vector<std::string> read_vocabulary_lines(const std::filesystem::path& path) {
  const auto bytes = io::read_file(path, std::uintmax_t{1} << 28);
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::vector<std::string> entries;
  byte_trie seen;  // the number of the line
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    expects(is_utf8(line), errc::bad_file, path.string(), ": line ", entries.size() + 1, " is not valid UTF-8");
    const std::optional<token_id> before = seen.find(line);
    expects(!before, errc::bad_file, path.string(), ": line ", entries.size() + 1, " repeats line ", before.value_or(0),
            " ('", line, "')");
    if (!line.empty()) seen.insert(line, static_cast<token_id>(entries.size() + 1));
    entries.emplace_back(line);
  }
  expects(!entries.empty(), errc::bad_file, path.string(), ": the vocabulary is empty");
  return entries;
}

/// Reads `folder`: tokenizer.json, or vocab.txt with the settings of tokenizer_config.json (BERT's where it is silent).
inline tokenizer_files read_tokenizer_folder(const std::filesystem::path& folder) {
  std::error_code ignored;
  const bool whole = std::filesystem::exists(folder / "tokenizer.json", ignored);
  const bool configured = std::filesystem::exists(folder / "tokenizer_config.json", ignored);
  expects(whole || std::filesystem::exists(folder / "vocab.txt", ignored), errc::bad_file, folder.string(),
          ": holds neither tokenizer.json nor vocab.txt");
  tokenizer_files files;
  if (whole) files = read_tokenizer_json(folder / "tokenizer.json");
  const io::json_file config =
      configured ? io::json_file(folder / "tokenizer_config.json") : io::json_file("{}", "no tokenizer_config.json");
  // transformers writes 1e30 where a model has no limit: as a number with an exponent, or as one that fits no size.
  if (const io::json_value* length = config.root().value().find("model_max_length");
      length && length->is(io::json_kind::number) && length->characters().size() < 10)
    files.model_max_length = config.root().at("model_max_length").as_size();
  if (whole) return files;
  files.source = (folder / "vocab.txt").string();
  files.vocabulary = read_vocabulary_lines(folder / "vocab.txt");
  files.normalizer.lowercase = config.root().bool_or("do_lower_case", true);
  files.normalizer.handle_chinese_chars = config.root().bool_or("tokenize_chinese_chars", true);
  files.normalizer.strip_accents = config.root().bool_or("strip_accents", files.normalizer.lowercase);
  const auto special = [&](std::string_view key, std::string_view otherwise) {
    added_token token;
    token.special = true;
    token.content = otherwise;
    if (config.root().has(key)) {  // a string, or an object with the string in it
      const io::json_ref value = config.root().at(key);
      token.content = value.kind() == io::json_kind::object ? value.at("content").as_string() : value.as_string();
    }
    std::size_t at = 0;
    while (at < files.vocabulary.size() && files.vocabulary[at] != token.content) ++at;
    expects(at < files.vocabulary.size(), errc::bad_file, files.source, ": the ", key, " '", token.content,
            "' is not in the vocabulary");
    token.id = static_cast<token_id>(at);
    files.added.push_back(token);
    return token.id;
  };
  special("unk_token", "[UNK]");
  files.model.unk_token = files.added.back().content;
  const token_id sep = special("sep_token", "[SEP]");
  special("pad_token", "[PAD]");
  const token_id cls = special("cls_token", "[CLS]");
  special("mask_token", "[MASK]");
  detail::set_bert_templates(files, cls, sep);
  return files;
}

}  // namespace hocket::texts
