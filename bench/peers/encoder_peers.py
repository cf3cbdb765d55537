"""What the encoder's cases share: the model's folder, batches of real tokens, transformers' models, and the choice of the fastest peer.

Peers come in more forms than can be timed in every round: each is called a few times first, the fastest of a class of
precision then meets ours round by round, and the record says how long the others took.
"""
from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

from case import NotRun, peer

CACHE = Path(os.environ.get("HOCKET_CACHE") or Path.home() / ".cache" / "hocket")
MODEL, SENTENCES = CACHE / "data" / "minilm_l6_v2", CACHE / "data" / "vader_sentiment"


def require_data():
    for folder in (MODEL, SENTENCES):
        if not folder.is_dir():
            raise NotRun(f"{folder.name} is missing: python3 experiments/data/fetch.py {folder.name}")


def transformers():
    """transformers without torchaudio, whose CUDA build fails to load beside a CPU one."""
    sys.modules.setdefault("torchaudio", None)
    return peer("transformers")


def real_tokens(np, items: int, length: int):
    """(items, length) ids: the rated sentences one after the other, cut, each row between [CLS] and [SEP]."""
    tokenizer = peer("tokenizers").Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    stream = []
    for line in (SENTENCES / "movies.txt").read_text(encoding="utf-8", errors="replace").split("\n"):
        if len(stream) >= items * length:
            break
        stream += tokenizer.encode(line.split("\t")[-1], add_special_tokens=False).ids
    rows = np.array(stream[:items * (length - 2)]).reshape(items, length - 2)
    first, last = np.full((items, 1), tokenizer.token_to_id("[CLS]")), np.full((items, 1), tokenizer.token_to_id("[SEP]"))
    return np.concatenate([first, rows, last], 1)


def fastest(arms, log, keep: int = 2, calls: int = 7):
    """The `keep` fastest arms of a pilot, and {name: text} of every one's median for the record."""
    medians = {}
    for arm in arms:
        time.sleep(0.1)  # threads of the one before go to sleep
        arm.run()
        times = []
        for _ in range(calls):
            begin = time.perf_counter()
            arm.run()
            times.append(time.perf_counter() - begin)
        medians[arm.name] = statistics.median(times)
    log("pilot: " + ", ".join(f"{name} {1e3 * t:.1f} ms" for name, t in medians.items()))
    chosen = sorted(arms, key=lambda arm: medians[arm.name])[:keep]
    return chosen, {f"pilot of {name}": f"{1e3 * t:.2f} ms" for name, t in medians.items()}
