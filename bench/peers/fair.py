"""How two or more arms are timed so that their ratio means something: docs/measuring.md says why.

Standard library only. An arm is anything callable; a round visits every arm twice, in a random order and then in its
mirror image (A B B A for two), between two canaries. A ratio is taken inside a round and never across rounds.
"""
from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, field
from typing import Callable, Optional

PLAIN_COUNTS = (12, 17, 20, 25)  # counts at which plain order statistics cover little more than 95 %
CANARY_LIMIT = 1.2               # a round is dropped when a canary beside it ran longer than this multiple of its best
MINIMUM_ROUNDS = 12


@dataclass
class Arm:
    """One contender. `prepare` makes, untimed, what one call of `run(prepared)` uses up; without it `run()` is called."""
    name: str
    run: Callable
    version: str = ""
    backend: str = "cpu"
    dtype: str = "f32"
    threads: int = 1
    prepare: Optional[Callable] = None
    less: str = ""  # name of an arm whose time is taken off in every round: what a binding adds to a call


@dataclass
class Rounds:
    """What the accepted rounds gave: seconds per call of each arm, one value per round."""
    seconds: dict = field(default_factory=dict)
    calls: dict = field(default_factory=dict)
    dropped: int = 0
    canaries: list = field(default_factory=list)

    def count(self) -> int:
        return len(next(iter(self.seconds.values()), []))


def median(values) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _coverage(n: int, k: int) -> float:
    """P(k-th smallest <= median <= k-th largest) of n independent values."""
    return 1 - 2 * sum(math.comb(n, i) for i in range(k)) / 2**n


def median_interval(values, level: float = 0.95):
    """Order-statistic interval of the median; for counts outside PLAIN_COUNTS it is interpolated between the two
    neighbouring intervals (Hettmansperger and Sheather 1986, eq. 2.2), so that it covers `level` and not more."""
    x = sorted(values)
    n = len(x)
    if n < 6:
        raise ValueError(f"{n} values give no {level:.0%} interval of the median; at least 6 are needed")
    k = max(k for k in range(1, n // 2 + 1) if _coverage(n, k) >= level)
    low, high = x[k - 1], x[n - k]
    if n in PLAIN_COUNTS or k == n // 2:
        return low, high
    outer, inner = _coverage(n, k), _coverage(n, k + 1)
    part = (outer - level) / (outer - inner)
    weight = (n - k) * part / (k + (n - 2 * k) * part)
    return (1 - weight) * low + weight * x[k], (1 - weight) * high + weight * x[n - k - 1]


def log_ratios(rounds: Rounds, numerator: str, denominator: str):
    return [math.log(a / b) for a, b in zip(rounds.seconds[numerator], rounds.seconds[denominator])]


def ratio_of(logs):
    """(ratio, (low, high)): exponentials of the median log ratio and of its 95 % interval."""
    low, high = median_interval(logs)
    return math.exp(median(logs)), (math.exp(low), math.exp(high))


def _visit(arm: Arm, calls: int, settle_s: float, warm: bool, clock) -> float:
    """Seconds per call. `settle_s` lets the previous arm's threads go to sleep; one untimed call wakes our own."""
    if settle_s:
        time.sleep(settle_s)
    if arm.prepare:
        if warm:
            arm.run(arm.prepare())
        total = 0
        for _ in range(calls):
            prepared = arm.prepare()
            begin = clock()
            arm.run(prepared)
            total += clock() - begin
        return total / calls * 1e-9
    if warm:
        arm.run()
    begin = clock()
    for _ in range(calls):
        arm.run()
    return (clock() - begin) / calls * 1e-9


def measure(arms, rounds: int = 20, seed: int = 1, canary: Callable[[], float] = lambda: 1.0, sample_s: float = 5e-3,
            budget_s: float = 100.0, settle_s: float = 0.0, clock=time.perf_counter_ns) -> Rounds:
    """Times `arms` until `rounds` rounds are accepted, or until the budget or three times as many rounds are used up.
    The caller refuses a result with fewer than MINIMUM_ROUNDS."""
    generator = random.Random(seed)
    started = time.monotonic()
    result = Rounds()
    long_call = {}
    for arm in arms:  # warm-up, and the number of calls that fill a sample
        first = _visit(arm, 1, 0, True, clock)
        second = _visit(arm, 1, 0, False, clock)
        result.calls[arm.name] = max(1, math.ceil(sample_s / max(min(first, second), 1e-9)))
        long_call[arm.name] = min(first, second) > 0.2
    taken = []
    while True:
        best = min((min(before, after) for _, before, after in taken), default=0.0)
        accepted = [t for t in taken if max(t[1], t[2]) <= CANARY_LIMIT * best]
        if len(accepted) >= rounds or len(taken) >= 3 * rounds or (taken and time.monotonic() - started > budget_s):
            break
        order = list(range(len(arms)))
        generator.shuffle(order)
        before = canary()
        seconds = [[] for _ in arms]
        for i in order + order[::-1]:
            arm = arms[i]
            seconds[i].append(_visit(arm, result.calls[arm.name], settle_s, not long_call[arm.name], clock))
        taken.append((seconds, before, canary()))
    result.dropped = len(taken) - len(accepted)
    result.canaries = [max(before, after) for _, before, after in taken]
    for i, arm in enumerate(arms):
        result.seconds[arm.name] = [math.sqrt(t[0][i][0] * t[0][i][1]) for t in accepted[:rounds]]
    for arm in arms:
        if arm.less:
            result.seconds[arm.name] = [a - b for a, b in zip(result.seconds[arm.name], result.seconds[arm.less])]
    return result
