// Tokens that are found in the text as they are, before words are looked for: [CLS], [SEP] and whatever a model adds.
// The rules are those of the `tokenizers` library (AddedVocabulary): tokens that are not normalized are found in the
// text as it was given, the others in the normalized pieces between; of two that begin at one place the longer counts.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/text/unicode.hpp>
#include <hocket/text/wordpiece.hpp>

namespace hocket::texts {

struct added_token {
  std::string content;
  token_id id = 0;
  bool single_word = false;  ///< not inside a word
  bool lstrip = false;       ///< takes the white space before it
  bool rstrip = false;       ///< takes the white space after it
  bool normalized = false;   ///< looked for in normalized text
  bool special = false;
};

namespace detail {

/// The last code point of well-formed text, with the byte where it begins.
inline std::pair<char32_t, std::size_t> last_code_point(std::string_view text) {
  std::size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  std::size_t moving = at;
  return {next_code_point(text, moving), at};
}

inline bool ends_with_word(std::string_view text) {
  return !text.empty() && (properties(last_code_point(text).first) & word) != 0;
}
inline bool begins_with_word(std::string_view text) {
  std::size_t at = 0;
  return !text.empty() && (properties(next_code_point(text, at)) & word) != 0;
}
/// Where the white space at the end begins.
inline std::size_t trailing_space(std::string_view text) {
  while (!text.empty()) {
    const auto [c, at] = last_code_point(text);
    if (!(properties(c) & splits)) break;
    text = text.substr(0, at);
  }
  return text.size();
}
/// Bytes of white space at the beginning.
inline std::size_t leading_space(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t next = at;
    if (!(properties(next_code_point(text, next)) & splits)) break;
    at = next;
  }
  return at;
}

}  // namespace detail

/// A set of added tokens of one kind, normalized or not.
class added_token_finder {
 public:
  /// `spelled[i]` is what tokens[i] looks like in the text that is searched.
  void add(const added_token& token, std::string_view spelled) {
    if (spelled.empty()) return;
    starts_[static_cast<unsigned char>(spelled.front())] = true;
    trie_.insert(spelled, static_cast<token_id>(tokens_.size()));
    tokens_.push_back(token);
  }
  bool empty() const { return tokens_.empty(); }

  /// Hands the stretches of `text` to `take` in order: (stretch, null) for text, (stretch, token) for a token.
  template <class Take>
  void split(std::string_view text, Take&& take) const {
    std::size_t reached = 0;
    for (std::size_t at = 0; at < text.size();) {
      const byte_trie::match found =
          starts_[static_cast<unsigned char>(text[at])] ? trie_.longest(text.substr(at)) : byte_trie::match{};
      if (found.length == 0) {
        ++at;
        continue;
      }
      const added_token& token = tokens_[static_cast<std::size_t>(found.id)];
      std::size_t begin = at, end = at + found.length;
      at = end;
      if (token.single_word &&
          (detail::ends_with_word(text.substr(0, begin)) || detail::begins_with_word(text.substr(end))))
        continue;
      if (token.lstrip) begin = std::max(detail::trailing_space(text.substr(0, begin)), reached);
      if (token.rstrip) end += detail::leading_space(text.substr(end));
      begin = std::max(begin, reached);  // white space that the token before has taken
      if (begin > reached) take(text.substr(reached, begin - reached), static_cast<const added_token*>(nullptr));
      take(text.substr(begin, std::max(end, begin) - begin), &token);
      reached = std::max(end, begin);
    }
    if (reached < text.size()) take(text.substr(reached), static_cast<const added_token*>(nullptr));
  }

 private:
  std::array<bool, 256> starts_{};
  byte_trie trie_;
  std::vector<added_token> tokens_;
};

}  // namespace hocket::texts
