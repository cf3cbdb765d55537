"""The questions about precision and attention: their sentences follow from the numbers, ties and losses are said."""

from __future__ import annotations

import unittest

from reports import analysis, document, inference, records, render
from reports.tests import synthetic

ROUNDS = 12


def timed(experiment, case, config, times, work=64, metrics=()):
    """A throughput record; times: {arm: ns}. Rounds scatter by one per cent, the same for every arm."""
    timings = [
        {
            "arm": arm, "backend": "cpu", "dtype": arm, "threads": 2, "warmup": 3,
            "samples_ns": [ns * (1 + (r % 3 - 1) / 100) for r in range(ROUNDS)], "median_ns": ns, "ci95_ns": [ns * 0.99, ns * 1.01],
            "work": work, "work_unit": "tokens", "flops": 1e6, "bytes": None, "rounds_dropped": 0, "checked": True,
        }
        for arm, ns in times.items()
    ]
    made = synthetic.record(experiment, "throughput", case, timings=timings, metrics=list(metrics), data=[])
    made["config"].update(config)
    return made


def precision(times, lengths=(16, 64), accuracy=None):
    """Records of encoder_inference: one timed case a length, and boards of three precisions."""
    quality = synthetic.quality("sentences", accuracy or {"f32": 0.8, "bf16": 0.8, "int8": 0.8}, units=400, per_unit=4,
                                experiment="encoder_inference")
    latency = {"name": "latency_p50", "variant": "bf16", "unit": "ms", "better": "lower", "split": "test", "value": 7.25, "n": 20}
    speed = [timed("encoder_inference", "sentences/all/batch=8/length=%d" % n, {"batch": 8, "length": n}, times, metrics=[latency])
             for n in lengths]
    return records.RecordSet(quality + speed)


def attention(times_by_length, points=()):
    made = [timed("attention_length", "heads/all/pass=forward/length=%d" % n, {"pass": "forward", "length": n}, times)
            for n, times in times_by_length.items()]
    if points:
        curve = {"name": "own, forward", "x": "tokens", "y": "MiB at the peak", "points": [list(p) for p in points]}
        made.append(synthetic.record("attention_length", "curve", "heads/all/pass=forward/memory", curves=[curve], data=[]))
    return records.RecordSet(made)


def said(record_set):
    return [v.text for v in inference.verdicts(record_set, analysis.boards(record_set))]


class Precision(unittest.TestCase):
    def test_the_fastest_that_is_as_accurate_is_recommended(self):
        text = said(precision({"f32": 8e6, "bf16": 2e6, "int8": 1e6}))[0]
        self.assertIn("**int8**: 8.00 to 8.00 times the tokens a second of f32 over 2 combinations", text)

    def test_one_that_classifies_worse_is_not(self):
        text = said(precision({"f32": 8e6, "bf16": 2e6, "int8": 1e6}, accuracy={"f32": 0.9, "bf16": 0.9, "int8": 0.5}))
        self.assertIn("**bf16**: 4.00", text[0])
        self.assertIn("int8", text[1])
        self.assertIn("worse than f32's", text[1])

    def test_where_nothing_is_faster_f32_stays(self):
        self.assertIn("**f32**", said(precision({"f32": 1e6, "bf16": 2e6, "int8": 3e6}))[0])

    def test_the_table_has_speed_and_latency(self):
        report = render.build(precision({"f32": 8e6, "bf16": 2e6, "int8": 1e6}))[0]
        table = {t.name: t for t in report.blocks(document.Table)}["precision"]
        row = next(r for r in table.rows if r[1].text == "bf16")
        self.assertEqual(row[2].value, 64 / 2e6 * 1e9)
        self.assertEqual(row[5].text, "7.25")
        self.assertEqual(row[6].text, document.fmt.MISSING)
        self.assertIn("precision-speed", [f.name for f in report.blocks(document.Figure)])


class Attention(unittest.TestCase):
    def test_winners_by_length_and_ties(self):
        text = said(attention({64: {"own": 2e5, "naive": 1e5}, 512: {"own": 1e6, "naive": 4e6}, 1024: {"own": 1e6, "naive": 1e6}}))[0]
        self.assertIn("**naive** at 64", text)
        self.assertIn("**own** at 512", text)
        self.assertIn("nobody separably at 1024", text)

    def test_memory_is_linear_or_it_is_not(self):
        times = {64: {"own": 2e5, "naive": 1e5}}
        self.assertIn(": linear", said(attention(times, [(512, 10), (1024, 20.5)]))[1])
        self.assertIn("**not** linear", said(attention(times, [(512, 10), (1024, 21.5)]))[1])

    def test_records_of_other_experiments_have_no_such_question(self):
        other = records.RecordSet(synthetic.quality("style", {"mel": 0.6, "mfcc": 0.8}, units=30))
        self.assertEqual(said(other), [])
        self.assertIsNone(inference.attention_section(other, {}, False))


if __name__ == "__main__":
    unittest.main()
