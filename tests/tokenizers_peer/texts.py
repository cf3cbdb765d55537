"""Strings that try a tokenizer: seeded random ones, heavy in what normalization touches, and real ones from the data sets."""
import unicodedata
from pathlib import Path

SPECIAL = ["[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", "[cls]", "[", "]", "[SEP", "SEP]", "##", "##ing", "[[SEP]]", "[CLS][SEP]"]
WORDS = ("the unaffable runners' naïve café résumé don't e-mail U.S.A. 3.14 1,000 hello WORLD İstanbul straße ΣΊΣΥΦΟΣ ǅungla Ǆ ﬁne "
         "日本語 中文 한국어 Ελληνικά русский עברית العربية हिन्दी ไทย Tiếng Việt ＡＢＣ １２３ 👍🏽 👨‍👩‍👧 🇩🇪 … — “quoted” ½ № ™ a\u0301\u0323 e\u0323\u0301").split()


def pools():
    """{name: code points} by what they are to a normalizer."""
    everything = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    by = {name: [] for name in ("mark", "other_mark", "space", "control", "punctuation", "upper", "lower", "symbol", "unassigned", "decomposes")}
    kinds = {"Mn": "mark", "Mc": "other_mark", "Me": "other_mark", "Zs": "space", "Zl": "space", "Zp": "space", "Cc": "control", "Cf": "control",
             "Lu": "upper", "Lt": "upper", "Ll": "lower", "So": "symbol", "Sm": "symbol", "Sc": "symbol", "Sk": "symbol", "Cn": "unassigned"}
    for c in everything:
        category = unicodedata.category(chr(c))
        kind = "punctuation" if category[0] == "P" else kinds.get(category)
        if kind:
            by[kind].append(c)
        if unicodedata.normalize("NFD", chr(c)) != chr(c):
            by["decomposes"].append(c)
    by["any"] = everything
    by["ascii"] = list(range(128))
    by["letters"] = list(range(97, 123))
    by["latin"] = list(range(0xA0, 0x250))
    by["ideograph"] = list(range(0x4E00, 0xA000)) + list(range(0x3400, 0x3500)) + list(range(0x20000, 0x20100)) + list(range(0xF900, 0xFB00))
    by["hangul"] = list(range(0xAC00, 0xD7A4)) + list(range(0x1100, 0x1200)) + list(range(0x11A7, 0x11C3))
    return by


def random_texts(random, count, by=None, longest=24):
    by = by or pools()
    names = sorted(by)
    weights = [6 if name in ("letters", "mark") else 1 for name in names]
    for _ in range(count):
        out = []
        for _ in range(random.randrange(longest)):
            what = random.random()
            if what < 0.06:
                out.append(random.choice(SPECIAL))
            elif what < 0.22:
                out.append(random.choice(WORDS) + random.choice(["", " ", " ", "  "]))
            else:
                pool = by[random.choices(names, weights)[0]]
                out += [chr(random.choice(pool)) for _ in range(random.choice([1, 1, 1, 2, 3, 8]))]
        if random.random() < 0.02:
            out.append("x" * random.choice([98, 99, 100, 101, 102, 200]))
        yield "".join(out)


def real_texts(cache):
    """Lines of the data sets that have been fetched: (text, ...) by name."""
    for path in sorted(Path(cache).glob("data/vader_sentiment/*.txt")) + sorted(Path(cache).glob("data/minilm_l6_v2/README.md")):
        for line in path.read_bytes().split(b"\n"):
            yield line.split(b"\t")[-1]
