"""The ways in which PyTorch itself computes one thing in f32, and the largest error that it makes over them.

The 2x rule (hocket/core/tolerance.hpp) asks for the peer's error. Of a loss, which is one number, one evaluation says little:
chance may have rounded it almost exactly. So the peer runs in ways that are equal but for rounding: instruction sets (a new
process each: the libraries look at the environment once), threads, attention eager or fused, the batch in either order, more
columns of padding. What is stored of a tensor is its largest |f32 - f64| over all of them, one f64 by the name f32.error.NAME.
"""
import contextlib
import itertools
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
import torch

SETS = ({"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "ONEDNN_MAX_CPU_ISA": "SSE41"},
        {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
        {"ATEN_CPU_CAPABILITY": "avx512", "MKL_ENABLE_INSTRUCTIONS": "AVX512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"})
THREADS = (1, 2)


class Way(NamedTuple):
    attention: str = "eager"
    turned: bool = False  # the batch in the other order
    padding: int = 0  # columns more

    def rearranged(self, batch, most=np.inf):
        """The same batch (ids, types, mask: texts x columns, at most `most`; labels) in this way."""
        more = int(min(self.padding, most - batch["ids"].shape[1]))
        out = {name: self.in_order(value) for name, value in batch.items()}
        return {name: v if name == "labels" else np.pad(v, ((0, 0), (0, more))) for name, v in out.items()}

    def in_order(self, rows):
        """Rows of the batch turned, or turned back."""
        return np.ascontiguousarray(rows[::-1]) if self.turned else rows


WAYS = [Way(*way) for way in itertools.product(("eager", "sdpa"), (False, True), (0, 3))]


@contextlib.contextmanager
def environment(variables):
    before = {name: os.environ[name] for name in variables if name in os.environ}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]
        os.environ.update(before)


def errors_here(threads, reference, evaluate, given):
    """{NAME: largest error} over WAYS in this process, with the instruction set that it has."""
    found = dict.fromkeys(reference, 0.0)
    torch.set_num_threads(threads)
    for way in WAYS:
        made = evaluate(way, torch.float32, *given)
        assert made.keys() == reference.keys()
        for name, value in made.items():
            error = np.abs(value.astype(np.float64) - reference[name]).max()
            found[name] = float(np.maximum(found[name], error))  # a NaN stays
    return found


def largest_errors(reference, evaluate, *given):
    """{"f32.error.NAME": [error]} of evaluate(way, torch.float32, *given) -> {NAME: array}; `evaluate` is a function that a new
    process finds in the script. Here it runs once for each of WAYS: a script may count on that for its random numbers."""
    found = [errors_here(1, reference, evaluate, given)]
    for variables, threads in itertools.product(SETS, THREADS):
        with environment(variables), ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
            found.append(other.submit(errors_here, threads, reference, evaluate, given).result())
    return {f"f32.error.{name}": np.float64([max(one[name] for one in found)]) for name in reference}
