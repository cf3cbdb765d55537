"""From records to what a report says about quality: arms, pooled metrics with two kinds of interval, pairs, ranks.

An arm is a method with its axes; a repetition is one (seed, fold) of it. Repetitions differ in what was trained and in
how the data were split; items and units differ in what was tested. The two are never mixed into one interval.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np

from reports import statistics
from reports.records import natural

MARGIN = 0.02  # two accuracies closer than this (a share) count as equivalent, unless the protocol declares its own
FROM_ITEMS = ("accuracy", "macro_f1")  # computed again from the answers, pooled over folds
MEMORY = "peak_memory"
UNITS_OF_SHARES = ("fraction", "share", "1", "")
UNITS_OF_DIFFERENCES = ("fraction", "share")  # may be a difference of two shares, and below zero


def parse_case(record):
    """(data set, arm, seed, fold) of a case name `dataset/method[/axis=value...][/seed=N][/fold=N]`."""
    parts = record["case"].split("/")
    kept, seed, fold = [], record.get("seed"), None
    for part in parts[1:]:
        if part.startswith("seed="):
            seed = part[5:]
        elif part.startswith("fold="):
            fold = part[5:]
        else:
            kept.append(part)
    return parts[0], "/".join(kept) or parts[0], "" if seed is None else str(seed), "" if fold is None else str(fold)


def axes_of(arm):
    """(method, {axis: number}) of an arm's name; axes that are no number stay part of the method."""
    numbers, kept = {}, []
    for part in arm.split("/"):
        name, _, value = part.partition("=")
        try:
            numbers[name] = float(value)
            if not math.isfinite(numbers[name]):
                raise ValueError
        except ValueError:
            numbers.pop(name, None)
            kept.append(part)
    return "/".join(kept), numbers


@dataclass
class Metric:
    """One metric of one arm. value is None when no repetition defined it."""

    name: str
    unit: str
    better: str
    value: object
    test: object = None  # 95 % interval over test units
    seed: object = None  # 95 % interval over repetitions
    runs: list = field(default_factory=list)
    test_method: str = ""

    @property
    def is_share(self):
        lowest = -1.0 if self.unit in UNITS_OF_DIFFERENCES else 0.0
        return self.unit in UNITS_OF_SHARES and (self.value is None or lowest <= self.value <= 1.0)


@dataclass
class Arm:
    name: str
    repetitions: dict  # (seed, fold) -> record
    metrics: dict = field(default_factory=dict)
    rank: object = None  # (best, worst) place that the data leave open; None when arms could not be compared

    @property
    def best(self):
        return self.rank is not None and self.rank[0] == 1


@dataclass
class Board:
    """All arms of one data set of one experiment on one machine."""

    machine: str
    experiment: str
    dataset: str
    arms: dict
    metric: str = ""  # the ranked metric: the first of the records
    repetition: str = "seeds"  # what the seed interval runs over
    units: int = 0
    items: int = 0
    comparisons: dict = field(default_factory=dict)  # (a, b) -> Comparison, both directions
    unpaired: list = field(default_factory=list)
    contradictions: list = field(default_factory=list)
    family: str = ""

    @property
    def title(self):
        return "%s / %s" % (self.experiment, self.dataset)

    @property
    def records(self):
        return [record for arm in self.arms.values() for record in arm.repetitions.values()]

    def ordered(self):
        """Arms from best to worst value of the ranked metric; undefined ones last."""

        def key(arm):
            metric = arm.metrics.get(self.metric)
            if metric is None or metric.value is None:
                return (1, 0.0, natural(arm.name))
            return (0, -metric.value if metric.better == "higher" else metric.value, natural(arm.name))

        return sorted(self.arms.values(), key=key)

    @property
    def ranked(self):
        return bool(self.comparisons)


def macro_f1(confusion):
    """Mean F1 over classes in the truth or the answers, as eval/ and scikit-learn have it.

    confusion: (..., classes, classes), rows are the truth.
    """
    right = np.einsum("...ii->...i", confusion)
    truth, said = confusion.sum(axis=-1), confusion.sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = np.where(truth + said > 0, 2.0 * right / (truth + said), 0.0)
    return f1.sum(axis=-1) / np.maximum((truth + said > 0).sum(axis=-1), 1)


class Answers:
    """The answers of one arm by split unit: confusion counts per unit, per seed."""

    def __init__(self, repetitions):
        self.by_unit = {}  # unit key -> confusion counts over all repetitions
        self.by_seed = {}  # seed -> confusion counts
        self.signature = {}  # (seed, fold) -> what was asked: equal for arms that can be paired
        local = self._units_are_local(repetitions)
        self.classes = 1 + max(
            (max(r["items"]["truth"] + r["items"]["predicted"], default=0) for r in repetitions.values()), default=0
        )
        for where in sorted(repetitions):
            items = repetitions[where]["items"]
            ids = items["ids_sha256"]
            units = items.get("unit")
            keys = (
                [(ids, i) for i in range(len(items["truth"]))]
                if not units
                else [(ids, u) if local else ("", u) for u in units]
            )
            self.signature[where] = (ids, tuple(items["truth"]))
            seed_counts = self.by_seed.setdefault(where[0], np.zeros((self.classes,) * 2, dtype=np.int64))
            for key, truth, said in zip(keys, items["truth"], items["predicted"]):
                if key not in self.by_unit:
                    self.by_unit[key] = np.zeros((self.classes,) * 2, dtype=np.int64)
                self.by_unit[key][truth, said] += 1
                seed_counts[truth, said] += 1
        self.keys = sorted(self.by_unit)

    @staticmethod
    def _units_are_local(repetitions):
        """True if two folds of one seed number their units alike: then a unit is known by its fold as well."""
        seen = {}
        for (seed, _), record in repetitions.items():
            mine = set(record["items"].get("unit", ()))
            if seen.setdefault(seed, set()) & mine:
                return True
            seen[seed] |= mine
        return False

    def stacked(self):
        return np.stack([self.by_unit[key] for key in self.keys])

    def independent(self):
        """True if every unit is one answer of one run: then Wilson's interval applies."""
        return all(int(counts.sum()) == 1 for counts in self.by_unit.values())


def _recorded(record, name):
    for metric in record.get("metrics", ()):
        if metric["name"] == name and metric["split"] == "test":
            return metric
    return None


def _metric_names(records):
    names = []
    for record in records:
        for metric in record.get("metrics", ()):
            if metric["split"] == "test" and metric["name"] not in names:
                names.append(metric["name"])
    return names


def _from_items(name, like, answers, single):
    """Accuracy or macro-F1 of pooled answers with both intervals."""
    stacked = answers.stacked()
    total = stacked.sum(axis=0)

    def score(confusion):
        if name == "macro_f1":
            return macro_f1(confusion)
        return np.einsum("...ii->...", confusion) / np.maximum(confusion.sum(axis=(-1, -2)), 1)

    units, seeds = len(answers.keys), sorted(answers.by_seed)
    runs = [float(score(answers.by_seed[seed])) for seed in seeds] if not single else single
    if name == "accuracy" and answers.independent():
        test, how = statistics.wilson(int(np.trace(total)), int(total.sum())), "Wilson"
    else:
        resampler = statistics.Resampler(units)
        sums = resampler.sums(stacked.reshape(units, -1)).reshape(-1, *total.shape)
        test, how = resampler.interval(score(sums)), "bootstrap by unit"
    value = math.fsum(float(score(answers.by_seed[seed])) for seed in seeds) / len(seeds)
    return Metric(name, like["unit"], like["better"], value, test, statistics.student_interval(runs), runs, how)


def _averaged(name, like, repetitions):
    """Any other metric: the mean over repetitions of what the records say."""
    runs, only = [], None
    for where in sorted(repetitions):
        metric = _recorded(repetitions[where], name)
        if metric and metric["value"] is not None:
            runs.append(float(metric["value"]))
            only = metric
    if not runs:
        return Metric(name, like["unit"], like["better"], None)
    single = len(runs) == 1
    return Metric(
        name,
        like["unit"],
        like["better"],
        math.fsum(runs) / len(runs),
        tuple(only["ci_test"]) if single and only.get("ci_test") else None,
        statistics.student_interval(runs),
        runs,
        only.get("ci_method", "") if single else "",
    )


def _memory(repetitions):
    """Peak resident memory of the processes that ran an arm, as a metric; None unless every record has it."""
    peaks = [r.get("memory", {}).get("rss_peak_bytes") for _, r in sorted(repetitions.items())]
    if not all(peaks):
        return None
    runs = [peak / 2.0**20 for peak in peaks]
    return Metric(MEMORY, "MiB", "lower", math.fsum(runs) / len(runs), None, statistics.student_interval(runs), runs)


def _contradictions(record, name):
    """A recorded accuracy that its own answers do not give."""
    metric, items = _recorded(record, name), record["items"]
    if name != "accuracy" or metric is None or metric["value"] is None or not items["truth"]:
        return []
    own = sum(t == p for t, p in zip(items["truth"], items["predicted"])) / len(items["truth"])
    if abs(own - metric["value"]) <= 1e-9:
        return []
    return ["%s: accuracy is recorded as %.6g, its answers give %.6g" % (record["case"], metric["value"], own)]


def boards(record_set):
    """One Board per (machine, experiment, data set) with finished quality cases, in canonical order."""
    grouped = {}
    for record in record_set.kind("quality"):
        dataset, arm, seed, fold = parse_case(record)
        where = (record["machine"]["fingerprint"], record["experiment"], dataset)
        grouped.setdefault(where, {}).setdefault(arm, {})[(seed, fold)] = record
    made = [_board(where, arms) for where, arms in sorted(grouped.items())]
    for family in sorted({board.family for board in made}):  # one Holm correction over all that share a family
        _correct([board for board in made if board.family == family])
    for board in made:
        _rank(board)
    return made


def _board(where, grouped):
    board = Board(*where, arms={name: Arm(name, grouped[name]) for name in sorted(grouped, key=natural)})
    board.family = "%s @ %s" % (board.records[0]["protocol"]["family"], board.machine)
    names = _metric_names(board.records)
    board.metric = names[0] if names else ""
    seeds = {seed for arm in board.arms.values() for seed, _ in arm.repetitions}
    folds = {fold for arm in board.arms.values() for _, fold in arm.repetitions}
    board.repetition = "folds" if len(seeds) == 1 and len(folds) > 1 else "seeds"
    answers = {}
    for arm in board.arms.values():
        with_items = all(r.get("items") for r in arm.repetitions.values())
        if with_items:
            answers[arm.name] = Answers(arm.repetitions)
            board.contradictions += [line for r in arm.repetitions.values() for line in _contradictions(r, "accuracy")]
        for name in names:
            like = next((m for r in arm.repetitions.values() for m in [_recorded(r, name)] if m), None)
            if like is None:
                continue
            if with_items and name in FROM_ITEMS:
                single = (
                    [
                        float(m["value"])
                        for w in sorted(arm.repetitions)
                        for m in [_recorded(arm.repetitions[w], name)]
                        if m and m["value"] is not None
                    ]
                    if board.repetition == "folds"
                    else None
                )
                arm.metrics[name] = _from_items(name, like, answers[arm.name], single)
            else:
                arm.metrics[name] = _averaged(name, like, arm.repetitions)
        memory = _memory(arm.repetitions)
        if memory is not None:
            arm.metrics[MEMORY] = memory
    if answers:
        board.units = max(len(a.keys) for a in answers.values())
        board.items = max(
            sum(len(r["items"]["truth"]) for r in board.arms[name].repetitions.values()) // max(1, len(a.by_seed))
            for name, a in answers.items()
        )
        if board.metric in FROM_ITEMS:
            _compare(board, answers)
    return board


def _compare(board, answers):
    """All pairs of arms that answered the same questions; the rest is listed as unpaired."""
    reference = max(sorted(answers, key=natural), key=lambda name: len(answers[name].signature))
    fit = [
        name
        for name in answers
        if answers[name].signature == answers[reference].signature and answers[name].keys == answers[reference].keys
    ]
    board.unpaired = [name for name in board.arms if name not in fit]
    pairs = list(itertools.combinations(fit, 2))
    keys = answers[reference].keys
    correct = {name: np.array([int(np.trace(answers[name].by_unit[key])) for key in keys]) for name in fit}
    counts = np.array([int(answers[reference].by_unit[key].sum()) for key in keys])
    margin = board.records[0]["protocol"].get("margin", MARGIN)
    for one in statistics.compare_pairs(pairs, correct, counts, margin=margin):
        board.comparisons[(one.a, one.b)] = one


def _correct(family):
    """Holm over every pair of the boards of one family, then the mirror image of every pair."""
    listed = [(board, pair, one) for board in family for pair, one in board.comparisons.items()]
    adjusted = statistics.holm([one.p for _, _, one in listed])
    for (board, (a, b), one), p in zip(listed, adjusted):
        fields = dict(p=one.p, holm_p=p, resolvable=one.resolvable, units=one.units, margin=one.margin)
        board.comparisons[(a, b)] = statistics.Comparison(a, b, one.difference, one.interval, one.interval90, **fields)
        board.comparisons[(b, a)] = statistics.Comparison(
            b, a, -one.difference, _mirror(one.interval), _mirror(one.interval90), **fields
        )


def _mirror(interval):
    return None if interval is None else (-interval[1], -interval[0])


def _rank(board):
    names = sorted({a for a, _ in board.comparisons}, key=natural)
    ranks = statistics.rank_intervals(names, lambda a, b: board.comparisons[(a, b)].verdict == "better")
    for name, rank in ranks.items():
        board.arms[name].rank = rank


# ---- times -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """Time of one work unit for one arm, in ns."""

    arm: str
    median: float
    interval: tuple
    unit: str
    threads: int
    record: object
    timing: object


def costs(record_set, board):
    """arm of the board -> Cost: from throughput cases of the same machine and experiment, the exact arm before its
    method, the same data set before any other, one thread before more."""
    found = {}
    for record in record_set.kind("throughput"):
        if record["machine"]["fingerprint"] != board.machine or record["experiment"] != board.experiment:
            continue
        dataset = parse_case(record)[0]
        for timing in record.get("timings", ()):
            choice = (dataset != board.dataset, timing["threads"], record["case"], timing.get("dtype", ""))
            cost = Cost(
                timing["arm"],
                timing["median_ns"] / timing["work"],
                tuple(v / timing["work"] for v in timing["ci95_ns"]),
                timing["work_unit"],
                timing["threads"],
                record,
                timing,
            )
            if timing["arm"] not in found or choice < found[timing["arm"]][0]:
                found[timing["arm"]] = (choice, cost)
    matched = {}
    for name in board.arms:
        parts = name.split("/")
        for length in range(len(parts), 0, -1):
            if "/".join(parts[:length]) in found:
                matched[name] = found["/".join(parts[:length])][1]
                break
    units = {cost.unit for cost in matched.values()}
    return matched if len(units) <= 1 else {}
