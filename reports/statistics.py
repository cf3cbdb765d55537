"""Intervals, tests and verdicts. Only definitions with a source; every random draw comes from a fixed counter-based
stream, so that the same records give the same numbers on every machine and with every version of numpy.

Sources: Wilson 1927 (score interval); Hesterberg 2015, "What teachers should know about the bootstrap" (percentile
interval expanded for few units); Fisher 1935 (sign flips); Holm 1979; Schuirmann 1987 (TOST); Hettmansperger and
Sheather 1986 (interpolated order-statistic interval of a median).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import comb
from statistics import NormalDist

import numpy as np

ALPHA = 0.05
POWER = 0.80
BOOTSTRAP_DRAWS = 2000
_NORMAL = NormalDist()


# ---- a counter-based stream ------------------------------------------------------------------------------------------


def mix64(counters):
    """splitmix64's finaliser (Steele, Lea, Flood 2014) of an array of uint64 counters."""
    with np.errstate(over="ignore"):
        z = counters * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def stream(seed, shape, offset=0):
    """uint64 array of `shape`; element i depends on (seed, offset + i) alone."""
    count = int(np.prod(shape))
    start = mix64(np.array([seed], dtype=np.uint64))[0]
    with np.errstate(over="ignore"):
        counters = start + np.uint64(offset) + np.arange(1, count + 1, dtype=np.uint64)
    return mix64(counters).reshape(shape)


def uniform(seed, shape, offset=0):
    """Doubles in (0, 1)."""
    return ((stream(seed, shape, offset) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


# ---- quantiles -------------------------------------------------------------------------------------------------------


def _incomplete_beta(a, b, x):
    """Regularised incomplete beta function by its continued fraction (Lentz), DLMF 8.17.22."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - _incomplete_beta(b, a, 1.0 - x)
    front = math.exp(a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)) / a
    tiny, c, d, result = 1e-300, 1.0, 0.0, 1.0
    for i in range(400):
        m = i // 2
        if i == 0:
            numerator = 1.0
        elif i % 2 == 0:
            numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1.0 / (1.0 + numerator * d or tiny)
        c = 1.0 + numerator / c or tiny
        step = c * d
        result *= step
        if abs(step - 1.0) < 1e-15:
            break
    return front * (result - 1.0)


def student_cdf(t, dof):
    tail = 0.5 * _incomplete_beta(dof / 2.0, 0.5, dof / (dof + t * t))
    return 1.0 - tail if t > 0 else tail


def student_quantile(p, dof):
    """Quantile of Student's t by bisection: exact to the last digits that are ever printed."""
    if p < 0.5:
        return -student_quantile(1.0 - p, dof)
    low, high = 0.0, 1.0
    while student_cdf(high, dof) < p:
        high *= 2.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if student_cdf(middle, dof) < p else (low, middle)
    return 0.5 * (low + high)


# ---- intervals -------------------------------------------------------------------------------------------------------


def wilson(successes, n, alpha=ALPHA):
    """Score interval of a proportion of independent items."""
    z = _NORMAL.inv_cdf(1.0 - alpha / 2.0)
    p, z2 = successes / n, z * z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def student_interval(values, alpha=ALPHA):
    """Interval of the mean over repetitions (seeds, folds); None for fewer than three."""
    values = np.asarray(values, dtype=np.float64)
    n = values.size
    if n < 3:
        return None
    mean = math.fsum(values) / n
    deviation = math.sqrt(math.fsum((values - mean) ** 2) / (n - 1))
    half = student_quantile(1.0 - alpha / 2.0, n - 1) * deviation / math.sqrt(n)
    return mean - half, mean + half


class Resampler:
    """Bootstrap over whole units: how often each of `units` units was drawn, for `draws` resamples of a fixed stream.

    All sums are sums of whole numbers and therefore exact, whatever the order a matrix product adds them in.
    """

    def __init__(self, units, seed=1, draws=BOOTSTRAP_DRAWS):
        self.units, self.seed, self.draws = units, seed, draws

    def blocks(self):
        """Weights in blocks of at most 16 MB: arrays (draws in the block, units)."""
        block = max(1, 2_000_000 // self.units)
        for first in range(0, self.draws, block):
            count = min(block, self.draws - first)
            with np.errstate(over="ignore"):
                draws = stream(self.seed, (count, self.units), first * self.units)
                drawn = (((draws >> np.uint64(32)) * np.uint64(self.units)) >> np.uint64(32)).astype(np.int64)
            flat = drawn + self.units * np.arange(count)[:, None]
            yield np.bincount(flat.ravel(), minlength=count * self.units).reshape(count, self.units).astype(np.float64)

    def sums(self, columns):
        """columns: whole numbers (units, n). Their sums in every resample: (draws, n)."""
        columns = np.asarray(columns, dtype=np.float64)
        return np.concatenate([weights @ columns for weights in self.blocks()])

    def interval(self, values, alpha=ALPHA):
        """Expanded percentile interval of one value per resample; None for fewer than three units."""
        if self.units < 3:
            return None
        ranked = np.sort(values)
        return tuple(_sorted_quantile(ranked, q) for q in expanded_percentiles(self.units, alpha))


def cluster_interval(numerators, denominators, alpha=ALPHA, seed=1, draws=BOOTSTRAP_DRAWS):
    """Interval of sum(numerators) / sum(denominators), whole numbers by unit; None for fewer than three units."""
    resampler = Resampler(len(numerators), seed, draws)
    sums = resampler.sums(np.column_stack([numerators, denominators]))
    return resampler.interval(sums[:, 0] / sums[:, 1], alpha)


def expanded_percentiles(units, alpha=ALPHA):
    t = student_quantile(1.0 - alpha / 2.0, units - 1)
    low = _NORMAL.cdf(-math.sqrt(units / (units - 1.0)) * t)
    return low, 1.0 - low


def _sorted_quantile(values, q):
    position = min(max(q * (len(values) + 1) - 1.0, 0.0), len(values) - 1.0)
    below = int(position)
    above = min(below + 1, len(values) - 1)
    return float(values[below] + (position - below) * (values[above] - values[below]))


def median_interval(samples, alpha=ALPHA):
    """(median, low, high): order-statistic interval of a median, interpolated to the level 1 - alpha."""
    values = np.sort(np.asarray(samples, dtype=np.float64))
    n = values.size
    median = float(np.median(values))
    depth, coverage = 0, 1.0  # the interval [x_(depth), x_(n + 1 - depth)] covers with probability `coverage`
    while True:
        wider = coverage_of_depth(n, depth + 1)
        if depth + 1 > n // 2 or wider < 1.0 - alpha:
            break
        depth, coverage = depth + 1, wider
    if depth == 0:
        return median, float(values[0]), float(values[-1])
    if depth + 1 > n // 2 or n in (12, 17, 20, 25):  # the plain interval is within 1.2 % of 95 % there
        return median, float(values[depth - 1]), float(values[n - depth])
    inner = coverage_of_depth(n, depth + 1)
    share = (coverage - (1.0 - alpha)) / (coverage - inner)
    weight = (n - depth) * share / (depth + (n - 2 * depth) * share)
    low = (1 - weight) * values[depth - 1] + weight * values[depth]
    high = (1 - weight) * values[n - depth] + weight * values[n - depth - 1]
    return median, float(low), float(high)


def coverage_of_depth(n, depth):
    """Probability that [x_(depth), x_(n + 1 - depth)] covers the median; depth counts from 1, exact in integers."""
    if depth < 1:
        return 1.0
    return 1.0 - sum(comb(n, i) for i in range(depth)) / 2 ** (n - 1)


# ---- tests -----------------------------------------------------------------------------------------------------------


def sign_flip_p(differences):
    """Two-sided p of sum(differences) when each unit's difference may as well have had the other sign.

    differences: whole numbers (correct answers of A less those of B), one per unit. The distribution of the sum is
    computed exactly, unit by unit, not sampled; with one item per unit this is the exact McNemar test.
    """
    d = np.abs(np.asarray(differences, dtype=np.int64))
    d = d[d > 0]
    if d.size == 0:
        return 1.0
    observed = abs(int(np.sum(np.asarray(differences, dtype=np.int64))))
    step = int(np.gcd.reduce(d))
    d, observed = d // step, observed // step
    total = int(d.sum())
    pmf = np.ones(1)  # pmf[j]: probability that the flipped units sum to j; the signed sum is total - 2 j
    magnitudes, counts = np.unique(d, return_counts=True)
    for size, count in zip(magnitudes.tolist(), counts.tolist()):
        if count > 16:
            weights = np.array([comb(count, i) / 2**count for i in range(count + 1)])
            spread = np.zeros(size * count + 1)
            spread[::size] = weights
            pmf = np.convolve(pmf, spread)
            continue
        for _ in range(count):
            grown = np.zeros(pmf.size + size)
            grown[: pmf.size] += 0.5 * pmf
            grown[size:] += 0.5 * pmf
            pmf = grown
    signed = total - 2 * np.arange(total + 1)
    return min(1.0, math.fsum(pmf[np.abs(signed) >= observed]))


def holm(p_values):
    """Adjusted p values, in the given order."""
    p = list(p_values)
    ranked = sorted(range(len(p)), key=lambda i: (p[i], i))
    adjusted, running = [0.0] * len(p), 0.0
    for place, i in enumerate(ranked):
        running = max(running, min(1.0, (len(p) - place) * p[i]))
        adjusted[i] = running
    return adjusted


def equivalent(interval90, margin):
    """Two one-sided tests at 5 %: the 90 % interval lies inside the margin."""
    return interval90 is not None and -margin < interval90[0] and interval90[1] < margin


def resolvable(standard_error, dof, comparisons=1):
    """The smallest true difference that the test finds with 80 % probability, Bonferroni over `comparisons`."""
    level = ALPHA / max(1, comparisons)
    return (student_quantile(1.0 - level / 2.0, dof) + student_quantile(POWER, dof)) * standard_error


# ---- verdicts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """Arm `a` against arm `b` on the same units; differences are a - b in the metric's own unit (a share, not per
    cent)."""

    a: str
    b: str
    difference: float
    interval: tuple
    interval90: tuple
    p: float
    holm_p: float
    resolvable: float
    units: int
    margin: float

    @property
    def verdict(self):
        if self.holm_p < ALPHA and self.difference != 0.0:
            return "better" if self.difference > 0 else "worse"
        return "equivalent" if equivalent(self.interval90, self.margin) else "unresolved"


def unit_error(differences, counts):
    """Linearised standard error of sum(differences) / sum(counts) when units are independent."""
    d, n = np.asarray(differences, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    if d.size < 2:
        return math.inf
    residual = d - d.sum() / n.sum() * n
    return math.sqrt(math.fsum((residual * residual).tolist()) * d.size / (d.size - 1.0)) / float(n.sum())


def compare_pairs(pairs, correct, counts, seed=1, margin=0.0):
    """All pairs of arms whose answers were given for the same items: a list of Comparison.

    correct: arm -> right answers by unit; counts: items by unit. Holm runs over the given pairs; the caller corrects
    again if a family spans several data sets.
    """
    counts = np.asarray(counts, dtype=np.int64)
    units, total = counts.size, float(counts.sum())
    columns = [np.asarray(correct[a], dtype=np.int64) - np.asarray(correct[b], dtype=np.int64) for a, b in pairs]
    if not columns:
        return []
    resampler = Resampler(units, seed)
    sums = resampler.sums(np.column_stack([counts] + columns))
    p_values = [sign_flip_p(d) for d in columns]
    out = []
    for i, ((a, b), d, p, adjusted) in enumerate(zip(pairs, columns, p_values, holm(p_values)), start=1):
        values = sums[:, i] / sums[:, 0]
        out.append(
            Comparison(
                a,
                b,
                float(d.sum()) / total,
                resampler.interval(values),
                resampler.interval(values, 2 * ALPHA),
                p,
                adjusted,
                resolvable(unit_error(d, counts), max(1, units - 1)),
                units,
                margin,
            )
        )
    return out


def rank_intervals(names, better_than):
    """(low, high) rank per arm: 1 + arms that are significantly better .. arms - arms that are significantly worse."""
    ranks = {}
    for name in names:
        above = sum(better_than(other, name) for other in names if other != name)
        below = sum(better_than(name, other) for other in names if other != name)
        ranks[name] = (1 + above, len(names) - below)
    return ranks


def ratio_verdict(ratio, interval, better):
    """Of a timing ratio numerator / denominator: the numerator is "better", "worse" or "not separable"."""
    if interval[0] <= 1.0 <= interval[1]:
        return "not separable"
    return "better" if (ratio > 1.0) == (better == "higher") else "worse"


def pareto_front(points):
    """Indices of points (cost, value) that no other point beats on both axes; lower cost, higher value is better."""
    front = []
    for i, (cost, value) in enumerate(points):
        beaten = any(
            (c <= cost and v >= value and (c < cost or v > value)) for j, (c, v) in enumerate(points) if j != i
        )
        if not beaten:
            front.append(i)
    return front


def robustly_dominated(points):
    """points: (cost interval, value interval). Indices that another point beats by separated intervals on both axes."""
    lost = []
    for i, (cost, value) in enumerate(points):
        if any(c[1] < cost[0] and v[0] > value[1] for j, (c, v) in enumerate(points) if j != i):
            lost.append(i)
    return lost
