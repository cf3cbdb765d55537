#!/usr/bin/env python3
"""hocket's tokenizer beside the `tokenizers` library itself: the same ids, type ids, masks and normal forms for random and real strings,
for the published model (if it was fetched) and for variants of its configuration. Compiles main.cpp with $CXX.

  tests/tokenizers_peer/parity.py [--texts N] [--seed S] [--program PATH]     exit 1 on any difference, 77 without the library
"""
import argparse
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).resolve().parent))
from environment import CACHE, require  # noqa: E402
from texts import pools, random_texts, real_texts  # noqa: E402

require("tokenizers")
import tokenizers  # noqa: E402

SMALL = ROOT / "tests" / "oracles" / "text" / "small" / "tokenizer.json"
MODEL = CACHE / "data" / "minilm_l6_v2" / "tokenizer.json"


def build(directory):
    program = Path(directory) / "encode"
    command = [os.environ.get("CXX", "g++"), "-std=c++20", "-O2", "-I", str(ROOT / "include"), str(Path(__file__).with_name("main.cpp")), "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def framed(text, pair=False):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<I", len(data) | (1 << 31 if pair else 0)) + data


def run_ours(program, folder, items, mode):
    """[(ids, type ids, mask, normal form of the first)] of texts, or of pairs where an item is a tuple."""
    sent = b"".join(framed(item[0], True) + framed(item[1]) if isinstance(item, tuple) else framed(item) for item in items)
    done = subprocess.run([str(program), str(folder), mode], input=sent, stdout=subprocess.PIPE)
    if done.returncode:
        raise SystemExit(f"the program ended with {done.returncode}")
    at, out = 0, []
    for _ in items:
        (n,) = struct.unpack_from("<I", done.stdout, at)
        values = struct.unpack_from(f"<{3 * n}i", done.stdout, at + 4)
        at += 4 + 12 * n
        (size,) = struct.unpack_from("<I", done.stdout, at)
        normal = done.stdout[at + 4:at + 4 + size].decode()
        at += 4 + size
        out.append((list(values[:n]), list(values[n:2 * n]), list(values[2 * n:]), normal))
    return out


def run_library(tokenizer, items):
    def decoded(text):
        return text.decode("utf-8", "replace") if isinstance(text, bytes) else text

    out = []
    for item in items:
        texts = [decoded(text) for text in (item if isinstance(item, tuple) else (item,))]
        encoded = tokenizer.encode(*texts)
        out.append((encoded.ids, encoded.type_ids, encoded.attention_mask, tokenizer.normalizer.normalize_str(texts[0])))
    return out


ADDED = [  # further tokens of the variant "added"; ids follow the vocabulary
    dict(content="<left>", lstrip=True), dict(content="<right>", rstrip=True), dict(content="<both>", lstrip=True, rstrip=True),
    dict(content="solo", single_word=True), dict(content="Ünder", normalized=True), dict(content="new york", normalized=True, special=False),
    dict(content="<lone>", single_word=True, lstrip=True), dict(content="ab"), dict(content="abc"), dict(content="bcd", normalized=True),
    dict(content="<s>", rstrip=True, lstrip=True, single_word=True, normalized=True),
]


def variants(path):
    """(name, tokenizer.json as a dictionary, whether its truncation and padding apply)."""
    base = json.loads(path.read_text(encoding="utf-8"))
    base["truncation"] = base["padding"] = None

    def changed(name, as_file=False, normalizer=None, **other):
        out = {**base, **other}
        out["normalizer"] = {**base["normalizer"], **(normalizer or {})}
        return name, out, as_file

    yield changed("as published")
    yield changed("cased", normalizer=dict(lowercase=False))
    yield changed("cased without accents", normalizer=dict(lowercase=False, strip_accents=True))
    yield changed("small letters with accents", normalizer=dict(strip_accents=False))
    yield changed("not cleaned", normalizer=dict(clean_text=False))
    yield changed("ideographs in words", normalizer=dict(handle_chinese_chars=False))
    vocab, added = dict(base["model"]["vocab"]), []
    plain = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    for token in ADDED:  # an entry of the vocabulary keeps its id
        added.append({**plain, **token, "id": vocab.setdefault(token["content"], len(vocab))})
    yield changed("added", added_tokens=base["added_tokens"] + added)
    longest = dict(direction="Right", max_length=9, strategy="LongestFirst", stride=0)
    padding = dict(strategy="BatchLongest", direction="Right", pad_to_multiple_of=8, pad_id=0, pad_type_id=0, pad_token="[PAD]")
    yield changed("truncated and padded", True, truncation=longest, padding=padding)
    yield changed("on the left, fixed", True, truncation={**longest, "direction": "Left", "max_length": 12},
                  padding={**padding, "strategy": {"Fixed": 16}, "direction": "Left", "pad_to_multiple_of": None, "pad_type_id": 1})
    yield changed("short words", model={**base["model"], "max_input_chars_per_word": 3})
    yield changed("without template", post_processor=None)
    yield changed("BertProcessing", post_processor={"type": "BertProcessing", "sep": ["[SEP]", base["model"]["vocab"]["[SEP]"]],
                                                    "cls": ["[CLS]", base["model"]["vocab"]["[CLS]"]]})


def mixed(random, texts):
    """Some texts as pairs, some with the added tokens in them, some with broken bytes."""
    marks = [token["content"] for token in ADDED] + ["ünder", "New York", "NEW  YORK", "UNDER", " "]
    for text in texts:
        kind = random.random()
        if kind < 0.2:
            at = random.randrange(len(text) + 1)
            yield text[:at] + random.choice(marks) + random.choice(["", " ", "\u3000", "x"]) + random.choice(marks) + text[at:]
        elif kind < 0.3:
            data = bytearray(text.encode())
            for _ in range(random.randrange(1, 4)):
                at = random.randrange(len(data) + 1)
                data[at:at + random.randrange(2)] = bytes(random.randrange(128, 256) for _ in range(random.randrange(3)))
            yield bytes(data)
        elif kind < 0.4:
            cut = random.randrange(len(text) + 1)
            yield text[:cut], text[cut:]
        else:
            yield text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--texts", type=int, default=100000, help="random strings for the first configuration; a tenth for each other")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--program", type=Path, help="main.cpp, compiled")
    options = parser.parse_args()
    chance, by = random.Random(options.seed), pools()
    compared = differing = 0
    with tempfile.TemporaryDirectory() as scratch:
        program = options.program or build(scratch)
        for path in (SMALL, MODEL):
            if not path.is_file():
                print(f"skipped: {path.name} of {path.parent.name} is not there")
                continue
            for number, (name, description, as_file) in enumerate(variants(path)):
                folder = Path(scratch) / f"{path.parent.name}_{number}"
                folder.mkdir()
                (folder / "tokenizer.json").write_text(json.dumps(description, ensure_ascii=False), encoding="utf-8")
                library = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
                count = options.texts if number == 0 else options.texts // 10
                items = list(mixed(chance, random_texts(chance, count, by)))
                if number == 0:
                    items += real_texts(CACHE)
                ours = run_ours(program, folder, items, "file" if as_file else "plain")
                theirs = run_library(library, items)
                wrong = [i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b]
                compared += len(items)
                differing += len(wrong)
                print(f"{path.parent.name}, {name}: {len(items)} texts, {len(wrong)} differ", flush=True)
                for i in wrong[:3]:
                    print(f"  {items[i]!a}\n    ours    {ours[i]}\n    library {theirs[i]}")
    print(f"{compared} texts compared with tokenizers {tokenizers.__version__}: {differing} differ")
    return 1 if differing or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
