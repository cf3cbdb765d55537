"""What a case is: how it is set up, which ratios it reports, and what keeps it from running."""
from __future__ import annotations

import hashlib
import importlib
from dataclasses import dataclass, field
from typing import Callable, Optional


class NotRun(Exception):
    """A peer, a library or data are missing: the row says so and stays in every listing."""


class CheckFailed(Exception):
    """The sides do not compute the same thing; no time is taken."""


@dataclass
class Ratio:
    """time(numerator) / time(denominator). Several names on one side stand for the fastest of them."""
    name: str
    numerator: list
    denominator: list
    better: str                     # "lower" or "higher"
    target: Optional[float] = None  # None: reported beside the others

    def met(self, value: float) -> Optional[bool]:
        if self.target is None:
            return None
        return value <= self.target if self.better == "lower" else value >= self.target


@dataclass
class Contest:
    """A case ready to be timed: every result in it has been compared."""
    arms: list
    ratios: list
    work: float
    work_unit: str
    config: dict = field(default_factory=dict)
    data: list = field(default_factory=list)
    libraries: dict = field(default_factory=dict)
    not_run: list = field(default_factory=list)  # (name, reason) of arms that are missing
    checks: list = field(default_factory=list)   # what check_2x and check_bound returned


@dataclass
class Case:
    name: str
    title: str
    build: Callable                 # (Setting) -> Contest; raises NotRun or CheckFailed
    threads: int = 1
    rounds: int = 20
    budget_s: float = 100.0
    needs: tuple = ()               # peers, for --list
    native: bool = False            # also needs the library built with -march=native


@dataclass
class Setting:
    """What compare.py hands to a case."""
    library: Callable               # (native=False) -> ours.Library
    threads: int
    cache: object                   # pathlib.Path of a folder for costly facts, such as an optimum in double
    log: Callable


def dataset(name: str, version: str, array, synthetic: bool, embedded: bool = False, licence: str = "") -> dict:
    row = {"name": name, "version": version, "sha256": hashlib.sha256(array.tobytes()).hexdigest(), "embedded": embedded,
           "synthetic": synthetic}
    if licence:
        row["licence"] = licence
    return row


def peer(module: str):
    """The module, or NotRun that names it."""
    try:
        if module.startswith("torchaudio"):
            return _torchaudio(module)
        return importlib.import_module(module)
    except Exception as problem:  # an unusable installation is as absent as none
        raise NotRun(f"peer {module} cannot be imported ({problem}): ./hocket compare --setup installs it") from problem


def _torchaudio(module: str):
    """torchaudio refuses a torch built for another CUDA release; what is compared here is its Python, on the processor."""
    torch = importlib.import_module("torch")
    built_for, torch.version.cuda = torch.version.cuda, None
    try:
        return importlib.import_module(module)
    finally:
        torch.version.cuda = built_for


def _check(what: str, peer_name: str, version: str, error: float, bound: float, detail: str = "") -> dict:
    if not error <= bound:  # also when one is NaN
        raise CheckFailed(f"{what}: our error is {error:.3g}, allowed {bound:.3g}{detail}")
    return {"what": what, "peer": peer_name, "peer_version": version, "error": float(error), "bound": float(bound)}


def check_2x(what: str, peer_name: str, version: str, ours, theirs, reference, epsilon: float = 2.0**-23,
             factor: float = 2) -> dict:
    """The 2x rule of the project: our largest error against the f64 reference is at most twice the peer's (`factor` 3 for
    gradients), or the rounding of the largest value. Returns the row for the record."""
    import numpy as np
    if ours.shape != reference.shape or theirs.shape != reference.shape:
        raise CheckFailed(f"{what}: shapes are {ours.shape} (ours), {theirs.shape} (peer), {reference.shape} (reference)")
    error, peer_error = np.max(np.abs(ours - reference)), np.max(np.abs(theirs - reference))
    bound = max(factor * peer_error, epsilon * np.max(np.abs(reference)))
    return _check(what, peer_name, version, error, bound, f" (the peer's own error is {peer_error:.3g})")


def check_bound(what: str, peer_name: str, version: str, error: float, bound: float) -> dict:
    return _check(what, peer_name, version, error, bound)
