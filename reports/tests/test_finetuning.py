"""The question whether few trained numbers equal all: its sentence, its table, its margin, its plots."""

from __future__ import annotations

import unittest

from reports import analysis, document, finetuning, records, render
from reports.tests import synthetic

TRAINED = {"full": 22_714_371, "lora/rank=8": 74_883, "lora/rank=2": 19_587, "probe": 1155}


def made(arms, dataset="words_10pct", margin=0.01, units=300, **fields):
    """Records of arms that say how many numbers they train, and of a baseline that was not trained."""
    out = synthetic.quality(dataset, {**arms, "lexicon": 0.4}, units=units, per_unit=4, experiment="tuning", **fields)
    for one in out:
        one["protocol"]["margin"] = margin
        arm = analysis.parse_case(one)[1]
        if arm in TRAINED:
            for name, unit, value in (
                ("trainable_parameters", "", TRAINED[arm]),
                ("training_memory", "bytes", 1000 + TRAINED[arm]),
                ("adapter_size", "bytes", 4 * TRAINED[arm]),
                ("forgetting", "fraction", 0.02 if arm == "full" else 0.001),
            ):
                one["metrics"].append(
                    {"name": name, "variant": "synthetic", "unit": unit, "better": "lower", "split": "test", "value": value, "n": 1}
                )
    return out


def boards(made_records):
    return analysis.boards(records.RecordSet(made_records))


class Question(unittest.TestCase):
    def test_the_reference_trains_most_and_untrained_arms_take_no_part(self):
        board = boards(made({"full": 0.8, "lora/rank=8": 0.8, "probe": 0.6}))[0]
        self.assertEqual(finetuning.reference(board).name, "full")
        self.assertEqual([arm.name for arm in finetuning.trained_arms(board)], ["full", "lora/rank=8", "probe"])
        said = finetuning.verdicts(board)[0].text
        self.assertIn("worse: **probe**", said)
        self.assertIn("0.33 % of the numbers", said)
        self.assertNotIn("lexicon", said)

    def test_the_declared_margin_decides_what_is_equal(self):
        arms = {"full": 0.8, "lora/rank=8": 0.8, "lora/rank=2": 0.8}
        wide, narrow = (boards(made(arms, margin=m))[0] for m in (0.2, 0.0001))
        self.assertIn("equal within 20 points: ", finetuning.verdicts(wide)[0].text)
        self.assertNotIn("equal within", finetuning.verdicts(narrow)[0].text)
        self.assertEqual({one.margin for one in wide.comparisons.values()}, {0.2})
        plain = made(arms)
        for one in plain:
            del one["protocol"]["margin"]
        self.assertEqual({one.margin for one in boards(plain)[0].comparisons.values()}, {analysis.MARGIN})

    def test_boards_without_trained_numbers_have_no_such_question(self):
        board = boards(synthetic.quality("style", {"mel": 0.6, "mfcc": 0.8}, units=30))[0]
        self.assertIsNone(finetuning.reference(board))
        self.assertEqual(finetuning.verdicts(board), [])
        self.assertEqual(finetuning.blocks("x", board, {}), [])

    def test_the_report_has_table_plot_and_sizes(self):
        arms = {"full": 0.8, "lora/rank=8": 0.8, "probe": 0.6}
        all_records = made(arms) + made(arms, dataset="words_1pct", randomness=2)
        report = render.build(records.RecordSet(all_records))[0]
        tables = {table.name: table for table in report.blocks(document.Table)}
        plots = [figure.name for figure in report.blocks(document.Figure)]
        table = tables["tuning-words-10pct-reference"]
        self.assertEqual([row[0].text for row in table.rows], ["full", "lora/rank=8", "probe"])
        self.assertEqual(table.rows[0][8].text, "reference")
        self.assertEqual(table.rows[0][9].text, "2.0")
        self.assertIn("tuning-words-10pct-trained", plots)
        self.assertIn("tuning-words-size", plots)


if __name__ == "__main__":
    unittest.main()
