"""The statistics do what they promise: known values, and rates over 2,000 seeded simulations each."""

from __future__ import annotations

import itertools
import math
import random
import unittest

import numpy as np

from reports import statistics

RUNS = 2000


class KnownValues(unittest.TestCase):
    def test_student_quantiles_of_the_printed_tables(self):
        for p, dof, value in (
            (0.975, 1, 12.706),
            (0.975, 4, 2.776),
            (0.975, 30, 2.042),
            (0.95, 10, 1.812),
            (0.995, 9, 3.250),
        ):
            self.assertAlmostEqual(statistics.student_quantile(p, dof), value, places=3)
        self.assertAlmostEqual(statistics.student_quantile(0.025, 4), -statistics.student_quantile(0.975, 4))

    def test_wilson(self):
        low, high = statistics.wilson(850, 1000)
        self.assertAlmostEqual(100 * (high - low) / 2, 2.2, places=1)  # the half-width that the protocol quotes
        self.assertLess(statistics.wilson(0, 10)[0], 1e-12)
        self.assertGreater(statistics.wilson(10, 10)[1], 1 - 1e-12)

    def test_order_statistic_interval(self):
        for n, depth, coverage in ((12, 3, 0.9614), (17, 5, 0.9510), (20, 6, 0.9586), (25, 8, 0.9567)):
            self.assertAlmostEqual(statistics.coverage_of_depth(n, depth), coverage, places=4)
            self.assertEqual(statistics.median_interval(range(1, n + 1))[1:], (depth, n + 1 - depth))
        _, low, high = statistics.median_interval(range(1, 11))  # n = 10 is interpolated between two depths
        self.assertTrue(2 < low < 3 and 8 < high < 9)

    def test_sign_flips_equal_the_enumeration(self):
        rng = random.Random(5)
        for _ in range(50):
            d = [rng.randint(-6, 6) for _ in range(rng.randint(1, 9))]
            sums = [abs(sum(s * v for s, v in zip(signs, d))) for signs in itertools.product((1, -1), repeat=len(d))]
            share = sum(s >= abs(sum(d)) for s in sums) / len(sums)
            self.assertAlmostEqual(statistics.sign_flip_p(d), share, places=12)

    def test_many_equal_units_are_the_exact_mcnemar_test(self):
        wins, losses = 40, 22
        exact = 2 * sum(math.comb(62, i) for i in range(losses + 1)) / 2**62
        self.assertAlmostEqual(statistics.sign_flip_p([3] * wins + [-3] * losses + [0] * 500), exact, places=12)

    def test_holm(self):
        self.assertEqual([round(p, 10) for p in statistics.holm([0.01, 0.04, 0.03, 0.005])], [0.03, 0.06, 0.06, 0.02])
        self.assertEqual(statistics.holm([]), [])

    def test_the_stream_is_fixed(self):
        first = statistics.stream(1, (3,))
        self.assertEqual([int(v) for v in first], [int(v) for v in statistics.stream(1, (8,))[:3]])
        self.assertEqual(
            [int(v) for v in statistics.stream(1, (5,), 2)], [int(v) for v in statistics.stream(1, (7,))[2:]]
        )
        self.assertEqual(
            int(statistics.mix64(np.array([1], dtype=np.uint64))[0]), 0xE220A8397B1DCDAF
        )  # splitmix64(0), first draw

    def test_rank_intervals(self):
        wins = {("a", "c"), ("b", "d"), ("a", "d")}
        ranks = statistics.rank_intervals(list("abcd"), lambda x, y: (x, y) in wins)
        self.assertEqual(ranks, {"a": (1, 2), "b": (1, 3), "c": (2, 4), "d": (3, 4)})

    def test_pareto(self):
        self.assertEqual(statistics.pareto_front([(1, 1), (2, 3), (3, 2), (2, 3)]), [0, 1, 3])
        self.assertEqual(statistics.robustly_dominated([((1, 2), (5, 6)), ((3, 4), (1, 2)), ((1.5, 4), (1, 2))]), [1])


def tracks(rng, gap, units=60, per_unit=12, spread=1.0):
    """Right answers by track of two arms whose accuracies differ by `gap`; a track has its own difficulty and its own
    preference for one arm, so that clips of one track are far from independent."""
    base, own, likes = rng.normal(0.6, spread, units), rng.normal(0, 0.35, units), rng.normal(0, 0.35, units)
    p = 1 / (1 + np.exp(-(base + own + gap / 2)))
    q = 1 / (1 + np.exp(-(base + likes - gap / 2)))
    return rng.binomial(per_unit, p), rng.binomial(per_unit, q), np.full(units, per_unit)


def rounds(rng, effect, n):
    """Log ratios of interleaved rounds: 2 % noise of each side, and the common slow drift of a shared machine."""
    drift = np.cumsum(rng.normal(0, 0.05, n))
    a, b = drift + rng.normal(0, 0.02, n) + math.log(effect), drift + rng.normal(0, 0.02, n)
    return a - b


class Simulations(unittest.TestCase):
    """5 % of 2,000 has a standard error of 0.49 points; the promised band is +- 1.5 points."""

    def in_band(self, count):
        self.assertTrue(
            0.035 <= count / RUNS <= 0.065, "%.2f %% of A/A comparisons came out different" % (100 * count / RUNS)
        )

    def test_same_arms_differ_in_five_per_cent(self):
        rng = np.random.default_rng(11)
        self.in_band(
            sum(statistics.sign_flip_p(a - b) < statistics.ALPHA for a, b, _ in (tracks(rng, 0.0) for _ in range(RUNS)))
        )

    def test_same_programs_differ_in_five_per_cent(self):
        for n in (12, 17, 20, 25, 30):
            rng = np.random.default_rng(n)
            different = 0
            for _ in range(RUNS):
                median, low, high = (math.exp(v) for v in statistics.median_interval(rounds(rng, 1.0, n)))
                different += statistics.ratio_verdict(median, (low, high), "lower") != "not separable"
            self.in_band(different)

    def test_a_slowdown_of_two_per_cent_is_found(self):
        rng = np.random.default_rng(13)
        found = 0
        for _ in range(RUNS):
            median, low, high = (math.exp(v) for v in statistics.median_interval(rounds(rng, 1.02, 60)))
            found += statistics.ratio_verdict(median, (low, high), "lower") == "worse"
        self.assertGreaterEqual(found / RUNS, 0.95)

    def test_a_resolvable_difference_is_found_as_often_as_promised(self):
        rng = np.random.default_rng(17)
        gap, found, promised, true = 0.45, 0, [], []
        for _ in range(RUNS // 4):
            a, b, n = tracks(rng, gap)
            found += statistics.sign_flip_p(a - b) < statistics.ALPHA
            true.append((a - b).sum() / n.sum())
            promised.append(statistics.resolvable(statistics.unit_error(a - b, n), a.size - 1))
        self.assertGreater(np.mean(true), np.mean(promised))  # the true gap is resolvable, so it is found in >= 80 %
        self.assertGreaterEqual(found / len(true), 0.80)

    def test_the_unit_bootstrap_covers(self):
        for units in (10, 60):
            rng = np.random.default_rng(units)
            inside = 0
            population = 1 / (1 + np.exp(-rng.normal(0.6, 1.0, 200_000)))
            for i in range(RUNS // 4):
                a = rng.binomial(12, rng.choice(population, units))
                low, high = statistics.cluster_interval(a, np.full(units, 12), seed=i, draws=600)
                inside += low <= population.mean() <= high
            self.assertTrue(
                0.92 <= inside / (RUNS // 4) <= 0.98, "%d units: covered in %.1f %%" % (units, 400.0 * inside / RUNS)
            )

    def test_items_of_one_unit_are_not_taken_for_independent(self):
        """The test that the report does not use: over clips instead of tracks it cries wolf, which is why units
        matter."""
        rng = np.random.default_rng(23)
        wrong = 0
        for _ in range(300):
            a, b, n = tracks(rng, 0.0, spread=1.0)
            clips = np.concatenate([np.r_[np.ones(max(x - y, 0)), -np.ones(max(y - x, 0))] for x, y in zip(a, b)])
            wrong += statistics.sign_flip_p(clips.astype(int)) < statistics.ALPHA
        self.assertGreater(wrong / 300, 0.065)


class Verdicts(unittest.TestCase):
    def compare(self, gap, units=60, margin=0.02, per_unit=12, same=False):
        a, b, n = tracks(np.random.default_rng(3), gap, units, per_unit)
        return statistics.compare_pairs([("a", "b")], {"a": a, "b": a if same else b}, n, margin=margin)[0]

    def test_the_four_outcomes(self):
        self.assertEqual(self.compare(1.0).verdict, "better")
        self.assertEqual(self.compare(-1.0).verdict, "worse")
        self.assertEqual(self.compare(0.0, same=True).verdict, "equivalent")
        self.assertEqual(self.compare(0.0, units=8, per_unit=3).verdict, "unresolved")

    def test_two_units_say_nothing(self):
        one = self.compare(3.0, units=2)
        self.assertIsNone(one.interval)
        self.assertEqual(one.verdict, "unresolved")

    def test_ratio_verdict_knows_which_way_is_good(self):
        self.assertEqual(statistics.ratio_verdict(0.9, (0.85, 0.95), "lower"), "better")
        self.assertEqual(statistics.ratio_verdict(0.9, (0.85, 0.95), "higher"), "worse")
        self.assertEqual(statistics.ratio_verdict(1.0, (0.95, 1.05), "lower"), "not separable")


if __name__ == "__main__":
    unittest.main()
