#!/usr/bin/env python3
"""MiniLM beside transformers itself: the embeddings of hundreds of real sentences from text on, and every gradient (pooler and
head included) of one ragged batch, in f64 (the reference) and f32 (the peer). They are too large to store; test_nn
"[.peer]" compares. One evaluation of 105 tensors is lucky in some of them, so the peer's error is its largest over several
that differ in nothing but the order of rounding: the same model with its features in other orders, attention eager or fused.

  tests/encoder_peer/parity.py TEST_NN [--sentences N] [--seed S]     exit 1 on a difference, 77 without the libraries, model or sentences
"""
import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "tokenizers_peer"), str(ROOT / "tests" / "oracles" / "encoder")]
from environment import CACHE, require  # noqa: E402

require("transformers")
import numpy as np  # noqa: E402
import torch  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

import make  # noqa: E402

MODEL, SENTENCES = CACHE / "data" / "minilm_l6_v2", CACHE / "data" / "vader_sentiment"
DOMAINS = ("tweets", "movies", "amazon", "nyt")
LENGTHS = [9, 2, 33, 17, 1, 64]


def real_sentences(count):
    """Equally many of each domain, spread over it: tweets, film and product reviews, editorials."""
    out = []
    for domain in DOMAINS:
        lines = [line.split("\t") for line in (SENTENCES / f"{domain}.txt").read_text(encoding="utf-8", errors="replace").split("\n")]
        texts = [parts[2].strip() for parts in lines if len(parts) == 3 and "\r" not in parts[2].strip()]
        out += texts[::len(texts) * len(DOMAINS) // count]
    return out


def permuted(name, weight, order):
    """The weight by that name in a model whose hidden features stand in `order`."""
    if name == "head.weight":  # of [mean, pooler]
        half = weight.shape[1] // 2
        return np.concatenate([weight[:, :half][:, order], weight[:, half:]], 1)
    if name == "head.bias" or ".bias" in name and any(part in name for part in (".self.", ".intermediate.", "pooler.")):
        return weight
    from_features = any(part in name for part in ("_embeddings.", ".self.", ".intermediate.", "pooler."))
    return weight[:, order] if from_features else weight[order]


def gradients(state, batch, dtype, order, implementation):
    """{name: gradient} of the mean loss; `order` of the features does not change it but for its rounding."""
    model = make.Classifier(make.real_model(MODEL, implementation), seed=5)
    model.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(permuted(name, value.numpy(), order)))
                           if value.is_floating_point() else value for name, value in state.items()})
    model.to(dtype).eval()
    make.loss_of(model(*make.tensors(batch))[2], batch).backward()
    back = np.argsort(order)
    return {name.removeprefix("bert."): permuted(name, p.grad.numpy(), back) for name, p in model.named_parameters()}


def main(options):
    for folder in (MODEL, SENTENCES):
        if not folder.is_dir():
            print(f"skipped: {folder} is missing; fetch {folder.name} first")
            return 77
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    texts = real_sentences(options.sentences)
    random, out = np.random.default_rng(options.seed), {}
    bert = make.real_model(MODEL)
    state = make.Classifier(bert, seed=5).state_dict()
    batch = make.batch_of(random, bert.config, LENGTHS)
    make.describe("", batch, out)
    for kind, dtype in (("f64", torch.float64), ("f32", torch.float32)):
        out[f"sentences.{kind}"] = make.embeddings(make.real_model(MODEL).to(dtype).eval(), Tokenizer.from_file(str(MODEL / "tokenizer.json")), texts, 256)
    orders = [np.arange(bert.config.hidden_size)] + [random.permutation(bert.config.hidden_size) for _ in range(5)]
    reference = gradients(state, batch, torch.float64, orders[0], "eager")
    errors = dict.fromkeys(reference, 0.0)
    for index, order in enumerate(orders):
        peer = gradients(state, batch, torch.float32, order, ("eager", "sdpa")[index % 2])
        errors = {name: max(error, float(np.abs(peer[name] - reference[name]).max())) for name, error in errors.items()}
    out |= {f"f64.gradient.{name}": gradient for name, gradient in reference.items()}
    out |= {f"f32.error.{name}": np.array([error]) for name, error in errors.items()}
    out["head.weight"], out["head.bias"] = (state[name].numpy() for name in ("head.weight", "head.bias"))
    with tempfile.TemporaryDirectory() as folder:
        save_file(out, Path(folder) / "expected.safetensors", metadata=make.versions())
        (Path(folder) / "sentences.txt").write_text("".join(text + "\n" for text in texts), encoding="utf-8")
        done = subprocess.run([options.program, "[.peer]"], env={**os.environ, "HOCKET_ENCODER_PEER": folder})
    return done.returncode


if __name__ == "__main__":
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    top.add_argument("program")
    top.add_argument("--sentences", type=int, default=400)
    top.add_argument("--seed", type=int, default=31, help="of the batch")
    sys.exit(1 if (code := main(top.parse_args())) not in (0, 77) else code)
