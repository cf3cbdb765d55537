// Code points: UTF-8 in and out, and what `tokenizers` does with each one (unicode_tables.hpp, asked from the library).
// Bytes that are not UTF-8 read as U+FFFD, one for each maximal part of a sequence (the Unicode Standard, 3.9, and
// Python's bytes.decode("utf-8", "replace")).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <hocket/io/json.hpp>
#include <hocket/text/unicode_tables.hpp>

namespace hocket::texts {

using io::append_utf8;
using io::is_utf8;

/// Bits of `properties`, as scripts/unicode_tables.py numbers them.
enum : std::uint32_t {
  splits = 1,        ///< white space, for the pre-tokenizer
  blank = 2,         ///< becomes a space when text is cleaned
  removed = 4,       ///< disappears when text is cleaned: controls, private use, U+FFFD
  ideograph = 8,     ///< gets a space on either side
  mark = 16,         ///< disappears with the accents
  punctuation = 32,  ///< is a word of its own
  word = 64,         ///< may not touch an added token that is a single word
};

namespace detail {

/// Value of the run that holds `c`: entries are first code point << Bits | value.
template <unsigned Bits, std::size_t Size>
constexpr std::uint32_t run_value(const std::array<std::uint32_t, Size>& runs, char32_t c) {
  const std::uint32_t key = ((static_cast<std::uint32_t>(c) + 1) << Bits) - 1;
  const auto after = std::upper_bound(runs.begin(), runs.end(), key);
  return *(after - 1) & ((std::uint32_t{1} << Bits) - 1);
}

constexpr std::array<std::uint8_t, 128> ascii_properties() {
  std::array<std::uint8_t, 128> out{};
  for (char32_t c = 0; c < 128; ++c) out[c] = static_cast<std::uint8_t>(run_value<8>(tables::property_runs, c));
  return out;
}
inline constexpr std::array<std::uint8_t, 128> ascii = ascii_properties();

constexpr auto decomposition_offsets() {
  std::array<std::uint16_t, tables::decomposed.size() + 1> out{};
  for (std::size_t i = 0; i < tables::decomposed.size(); ++i)
    out[i + 1] = static_cast<std::uint16_t>(out[i] + (tables::decomposed[i] >> 24));
  return out;
}
inline constexpr auto decomposition_begin = decomposition_offsets();
static_assert(decomposition_begin.back() == tables::decompositions.size());

}  // namespace detail

constexpr std::uint32_t properties(char32_t c) {
  return c < 128 ? detail::ascii[c] : detail::run_value<8>(tables::property_runs, c);
}

/// 0 for what starts a character; marks are put in the order of this number behind it.
constexpr std::uint32_t combining_class(char32_t c) {
  return c < 0x300 ? 0 : detail::run_value<8>(tables::combining_runs, c);
}

/// Hands `c`, or what it decomposes into, to `take`, one code point after the other.
template <class Take>
constexpr void decompose(char32_t c, Take&& take) {
  if (c >= 0xAC00 && c <= 0xD7A3) {  // Hangul syllables: the Unicode Standard, 3.12
    const char32_t i = c - 0xAC00;
    take(0x1100 + i / 588);
    take(0x1161 + i % 588 / 28);
    if (i % 28) take(0x11A7 + i % 28);
    return;
  }
  if (c >= 0xC0) {
    const auto at = std::lower_bound(tables::decomposed.begin(), tables::decomposed.end(), c,
                                     [](std::uint32_t entry, char32_t wanted) { return (entry & 0xFFFFFF) < wanted; });
    if (at != tables::decomposed.end() && (*at & 0xFFFFFF) == c) {
      const auto i = static_cast<std::size_t>(at - tables::decomposed.begin());
      for (std::size_t k = detail::decomposition_begin[i]; k < detail::decomposition_begin[i + 1]; ++k)
        take(static_cast<char32_t>(tables::decompositions[k]));
      return;
    }
  }
  take(c);
}

/// Hands the small letter of `c`, or `c` itself, to `take`.
template <class Take>
constexpr void lower(char32_t c, Take&& take) {
  if (c < 128) return take(c >= U'A' && c <= U'Z' ? c + 32 : c);
  if (c == 0x130) {  // I with a dot above keeps its dot
    take(U'i');
    return take(char32_t{0x307});
  }
  const auto after = std::upper_bound(tables::lower_first.begin(), tables::lower_first.end(), c,
                                      [](char32_t wanted, std::uint32_t entry) { return wanted < (entry & 0xFFFFFF); });
  if (after == tables::lower_first.begin()) return take(c);
  const auto i = static_cast<std::size_t>(after - tables::lower_first.begin()) - 1;
  const std::uint32_t first = tables::lower_first[i] & 0xFFFFFF, step = tables::lower_first[i] >> 24;
  const bool inside = c <= tables::lower_last[i] && (c - first) % step == 0;
  take(inside ? static_cast<char32_t>(static_cast<std::int32_t>(c) + tables::lower_distance[i]) : c);
}

/// The code point that begins at `at`, which moves behind it.
constexpr char32_t next_code_point(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[at + i])); };
  const char32_t first = byte(0);
  const std::size_t length = io::utf8_sequence(text.substr(at, 4));
  char32_t c = 0xFFFD;
  switch (length) {
    case 0: {  // a sequence that breaks off is replaced as one, up to the byte that cannot belong to it
      const std::size_t whole = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
      char32_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
      char32_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
      std::size_t good = 1;
      while (first >= 0xC2 && first <= 0xF4 && good < whole && at + good < text.size() && byte(good) >= low &&
             byte(good) <= high) {
        ++good;
        low = 0x80;
        high = 0xBF;
      }
      at += good;
      return c;
    }
    case 1: c = first; break;
    case 2: c = (first & 0x1F) << 6 | (byte(1) & 0x3F); break;
    case 3: c = (first & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F); break;
    default: c = (first & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
  }
  at += length;
  return c;
}

/// `text` with every malformed part replaced by U+FFFD.
inline std::string well_formed(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) append_utf8(out, next_code_point(text, at));
  return out;
}

}  // namespace hocket::texts
