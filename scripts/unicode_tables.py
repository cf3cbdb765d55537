#!/usr/bin/env python3
"""Writes include/hocket/text/unicode_tables.hpp by asking the `tokenizers` library about every code point: what
BertNormalizer removes, makes a space, surrounds with spaces, decomposes, strips and lowers; where BertPreTokenizer cuts;
what a token that is a single word may not touch. Asked, not taken from a Unicode version: the library mixes several (its
NFD, its marks and its lower case come from packages of different years).

  bench/peers' environment: python scripts/unicode_tables.py [--check]     --check: exit 1 if the file would change
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "tokenizers_peer"))
from environment import require  # noqa: E402

require("tokenizers")
import tokenizers  # noqa: E402
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers  # noqa: E402

TARGET = Path(__file__).resolve().parents[1] / "include" / "hocket" / "text" / "unicode_tables.hpp"
ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
SPLITS, BLANK, REMOVED, IDEOGRAPH, MARK, PUNCTUATION, WORD = (1 << i for i in range(7))
HANGUL = range(0xAC00, 0xD7A4)


def bert(**on):
    return normalizers.BertNormalizer(**{**dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False), **on})


def single_word_neighbours():
    """Code points that keep a token with single_word from being found."""
    one = Tokenizer(models.WordPiece({"[UNK]": 0, "[X]": 1}, unk_token="[UNK]"))
    one.add_tokens([AddedToken("[X]", single_word=True, normalized=False)])
    for c in ALL:
        before, after = (1 not in one.encode(s).ids for s in (chr(c) + "[X]", "[X]" + chr(c)))
        assert before == after, hex(c)
        if before:
            yield c


def combining_classes(decomposed):
    """{code point: number}: two marks are swapped by canonical ordering when the first has the larger number. The numbers
    are those of Unicode where a known representative of the class behaves alike; a class without one would be an error."""
    import unicodedata
    nfd = normalizers.NFD()

    def swapped(first, second):
        return first != second and nfd.normalize_str(first + second) == second + first

    lowest, highest = "\u0334", "\u0345"  # classes 1 and 240
    assert swapped(highest, lowest)
    stands_for = {1: lowest, 240: highest}
    for c in ALL:
        number = unicodedata.combining(chr(c))
        if number and c not in decomposed and swapped(highest, chr(c)):  # the library may not know it yet
            stands_for.setdefault(number, chr(c))
    found = {}
    for c in ALL:
        s = chr(c)
        if c in decomposed or not (swapped(s, lowest) or swapped(highest, s) or s in (lowest, highest)):
            continue
        alike = [number for number, other in stands_for.items() if not swapped(s, other) and not swapped(other, s)]
        assert len(alike) == 1, (hex(c), alike)
        found[c] = alike[0]
    return found


def probe():
    clean, ideograph, strip, lower = (bert(clean_text=True), bert(handle_chinese_chars=True), bert(strip_accents=True), bert(lowercase=True))
    nfd, cut = normalizers.NFD(), pre_tokenizers.BertPreTokenizer()
    flags, decomposed, lowered = {}, {}, {}
    for c in ALL:
        s = chr(c)
        flag = 0
        cleaned = clean.normalize_str("a" + s + "b")[1:-1]
        if cleaned == "":
            flag |= REMOVED
        elif cleaned == " ":
            flag |= BLANK
        else:
            assert cleaned == s, hex(c)
        if ideograph.normalize_str(s) != s:
            assert ideograph.normalize_str(s) == f" {s} ", hex(c)
            flag |= IDEOGRAPH
        pieces = [piece for piece, _ in cut.pre_tokenize_str("a" + s + "b")]
        if pieces == ["a", "b"]:
            flag |= SPLITS
        elif pieces == ["a", s, "b"]:
            flag |= PUNCTUATION
        else:
            assert pieces == ["a" + s + "b"], hex(c)
        whole = nfd.normalize_str(s)
        if whole != s:
            decomposed[c] = [ord(x) for x in whole]
        small = lower.normalize_str(s)
        if small != s:
            lowered[c] = [ord(x) for x in small]
        if strip.normalize_str(s) == "":
            flag |= MARK
        flags[c] = flag
    for c in ALL:  # what is stripped of a decomposed character is what would be stripped of its parts
        parts = decomposed.get(c, [c])
        assert strip.normalize_str(chr(c)) == "".join(chr(p) for p in parts if not flags[p] & MARK), hex(c)
        assert all(p not in decomposed for p in parts if parts != [c]), hex(c)
    for c in HANGUL:  # the Unicode Standard, 3.12: syllables decompose by arithmetic
        i = c - HANGUL.start
        expected = [0x1100 + i // 588, 0x1161 + i % 588 // 28] + ([0x11A7 + i % 28] if i % 28 else [])
        assert decomposed.pop(c) == expected, hex(c)
    assert {c: v for c, v in lowered.items() if len(v) > 1} == {0x130: [0x69, 0x307]}
    for c in single_word_neighbours():
        flags[c] |= WORD
    return flags, decomposed, lowered, combining_classes({*decomposed, *HANGUL})


def runs(values, default):
    """[(first code point, value)]: a value holds up to the next entry."""
    out = [(0, values.get(0, default))]
    for c in range(0x110000):
        value = values.get(c, default)
        if value != out[-1][1]:
            out.append((c, value))
    return out


def steps(lowered):
    """[(first, last, step, distance)] of neighbours at one distance, one or two code points apart."""
    out = []
    for c in sorted(c for c in lowered if len(lowered[c]) == 1):
        distance = lowered[c][0] - c
        if out:
            first, last, step, same = out[-1]
            if same == distance and c - last in ((1, 2) if first == last else (step,)):
                out[-1] = (first, c, c - last, distance)
                continue
        out.append((c, c, 1, distance))
    return out


def array(comment, kind, name, values, spell="0x{:x}".format):
    lines, line = [], " "
    for value in values:
        word = f" {spell(value)},"
        if len(line) + len(word) > 120:
            lines.append(line)
            line = " "
        line += word
    return f"/// {comment}\ninline constexpr std::array<{kind}, {len(values)}> {name} = {{\n" + "\n".join(lines + [line]) + "\n};\n"


def header():
    flags, decomposed, lowered, classes = probe()
    ranges = steps(lowered)
    parts = [
        array("First code point << 8 | properties, for runs of code points alike.", "std::uint32_t", "property_runs",
              [first << 8 | value for first, value in runs(flags, 0)]),
        array("First code point << 8 | canonical combining class, for runs of code points alike.", "std::uint32_t", "combining_runs",
              [first << 8 | value for first, value in runs(classes, 0)]),
        array("Number of code points << 24 | code point that decomposes into them; Hangul syllables do so by arithmetic.", "std::uint32_t",
              "decomposed", [len(decomposed[c]) << 24 | c for c in sorted(decomposed)]),
        array("What they decompose into, one after the other.", "std::uint32_t", "decompositions",
              [part for c in sorted(decomposed) for part in decomposed[c]]),
        array("Step << 24 | first capital of a range; U+0130 becomes two code points and is not listed.", "std::uint32_t", "lower_first",
              [step << 24 | first for first, _, step, _ in ranges]),
        array("Last capital of the range.", "std::uint32_t", "lower_last", [last for _, last, _, _ in ranges]),
        array("Distance to the small letter.", "std::int32_t", "lower_distance", [distance for *_, distance in ranges], str),
    ]
    return f"""// Generated by scripts/unicode_tables.py from tokenizers {tokenizers.__version__}: do not edit. What the library's BertNormalizer and
// BertPreTokenizer do with every code point; hocket/text/unicode.hpp reads it.
#pragma once

#include <array>
#include <cstdint>

// clang-format off
namespace hocket::texts::tables {{

inline constexpr const char* tokenizers_version = "{tokenizers.__version__}";

""" + "\n".join(parts) + "\n}  // namespace hocket::texts::tables\n// clang-format on\n"


def main():
    content = header()
    if "--check" in sys.argv[1:]:
        same = TARGET.is_file() and TARGET.read_text(encoding="ascii") == content
        print(f"{TARGET.name} {'is what' if same else 'differs from what'} tokenizers {tokenizers.__version__} does")
        return 0 if same else 1
    TARGET.write_text(content, encoding="ascii")
    print(f"{TARGET}: {len(content)} bytes, {content.count(chr(10))} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
