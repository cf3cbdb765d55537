// The tokenizer of a BERT-type model (namespace texts: hocket::text is the function that joins messages): text to the
// ids that the `tokenizers` library gives for the model's own files. Bytes that are not UTF-8 count as U+FFFD, as if
// the text had been read by Python with errors="replace". Calls on one tokenizer may run at the same time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/core/error.hpp>
#include <hocket/text/tokenizer_files.hpp>

namespace hocket::texts {

struct encode_options {
  bool add_special_tokens = true;                ///< [CLS] and [SEP], or what the model's template has
  std::optional<truncation_options> truncation;  ///< none: a text keeps all its tokens
  std::optional<padding_options> padding;        ///< none: ids only
};

/// Tokens of one text or of a pair, all three of one length.
struct encoding {
  std::vector<token_id> ids;
  std::vector<token_id> type_ids;
  std::vector<token_id> attention_mask;  ///< 1 for a token, 0 for padding
  std::size_t size() const { return ids.size(); }
};

class tokenizer {
 public:
  explicit tokenizer(tokenizer_files files)
      : files_(std::move(files)), model_(files_.vocabulary, files_.model, files_.source) {
    for (const added_token& token : files_.added) {
      const std::string spelled = token.normalized ? files_.normalizer(token.content) : token.content;
      (token.normalized ? normalized_ : raw_).add(token, spelled);
      // The library numbers added tokens itself: as the vocabulary has them, otherwise from its end on.
      const auto known = model_.find(token.content);
      const auto id = known ? static_cast<std::size_t>(*known) : files_.vocabulary.size();
      expects(static_cast<std::size_t>(token.id) == id, errc::bad_file, files_.source, ": added token '", token.content,
              "' has id ", token.id, known ? ", in the vocabulary it is " : ", the next free one is ", id);
      if (!known) files_.vocabulary.emplace_back();
      files_.vocabulary[id] = token.content;
    }
    for (const auto* pieces : {&files_.single, &files_.pair})
      for (const template_piece& piece : *pieces)
        for (const token_id id : piece.special)
          expects(static_cast<std::size_t>(id) < files_.vocabulary.size(), errc::bad_file, files_.source,
                  ": the template's id ", id, " is not in the vocabulary of ", files_.vocabulary.size());
  }

  /// A model's folder: tokenizer.json, or vocab.txt with tokenizer_config.json.
  static tokenizer load(const std::filesystem::path& folder) { return tokenizer(read_tokenizer_folder(folder)); }

  /// Number of ids, added tokens included.
  std::size_t vocabulary_size() const { return files_.vocabulary.size(); }
  std::string_view token(token_id id) const {
    expects(id >= 0 && static_cast<std::size_t>(id) < files_.vocabulary.size(), errc::bad_option, "token id ", id,
            " is not in the vocabulary of ", files_.vocabulary.size());
    return files_.vocabulary[static_cast<std::size_t>(id)];
  }
  std::optional<token_id> find(std::string_view entry) const {
    for (const added_token& token : files_.added)
      if (token.content == entry) return token.id;
    return model_.find(entry);
  }
  const tokenizer_files& files() const { return files_; }
  std::size_t model_max_length() const { return files_.model_max_length; }

  /// Truncation and padding as the model's tokenizer.json has them. They are not the default of `encode`: a published
  /// file keeps whatever its author used last.
  encode_options file_options() const { return {true, files_.truncation, files_.padding}; }

  /// The ids of one text.
  std::vector<token_id> encode(std::string_view text, const encode_options& options = {}) const {
    return encode_one(text, nullptr, options).ids;
  }
  encoding encode_text(std::string_view text, const encode_options& options = {}) const {
    return encode_one(text, nullptr, options);
  }
  encoding encode_pair(std::string_view first, std::string_view second, const encode_options& options = {}) const {
    return encode_one(first, &second, options);
  }
  /// Each text by itself; with padding, all as long as the longest.
  template <class Texts>
  std::vector<encoding> encode_batch(const Texts& texts, const encode_options& options = {}) const {
    encode_options each = options;
    each.padding.reset();
    std::vector<encoding> all;
    std::size_t longest = 0;
    for (const auto& text : texts) {
      all.push_back(encode_one(text, nullptr, each));
      longest = std::max(longest, all.back().size());
    }
    if (options.padding)
      for (encoding& one : all) pad(one, longest, *options.padding);
    return all;
  }

  /// The ids of the words alone, without template, truncation or padding.
  std::vector<token_id> encode_words(std::string_view text) const {
    std::vector<token_id> ids;
    if (is_utf8(text)) {
      append_words(text, ids);
    } else {
      append_words(well_formed(text), ids);
    }
    return ids;
  }

 private:
  void append_words(std::string_view text, std::vector<token_id>& ids) const {
    raw_.split(text, [&](std::string_view stretch, const added_token* found) {
      if (found) {
        ids.push_back(found->id);
      } else if (normalized_.empty()) {
        append_pieces(files_.normalizer.points(stretch), ids);
      } else {
        const std::string normal = files_.normalizer(stretch);
        normalized_.split(normal, [&](std::string_view part, const added_token* inside) {
          if (inside) {
            ids.push_back(inside->id);
            return;
          }
          std::u32string points;
          for (std::size_t at = 0; at < part.size();) points += next_code_point(part, at);
          append_pieces(points, ids);
        });
      }
    });
  }
  void append_pieces(std::u32string_view points, std::vector<token_id>& ids) const {
    for_each_bert_word(points, [&](std::string_view word, std::size_t length) { model_.run(word, length, ids); });
  }

  encoding encode_one(std::string_view first, const std::string_view* second, const encode_options& options) const {
    const std::vector<template_piece>& pieces = second ? files_.pair : files_.single;
    std::vector<token_id> words[2] = {encode_words(first), second ? encode_words(*second) : std::vector<token_id>{}};
    std::size_t special = 0;
    for (const template_piece& piece : pieces) special += options.add_special_tokens ? piece.special.size() : 0;
    if (options.truncation) truncate(words, second != nullptr, special, *options.truncation);
    encoding out;
    for (const template_piece& piece : pieces) {
      if (!piece.special.empty() && !options.add_special_tokens) continue;
      const std::vector<token_id>& ids = piece.special.empty() ? words[piece.sequence] : piece.special;
      out.ids.insert(out.ids.end(), ids.begin(), ids.end());
      out.type_ids.resize(out.ids.size(), piece.type_id);
    }
    out.attention_mask.assign(out.ids.size(), 1);
    if (options.padding) pad(out, out.size(), *options.padding);
    return out;
  }

  static void truncate(std::vector<token_id> (&words)[2], bool pair, std::size_t special,
                       const truncation_options& options) {
    expects(options.max_length >= special, errc::bad_option, "max_length ", options.max_length,
            " leaves no room for the ", special, " special tokens");
    const std::size_t room = options.max_length - special;
    const std::size_t total = words[0].size() + words[1].size();
    if (total <= room) return;
    const auto cut = [&](std::vector<token_id>& ids, std::size_t size) {
      if (ids.size() <= size) return;
      const auto drop = static_cast<std::ptrdiff_t>(ids.size() - size);
      if (options.direction == side::left) {
        ids.erase(ids.begin(), ids.begin() + drop);
      } else {
        ids.erase(ids.end() - drop, ids.end());
      }
    };
    if (room == 0 || (!pair && options.strategy == truncation_strategy::longest_first)) {
      cut(words[0], room);
      cut(words[1], 0);
      return;
    }
    if (options.strategy == truncation_strategy::longest_first) {
      // The shorter text keeps its tokens as long as the longer has more of them.
      const std::size_t shorter = std::min(words[0].size(), words[1].size());
      std::size_t low = shorter, high = shorter > room ? shorter : std::max(shorter, room - shorter);
      if (low + high > room) {
        low = room / 2;
        high = room - low;
      }
      const bool first_is_longer = words[0].size() > words[1].size();
      cut(words[0], first_is_longer ? high : low);
      cut(words[1], first_is_longer ? low : high);
      return;
    }
    const bool second = options.strategy == truncation_strategy::only_second;
    expects(pair || !second, errc::bad_option, "truncation of the second text of a pair, but there is one text");
    std::vector<token_id>& chosen = words[second ? 1 : 0];
    const std::size_t surplus = total - room;
    expects(chosen.size() > surplus, errc::bad_option, "max_length ", options.max_length, ": ", surplus,
            " tokens are too many, and the text that may be truncated has ", chosen.size());
    cut(chosen, chosen.size() - surplus);
  }

  static void pad(encoding& one, std::size_t longest, const padding_options& options) {
    std::size_t length = options.length > 0 ? options.length : longest;
    if (options.multiple_of > 0 && length % options.multiple_of > 0)
      length += options.multiple_of - length % options.multiple_of;
    if (length <= one.size()) return;
    const std::size_t missing = length - one.size();
    const auto fill = [&](std::vector<token_id>& values, token_id value) {
      values.insert(options.direction == side::left ? values.begin() : values.end(), missing, value);
    };
    fill(one.ids, options.id);
    fill(one.type_ids, options.type_id);
    fill(one.attention_mask, 0);
  }

  tokenizer_files files_;
  wordpiece model_;
  added_token_finder raw_, normalized_;
};

}  // namespace hocket::texts
