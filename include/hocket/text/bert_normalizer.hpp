// What BERT does to text before it looks words up: cleaning, spaces around ideographs, decomposition without accents,
// small letters (Devlin et al., google-research/bert, tokenization.py; here as the `tokenizers` library does it), then
// cutting at white space and around punctuation.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include <hocket/text/unicode.hpp>

namespace hocket::texts {

struct bert_normalizer {
  bool clean_text = true;            ///< controls go, every white space becomes U+0020
  bool handle_chinese_chars = true;  ///< ideographs stand alone
  bool strip_accents = true;         ///< decomposed (NFD), without marks
  bool lowercase = true;

  /// The normal form of UTF-8, as code points.
  std::u32string points(std::string_view text) const {
    std::u32string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
      const char32_t c = next_code_point(text, at);
      const std::uint32_t kind = properties(c);
      if (clean_text && (kind & removed)) continue;
      if (clean_text && (kind & blank)) {
        out += U' ';
      } else if (handle_chinese_chars && (kind & ideograph)) {
        out += U' ';
        decomposed(c, out);
        out += U' ';
      } else {
        decomposed(c, out);
      }
    }
    if (strip_accents) order_marks(out);
    // Marks are stripped after they were ordered, letters made small last: what lowers to a letter with a mark keeps
    // it.
    if (!strip_accents && !lowercase) return out;
    std::u32string result;
    result.reserve(out.size());
    for (const char32_t c : out) {
      if (strip_accents && c >= 0x300 && (properties(c) & mark)) continue;
      if (lowercase) {
        lower(c, [&](char32_t small) { result += small; });
      } else {
        result += c;
      }
    }
    return result;
  }

  /// The same as UTF-8; malformed bytes count as U+FFFD.
  std::string operator()(std::string_view text) const {
    std::string out;
    for (const char32_t c : points(text)) append_utf8(out, c);
    return out;
  }

 private:
  void decomposed(char32_t c, std::u32string& out) const {
    if (!strip_accents || c < 0xC0) {
      out += c;
    } else {
      decompose(c, [&](char32_t part) { out += part; });
    }
  }

  /// Canonical ordering (the Unicode Standard, 3.11): marks in a row by their class, equal ones as they came.
  static void order_marks(std::u32string& points) {
    for (std::size_t begin = 0; begin < points.size();) {
      if (combining_class(points[begin]) == 0) {
        ++begin;
        continue;
      }
      std::size_t end = begin + 1;
      while (end < points.size() && combining_class(points[end]) != 0) ++end;
      if (end - begin > 1) order_run(points, begin, end);
      begin = end;
    }
  }
  /// By counting, so that a text of a million marks costs no more than any other.
  static void order_run(std::u32string& points, std::size_t begin, std::size_t end) {
    std::array<std::size_t, 257> at{};  // of each class in the ordered run
    for (std::size_t i = begin; i < end; ++i) ++at[combining_class(points[i]) + 1];
    for (std::size_t k = 1; k < at.size(); ++k) at[k] += at[k - 1];
    const std::u32string run = points.substr(begin, end - begin);
    for (const char32_t c : run) points[begin + at[combining_class(c)]++] = c;
  }
};

/// Hands the words of normalized text to `take`, as UTF-8 with their number of code points: cut at white space, every
/// punctuation mark alone. The view is valid during the call.
template <class Take>
void for_each_bert_word(std::u32string_view points, Take&& take) {
  std::string word;
  std::size_t length = 0;
  const auto flush = [&] {
    if (length > 0) take(std::string_view(word), length);
    word.clear();
    length = 0;
  };
  for (const char32_t c : points) {
    const std::uint32_t kind = properties(c);
    if (kind & (splits | punctuation)) flush();
    if (kind & splits) continue;
    append_utf8(word, c);
    ++length;
    if (kind & punctuation) flush();
  }
  flush();
}

}  // namespace hocket::texts
