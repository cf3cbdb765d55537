#!/usr/bin/env python3
"""`encoder_inference embed` on all-MiniLM-L6-v2 beside tokenizers and transformers: 500 real sentences and awkward lines under
random settings, f32 by the 2x rule against the model in f64; bf16 and int8 by their cosine (>= 0.999, >= 0.99) on the sentences.

  tests/embed_peer/parity.py ENCODER_INFERENCE [--seed S]     exit 1 on a difference, 77 without the libraries, model or sentences
"""
import argparse
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "tokenizers_peer"), str(ROOT / "tests" / "oracles" / "encoder")]
from environment import CACHE, require  # noqa: E402

require("transformers")
import make  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

MODEL, SENTENCES = CACHE / "data" / "minilm_l6_v2", CACHE / "data" / "vader_sentiment"
COSINE = {"bf16": 0.999, "int8": 0.99}
AWKWARD = [b"", b"", b" \t", b"word " * 5000, b"x" * 3000, b"caf\xe9 \xff", "naïve 😀 我爱北京".encode(), b"lone\rreturn", b"zero\x00byte", b"end\r",
           "\ufeffmark".encode(), b"the " * 253, b"the " * 254, b"the " * 255, b"[MASK] [SEP]"]


def sentences(count):
    out = []
    for domain in ("tweets", "movies", "amazon", "nyt"):
        lines = [line.split(b"\t")[-1] for line in (SENTENCES / f"{domain}.txt").read_bytes().split(b"\n") if line.strip()]
        out += lines[::max(1, len(lines) * 4 // count)][:count // 4]
    return out


def embeddings(dtype, texts, max_length, pooling, normalize):
    model, tokenizer = make.real_model(MODEL).to(dtype).eval(), Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tokenizer.enable_truncation(max_length)
    tokenizer.enable_padding()
    order, rows = sorted(range(len(texts)), key=lambda i: -len(texts[i])), [None] * len(texts)
    for at in range(0, len(order), 32):
        part = order[at:at + 32]
        encoded = tokenizer.encode_batch([texts[i] for i in part])
        ids, mask = (torch.tensor([getattr(e, what) for e in encoded]) for what in ("ids", "attention_mask"))
        with torch.no_grad():
            states = model(ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(dtype)
        out = (states * weights).sum(1) / weights.sum(1) if pooling == "mean" else states[:, 0]
        for i, row in zip(part, torch.nn.functional.normalize(out) if normalize else out):
            rows[i] = row.numpy()
    return np.stack(rows)


def main(options):
    for folder in (MODEL, SENTENCES):
        if not folder.is_dir():
            print(f"skipped: {folder} is missing; fetch {folder.name} first")
            return 77
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    chance, bad = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        texts_file, out_file = Path(folder) / "texts.txt", Path(folder) / "out.npy"

        def ours(lines, max_length, pooling, normalize, precision="f32", threads=2):
            texts_file.write_bytes(b"".join(line + chance.choice([b"\n", b"\r\n"]) for line in lines))
            subprocess.run([options.program, "embed", "--model", str(MODEL), "--text", str(texts_file), "--out", str(out_file), "--precision",
                            precision, "--max-length", str(max_length), "--pooling", pooling, "--normalize", str(normalize).lower(),
                            "--threads", str(threads)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return np.load(out_file)

        real = sentences(500)
        for number in range(6):
            setting = (256, "mean", True) if number == 0 else (chance.choice([3, 17, 64, 300, 512]), chance.choice(["mean", "cls"]),
                                                               chance.random() < 0.5)
            lines = real if number == 0 else AWKWARD + chance.sample(real, 60)
            chance.shuffle(lines)
            texts = [line.decode("utf-8", errors="replace") for line in lines]
            reference, peer = (embeddings(dtype, texts, *setting) for dtype in (torch.float64, torch.float32))
            got = ours(lines, *setting, threads=chance.choice([1, 2, 3]))
            error, allowed = (float(np.abs(x - reference).max()) for x in (got, peer))
            bound = max(2 * allowed, 2.0**-23 * float(np.abs(reference).max()))
            ok = got.shape == reference.shape and error <= bound
            print(f"{'ok  ' if ok else 'BAD '} f32 {setting}: {len(lines)} texts, error {error:.3g}, transformers' own {allowed:.3g}", flush=True)
            bad += not ok
            for precision, least in COSINE.items() if number == 0 else ():
                low = ours(lines, *setting, precision=precision)
                cosine = (low * reference).sum(1) / np.linalg.norm(low, axis=1) / np.linalg.norm(reference, axis=1)
                ok = cosine.min() >= least
                print(f"{'ok  ' if ok else 'BAD '} {precision}: smallest cosine {cosine.min():.6f}, mean {cosine.mean():.6f}, at least {least}", flush=True)
                bad += not ok
    return 1 if bad else 0


if __name__ == "__main__":
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    top.add_argument("program")
    top.add_argument("--seed", type=int, default=5)
    sys.exit(main(top.parse_args()))
