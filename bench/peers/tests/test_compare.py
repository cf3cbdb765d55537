"""Tests of the comparison's statistics, rounds, records and command line. Standard library only; nothing real is timed."""
from __future__ import annotations

import contextlib
import io
import json
import math
import random
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

import case as case_module  # noqa: E402
import compare  # noqa: E402
import fair  # noqa: E402
import record  # noqa: E402
from reports import records  # noqa: E402

CONTEXT = {"provenance": {"created_utc": "", "command": [], "version": "0", "git_commit": "unknown", "git_dirty": False,
                          "code_digest": "", "compiler": "none", "flags": "", "build_type": "Release", "libraries": {},
                          "environment": {}},
           "machine": {"fingerprint": "0123456789ab", "cpu": "test", "cores": 2, "ram_bytes": 1, "os": "test",
                       "kernel": "test", "isa": "baseline"}}


class FakeClock:
    """Nanoseconds that pass only when an arm is run."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now

    def arm(self, name, duration_ns, **more):
        def run():
            self.now += int(duration_ns() if callable(duration_ns) else duration_ns)
        return fair.Arm(name, run, "1.0", **more)


def fake_contest(clock, ours_ns=2_000_000, theirs_ns=3_000_000, target=1.1):
    arms = [clock.arm("ours", ours_ns), clock.arm("theirs", theirs_ns), clock.arm("slow", 9_000_000)]
    return case_module.Contest(
        arms, [case_module.Ratio("theirs / ours", ["theirs", "slow"], ["ours"], "higher", target)], work=1,
        work_unit="calls", config={"n": 3}, not_run=[("ghost", "peer ghost cannot be imported")],
        checks=[case_module.check_bound("values", "reference", "1.0", 0.0, 1.0)],
        data=[{"name": "none", "version": "1", "sha256": "0" * 64, "embedded": False, "synthetic": True}])


def fake_case(name="fake", build=None, **numbers):
    """A case on a clock of its own; fake_runner measures by that clock."""
    clock = FakeClock()
    chosen = case_module.Case(name, "a fake ratio", build or (lambda _: fake_contest(clock, **numbers)), needs=("nobody",))
    chosen.clock = clock
    return chosen


def fake_runner(chosen, _):
    """What compare.spawn does, in this process."""
    try:
        contest = chosen.build(None)
    except case_module.NotRun as missing:
        return record.build(chosen, "not_run", CONTEXT, ["compare"], "0", {"kind": "not_built", "message": str(missing)})
    except case_module.CheckFailed as wrong:
        return record.build(chosen, "failed", CONTEXT, ["compare"], "0", {"kind": "check_failed", "message": str(wrong)})
    rounds = fair.measure(contest.arms, rounds=12, clock=chosen.clock)
    return record.build(chosen, "ok", CONTEXT, ["compare"], "0", None, contest, rounds)


def run(argv, *cases):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = compare.main(argv, {c.name: c for c in cases}, fake_runner)
    return code, out.getvalue(), err.getvalue()


class Statistics(unittest.TestCase):
    def test_interval_of_the_plain_counts_is_the_order_statistic(self):
        for n, k in ((12, 3), (17, 5), (20, 6), (25, 8)):
            self.assertEqual(fair.median_interval(range(1, n + 1)), (k, n + 1 - k))

    def test_interpolated_interval_lies_between_its_neighbours(self):
        for n in (10, 14, 19, 30):
            low, high = fair.median_interval(range(1, n + 1))
            k = max(k for k in range(1, n // 2 + 1) if fair._coverage(n, k) >= 0.95)
            self.assertTrue(k < low < k + 1, (n, low))
            self.assertAlmostEqual(low + high, n + 1)

    def test_too_few_values_are_refused(self):
        with self.assertRaises(ValueError):
            fair.median_interval([1, 2, 3, 4, 5])

    def test_interval_covers_the_median_as_often_as_it_says(self):
        generator = random.Random(7)
        for n in (12, 15, 20):
            draws = 4000
            held = 0
            for _ in range(draws):
                low, high = fair.median_interval([generator.gauss(0, 1) for _ in range(n)])
                held += low <= 0 <= high
            error = 4 * math.sqrt(0.05 * 0.95 / draws)
            self.assertGreater(held / draws, 0.95 - error)
            self.assertLess(held / draws, fair._coverage(n, 3 if n == 12 else 4 if n == 15 else 6) + error)

    def test_ratio_is_the_exponential_of_the_median_log_ratio(self):
        rounds = fair.Rounds({"a": [2.0, 4.0, 8.0] * 4, "b": [1.0, 1.0, 2.0] * 4})
        value, (low, high) = fair.ratio_of(fair.log_ratios(rounds, "a", "b"))
        self.assertAlmostEqual(value, 4.0)
        self.assertAlmostEqual(low, 2.0)
        self.assertAlmostEqual(high, 4.0)


class RoundsOfArms(unittest.TestCase):
    def test_a_round_visits_every_arm_twice_in_mirrored_order(self):
        clock, seen = FakeClock(), []

        def arm(name):
            def call():
                seen.append(name)
                clock.now += 10_000_000
            return fair.Arm(name, call)
        fair.measure([arm("a"), arm("b"), arm("c")], rounds=12, clock=clock)
        timed_calls = seen[len(seen) - 12 * 12:]  # a visit is one untimed and one timed call
        orders = set()
        for i in range(12):
            visits = timed_calls[12 * i:12 * (i + 1):2]
            self.assertEqual(visits, visits[::-1])
            self.assertEqual(sorted(visits), ["a", "a", "b", "b", "c", "c"])
            orders.add(tuple(visits))
        self.assertGreater(len(orders), 1)

    def test_rounds_beside_a_slow_canary_are_dropped_and_counted(self):
        clock, calls = FakeClock(), [0]

        def canary():
            calls[0] += 1
            return 1.3 if calls[0] in (3, 8) else 1.0 + 0.01 * (calls[0] % 5)
        rounds = fair.measure([clock.arm("a", 6_000_000), clock.arm("b", 3_000_000)], rounds=12, clock=clock, canary=canary)
        self.assertEqual((rounds.count(), rounds.dropped), (12, 2))

    def test_a_slow_start_does_not_hide_behind_its_own_best(self):
        clock, calls = FakeClock(), [0]

        def canary():
            calls[0] += 1
            return 5.0 if calls[0] <= 20 else 1.0
        rounds = fair.measure([clock.arm("a", 6_000_000)], rounds=12, clock=clock, canary=canary)
        self.assertEqual((rounds.count(), rounds.dropped), (12, 10))

    def test_short_calls_are_repeated_and_what_a_binding_costs_is_taken_off(self):
        clock = FakeClock()
        arms = [clock.arm("peer", 500_000, less="binding"), clock.arm("binding", 200_000)]
        rounds = fair.measure(arms, rounds=12, clock=clock, sample_s=5e-3)
        self.assertEqual(rounds.calls, {"peer": 10, "binding": 25})
        self.assertAlmostEqual(fair.median(rounds.seconds["peer"]), 300e-6)

    def test_what_a_call_uses_up_is_prepared_outside_the_time(self):
        clock, made = FakeClock(), []

        def prepare():
            clock.now += 1_000_000_000
            made.append(1)
            return len(made)

        def call(prepared):
            self.assertEqual(prepared, len(made))
            clock.now += 4_000_000
        rounds = fair.measure([fair.Arm("a", call, prepare=prepare)], rounds=12, clock=clock)
        self.assertAlmostEqual(fair.median(rounds.seconds["a"]), 4e-3)


class Records(unittest.TestCase):
    def setUp(self):
        self.schema = json.loads(records.SCHEMA_PATH.read_text(encoding="utf-8"))
        self.case = fake_case()
        self.record = fake_runner(self.case, None)

    def test_a_record_fits_the_schema_and_the_report(self):
        self.assertEqual(records.violations(self.record, self.schema), [])
        self.assertEqual(records.inconsistencies(self.record), [])
        self.assertEqual(self.record["ratios"][0]["numerator"], "theirs 1.0")  # the faster of the two named
        self.assertAlmostEqual(self.record["ratios"][0]["ratio"], 1.5)
        self.assertTrue(self.record["ratios"][0]["met"])

    def test_a_row_that_did_not_run_fits_the_schema(self):
        absent = record.build(self.case, "not_run", CONTEXT, ["compare"], "0", {"kind": "not_built", "message": "no peer"})
        self.assertEqual(records.violations(absent, self.schema), [])

    def test_a_record_is_replaced_by_its_successor(self):
        with tempfile.TemporaryDirectory() as folder:
            first = record.write(self.record, Path(folder))
            changed = dict(self.record, config={**self.record["config"], "n": 4})
            changed["key"] = record.key_of(changed)
            second = record.write(changed, Path(folder))
            self.assertFalse(first.exists())
            self.assertEqual([p.name for p in second.parent.iterdir()], [second.name])
            self.assertEqual(len(list((Path(folder) / "superseded" / "compare").iterdir())), 1)
            self.assertEqual(len(records.load([folder]).records), 1)


class CommandLine(unittest.TestCase):
    def test_list(self):
        code, out, _ = run(["--list"], fake_case("one"), fake_case("two"))
        self.assertEqual(code, 0)
        self.assertEqual([line.split()[0] for line in out.splitlines()], ["one", "two"])
        code, out, _ = run(["--list", "--json"], fake_case("one"))
        self.assertEqual(json.loads(out), [{"case": "one", "title": "a fake ratio", "threads": 1, "needs": ["nobody"]}])

    def test_one_case_as_json(self):
        code, out, _ = run(["fake", "--json"], fake_case())
        shown = json.loads(out)
        self.assertEqual(code, 0)
        self.assertEqual((shown["case"], shown["status"], shown["met"], shown["rounds"]), ("fake", "ok", True, 12))
        self.assertAlmostEqual(shown["ratio"], 1.5)
        self.assertEqual(shown["denominator_version"], "1.0")
        self.assertEqual(shown["not_run"], [{"name": "ghost", "reason": "peer ghost cannot be imported"}])

    def test_a_missed_target_ends_with_1_and_says_so(self):
        code, out, _ = run(["fake"], fake_case(target=1.6))
        self.assertEqual(code, 1)
        self.assertIn("MISSED", out)
        self.assertIn("not run: ghost", out)

    def test_a_missing_peer_is_a_row_and_ends_with_5(self):
        def build(_):
            raise case_module.NotRun("peer nobody cannot be imported")
        code, out, _ = run(["fake"], fake_case(build=build))
        self.assertEqual(code, 5)
        self.assertIn("not run: peer nobody", out)
        code, out, _ = run(["fake", "--json"], fake_case(build=build))
        self.assertEqual(json.loads(out)["status"], "not_run")

    def test_a_failed_check_gives_no_time_and_ends_with_3(self):
        def build(_):
            case_module.check_bound("values", "reference", "1", float("nan"), 1.0)
        code, out, _ = run(["fake", "--json"], fake_case(build=build))
        shown = json.loads(out)
        self.assertEqual((code, shown["status"], shown["ratios"], shown["timings"]), (3, "failed", [], []))

    def test_wrong_use_ends_with_2_and_lists_what_is_known(self):
        for argv in (["unknown"], [], ["fake", "--rounds", "5"]):
            code, out, err = run(argv, fake_case())
            self.assertEqual((code, out), (2, ""), argv)
            self.assertTrue("fake" in err or "--rounds" in err)

    def test_every_real_case_is_listed_once(self):
        known = compare.known_cases()
        self.assertEqual(len(known), sum(len(m.CASES) for m in map(__import__, ("cases_attention", "cases_audio", "cases_encoder", "cases_fft", "cases_gemm", "cases_pca", "cases_training"))))


if __name__ == "__main__":
    unittest.main()
