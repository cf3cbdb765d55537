// WordPiece (Wu et al. 2016, arXiv:1609.08144; Devlin et al. 2019): a word becomes the longest entry of the vocabulary
// that it begins with, then the longest "##" entry that the rest begins with, and so on; a word that cannot be spelled
// becomes the unknown token. A trie over bytes finds each longest entry in one pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/core/error.hpp>

namespace hocket::texts {

using token_id = std::int32_t;

/// Strings with a number each. Edges lie in one open-addressing table keyed by (node, byte).
class byte_trie {
 public:
  struct match {
    std::size_t length = 0;  ///< bytes; 0: nothing matches
    token_id id = -1;
  };
  static constexpr std::uint32_t root = 0;
  static constexpr std::uint32_t nowhere = std::numeric_limits<std::uint32_t>::max();

  byte_trie() : ends_(1, -1), slots_(64) {}

  /// A string that is there already gets the new number.
  void insert(std::string_view word, token_id id) {
    std::uint32_t node = root;
    for (const char c : word) {
      std::uint32_t next = child(node, c);
      if (next == nowhere) {
        next = static_cast<std::uint32_t>(ends_.size());
        ends_.push_back(-1);
        add_edge(node, c, next);
      }
      node = next;
    }
    ends_[node] = id;
  }

  /// Where `prefix` leads from the root.
  std::uint32_t walk(std::string_view prefix) const {
    std::uint32_t node = root;
    for (const char c : prefix) {
      if (node != nowhere) node = child(node, c);
    }
    return node;
  }

  /// The longest string below `node` that `text` begins with.
  match longest(std::string_view text, std::uint32_t node = root) const {
    match best;
    for (std::size_t i = 0; i < text.size() && node != nowhere; ++i) {
      node = child(node, text[i]);
      if (node != nowhere && ends_[node] >= 0) best = {i + 1, ends_[node]};
    }
    return best;
  }

  std::optional<token_id> find(std::string_view word) const {
    const std::uint32_t node = walk(word);
    return node == nowhere || ends_[node] < 0 ? std::nullopt : std::optional(ends_[node]);
  }

 private:
  struct slot {
    std::uint64_t key = std::numeric_limits<std::uint64_t>::max();
    std::uint32_t next = nowhere;
  };

  static std::uint64_t key_of(std::uint32_t node, char c) {
    return std::uint64_t{node} << 8 | static_cast<unsigned char>(c);
  }
  std::size_t home(std::uint64_t key) const {
    return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15u) >> 32) & (slots_.size() - 1);
  }
  std::uint32_t child(std::uint32_t node, char c) const {
    const std::uint64_t key = key_of(node, c);
    for (std::size_t i = home(key);; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i].key == key) return slots_[i].next;
      if (slots_[i].next == nowhere) return nowhere;
    }
  }
  void add_edge(std::uint32_t node, char c, std::uint32_t next) {
    if (2 * (edges_ + 1) > slots_.size()) {
      std::vector<slot> old(2 * slots_.size());
      old.swap(slots_);
      for (const slot& edge : old)
        if (edge.next != nowhere) place(edge);
    }
    place({key_of(node, c), next});
    ++edges_;
  }
  void place(const slot& edge) {
    std::size_t i = home(edge.key);
    while (slots_[i].next != nowhere) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = edge;
  }

  std::vector<token_id> ends_;  // of each node; -1: no string ends here
  std::vector<slot> slots_;
  std::size_t edges_ = 0;
};

struct wordpiece_options {
  std::string unk_token = "[UNK]";
  std::string continuing_subword_prefix = "##";
  std::size_t max_input_chars_per_word = 100;  ///< code points; a longer word is unknown
};

class wordpiece {
 public:
  wordpiece() = default;
  /// `vocabulary[i]` is the entry with id i; an empty string is an id without entry. `source` is named in messages.
  wordpiece(const std::vector<std::string>& vocabulary, wordpiece_options options, std::string_view source)
      : options_(std::move(options)) {
    expects(vocabulary.size() <= static_cast<std::size_t>(std::numeric_limits<token_id>::max()), errc::bad_file, source,
            ": a vocabulary of ", vocabulary.size(), " entries");
    for (std::size_t id = 0; id < vocabulary.size(); ++id)
      if (!vocabulary[id].empty()) entries_.insert(vocabulary[id], static_cast<token_id>(id));
    const auto unknown = entries_.find(options_.unk_token);
    expects(unknown.has_value(), errc::bad_file, source, ": the unknown token '", options_.unk_token,
            "' is not in the vocabulary");
    unknown_ = *unknown;
    continuation_ = entries_.walk(options_.continuing_subword_prefix);
  }

  token_id unknown() const { return unknown_; }
  std::optional<token_id> find(std::string_view entry) const { return entries_.find(entry); }

  /// Appends the ids of one word of `length` code points.
  void run(std::string_view word, std::size_t length, std::vector<token_id>& out) const {
    const std::size_t before = out.size();
    bool spelled = length <= options_.max_input_chars_per_word;
    std::uint32_t node = byte_trie::root;
    while (spelled && !word.empty()) {
      const byte_trie::match piece = entries_.longest(word, node);
      spelled = piece.length > 0;
      out.push_back(piece.id);
      word.remove_prefix(piece.length);
      node = continuation_;
    }
    if (spelled) return;
    out.resize(before);
    out.push_back(unknown_);
  }

 private:
  wordpiece_options options_;
  byte_trie entries_;
  token_id unknown_ = 0;
  std::uint32_t continuation_ = byte_trie::nowhere;
};

}  // namespace hocket::texts
