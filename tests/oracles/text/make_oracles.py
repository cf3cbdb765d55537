"""Writes what tests/text compares with, by the `tokenizers` and `transformers` libraries: python tests/oracles/text/make_oracles.py
MODEL_FOLDER, in the environment of bench/peers; MODEL_FOLDER is the published all-MiniLM-L6-v2 (docs/data.md).

small/tokenizer.json  the published one with a part of its vocabulary (Apache-2.0): every single character, 2,200 words
texts.jsonl           random strings: normal form, pieces after pre-tokenization, ids
options.jsonl         pairs, truncation, padding
code_points.tsv       for blocks of 4096 code points a digest (FNV-1a, 64 bits) of what becomes of "a" + c + "b"
published.jsonl       ids by the whole vocabulary; tested where the model was fetched
"""
import json
import random
import sys
from pathlib import Path

import tokenizers
from tokenizers import Tokenizer, normalizers, pre_tokenizers

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parents[1] / "tokenizers_peer"))
from texts import WORDS, pools, random_texts  # noqa: E402

CUT = pre_tokenizers.BertPreTokenizer()


def small(published):
    described = json.loads(published.read_text(encoding="utf-8"))
    words = list(described["model"]["vocab"])
    special = [token["content"] for token in described["added_tokens"]]
    chosen = special + [w for w in words if len(w.removeprefix("##")) == 1] + [w for w in words[1996:5996] if len(w) > 1][:2200]
    chosen += [w for w in words if w.startswith("##") and len(w) == 4][:300] + ["unaffable", "##ing", "cafe", "##naive"]
    vocab = {word: i for i, word in enumerate(dict.fromkeys(chosen))}
    described["model"]["vocab"] = vocab
    for token in described["added_tokens"]:
        token["id"] = vocab[token["content"]]
    for name, token in described["post_processor"]["special_tokens"].items():
        token["ids"] = [vocab[name]]
    described["truncation"] = described["padding"] = None
    (FOLDER / "small").mkdir(exist_ok=True)
    path = FOLDER / "small" / "tokenizer.json"
    path.write_text(json.dumps(described, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    return path


def write_lines(name, rows):
    with open(FOLDER / name, "w", encoding="utf-8", newline="\n") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def pieces(text):
    return [piece for piece, _ in CUT.pre_tokenize_str(text)]


def digest(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def code_points():
    """Under BERT's own options, and with small letters only (so that nothing is removed before it is cut)."""
    both = [normalizers.BertNormalizer(), normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=True)]
    yield "block\tbert\tlowercase"
    for block in range(0x110):
        row = []
        for normalizer in both:
            data = bytearray()
            for c in range(block * 4096, block * 4096 + 4096):
                if not 0xD800 <= c < 0xE000:
                    normal = normalizer.normalize_str("a" + chr(c) + "b")
                    data += "\x1f".join([normal, *pieces(normal)]).encode() + b"\x1e"
            row.append(f"{digest(data):016x}")
        yield "\t".join([str(block), *row])


def options(tokenizer, chance, texts):
    for i, text in enumerate(texts):
        other = texts[(7 * i + 3) % len(texts)]
        tokenizer.no_truncation()
        tokenizer.no_padding()
        row = {"first": text}
        if chance.random() < 0.5:
            row["second"] = other
        if chance.random() < 0.8:
            strategy = chance.choice(["longest_first"] * 3 + ["only_first"] + (["only_second"] if "second" in row else []))
            row["truncation"] = dict(max_length=chance.randrange(3, 24), strategy=strategy, direction=chance.choice(["left", "right"]))
            tokenizer.enable_truncation(**row["truncation"])
        if chance.random() < 0.5:
            row["padding"] = dict(length=chance.choice([None, 16, 31]), pad_to_multiple_of=chance.choice([None, 8, 5]), pad_id=0,
                                  pad_type_id=chance.randrange(2), direction=chance.choice(["left", "right"]))
            tokenizer.enable_padding(**row["padding"])
        row["special"] = chance.random() < 0.8
        try:
            encoded = tokenizer.encode(*[row[k] for k in ("first", "second") if k in row], add_special_tokens=row["special"])
            row.update(ids=encoded.ids, type_ids=encoded.type_ids, mask=encoded.attention_mask)
        except Exception as problem:  # the library refuses: so must hocket
            row["refused"] = str(problem)
        yield row


def main():
    model = Path(sys.argv[1])
    print(f"tokenizers {tokenizers.__version__}")
    path = small(model / "tokenizer.json")
    tokenizer = Tokenizer.from_file(str(path))
    chance = random.Random(20)
    normalizer = normalizers.BertNormalizer()
    texts = WORDS + ["", " ", "\u0000", "[SEP]", " [MASK] "] + list(random_texts(chance, 3000, pools(), 9))
    write_lines("texts.jsonl", ({"text": t, "normal": normalizer.normalize_str(t), "pieces": pieces(normalizer.normalize_str(t)),
                                 "ids": tokenizer.encode(t).ids} for t in texts))
    plain = [" ".join(chance.choices(WORDS[:20] + ["[SEP]", "a"], k=chance.randrange(12))) for _ in range(400)]
    write_lines("options.jsonl", options(tokenizer, chance, plain))
    (FOLDER / "code_points.tsv").write_text("\n".join(code_points()) + "\n", encoding="ascii")
    whole = Tokenizer.from_file(str(model / "tokenizer.json"))
    whole.no_padding()
    whole.no_truncation()
    write_lines("published.jsonl", ({"text": t, "ids": whole.encode(t).ids} for t in texts[:60] + plain[:60]))


if __name__ == "__main__":
    main()
