"""Loading refuses what must not be averaged over, and the small validator agrees with jsonschema."""

from __future__ import annotations

import copy
import json
import random
import tempfile
import unittest
from pathlib import Path

from reports import analysis, context, records
from reports.tests import synthetic


def valid():
    return synthetic.quality("style", {"mel": 0.6}, seeds=1, units=6, per_unit=3)[0]


class Loading(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def put(self, name, record):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(record if isinstance(record, str) else json.dumps(record), encoding="utf-8")

    def refused(self, *parts):
        with self.assertRaises(records.RecordError) as caught:
            records.load([self.folder])
        for part in parts:
            self.assertIn(part, str(caught.exception))

    def test_valid_records_load_in_one_order(self):
        for i, one in enumerate(reversed(synthetic.everything())):
            self.put("r/%d.json" % i, one)
        loaded = records.load([self.folder]).records
        self.assertEqual(loaded, records.RecordSet(synthetic.everything()).records)

    def test_selection_on_test_data_is_refused(self):
        one = valid()
        one["protocol"]["selection_split"] = "test"
        self.put("bad.json", one)
        self.refused("bad.json", "selection_split", "valid")

    def test_a_time_without_a_check_is_refused(self):
        one = synthetic.record("e", "throughput", "d/t", timings=[synthetic.timing("a", 1e6, random.Random(1))])
        one["timings"][0]["checked"] = False
        self.put("bad.json", one)
        self.refused("checked")

    def test_too_few_samples_are_refused(self):
        one = synthetic.record("e", "throughput", "d/t", timings=[synthetic.timing("a", 1e6, random.Random(1), n=11)])
        self.put("bad.json", one)
        self.refused("samples_ns", "11", "12")

    def test_broken_text_nan_and_infinity_are_refused_by_name(self):
        self.put("cut.json", json.dumps(valid())[:200])
        self.put("nan.json", json.dumps(valid()).replace('"wall_s": 1.5', '"wall_s": NaN'))
        self.put("huge.json", json.dumps(valid()).replace('"wall_s": 1.5', '"wall_s": 1e999'))
        self.refused("cut.json", "nan.json", "huge.json")

    def test_another_schema_is_refused_and_not_skipped(self):
        self.put("good.json", valid())
        self.put("other.json", {**valid(), "schema": "hocket.record/2"})
        self.refused("other.json", "hocket.record/1")

    def test_unknown_fields_are_refused(self):
        self.put("bad.json", {**valid(), "score": 1})
        self.refused("'score' is not a known field")

    def test_arrays_must_fit_together(self):
        one = valid()
        one["items"]["predicted"].pop()
        self.put("bad.json", one)
        self.refused("items.predicted", "17", "18")

    def test_one_key_with_two_contents_names_both_files(self):
        one, other = valid(), valid()
        other["metrics"][0]["value"] = 0.123
        self.put("first.json", one)
        self.put("second.json", other)
        self.refused("first.json", "second.json", one["key"])

    def test_the_same_run_twice_counts_once(self):
        one, other = valid(), valid()
        other["provenance"]["created_utc"] = "2026-02-02T00:00:00Z"
        self.put("first.json", one)
        self.put("second.json", other)
        loaded = records.load([self.folder])
        self.assertEqual((len(loaded.records), loaded.duplicates), (1, 1))

    def test_the_newest_version_of_a_case_is_kept_and_the_older_named(self):
        one, other = valid(), valid()
        other["key"] = "f" * 16
        other["provenance"]["created_utc"] = "2027-01-01T00:00:00Z"
        self.put("first.json", one)
        self.put("second.json", other)
        loaded = records.load([self.folder])
        self.assertEqual([r["key"] for r in loaded.records], [other["key"]])
        self.assertEqual([r["key"] for r in loaded.superseded], [one["key"]])

    def test_temporary_files_and_the_drivers_folders_are_not_records(self):
        self.put("good.json", valid())
        for name in (".half.json", "cache/stage.json", "superseded/old.json", "journal.jsonl"):
            self.put(name, "no record")
        self.assertEqual(len(records.load([self.folder]).records), 1)

    def test_no_record_at_all_is_an_error(self):
        self.refused("no record found")
        with self.assertRaises(records.RecordError):
            records.load([self.folder / "missing"])


class Validator(unittest.TestCase):
    def test_agrees_with_jsonschema_on_mutated_records(self):
        try:
            import jsonschema
        except ImportError:
            self.skipTest("jsonschema is not installed")
        schema = json.loads(records.SCHEMA_PATH.read_text(encoding="utf-8"))
        judge = jsonschema.Draft202012Validator(schema)
        rng = random.Random(3)
        base = [valid()] + synthetic.peers(rng) + synthetic.bench(rng)[:2] + synthetic.pca(rng)[-1:]
        verdicts = {True: 0, False: 0}
        for i in range(600):
            one = copy.deepcopy(base[i % len(base)])
            if i >= len(base):
                mutate(one, rng)
            ours, theirs = not records.violations(one, schema), judge.is_valid(one)
            verdicts[theirs] += 1
            self.assertEqual(ours, theirs, json.dumps(one)[:400])
        self.assertGreater(min(verdicts.values()), 50)


def mutate(record, rng):
    """Breaks, or does not break, one random place of a record."""
    here, place = record, None
    while isinstance(here, (dict, list)) and here:
        place = (here, rng.choice(list(here)) if isinstance(here, dict) else rng.randrange(len(here)))
        here = place[0][place[1]]
        if rng.random() < 0.35:
            break
    owner, name = place
    what = rng.randrange(4)
    if what == 0 and isinstance(owner, dict):
        del owner[name]
    elif what == 1 and isinstance(owner, dict):
        owner["extra"] = 1
    else:
        owner[name] = rng.choice([None, True, 3, 2.0, -1.5, "text", "", [], [1.0, 2.0], {}, {"a": 1}, ["x"] * 13])


class Trust(unittest.TestCase):
    def banners(self, change):
        made = synthetic.quality("style", {"mel": 0.6, "mfcc": 0.7})
        change(made)
        record_set = records.RecordSet(made)
        return {b.level: " ".join(b.items) for b in context.trust(record_set, analysis.boards(record_set))}

    def expect(self, level, words, change):
        self.assertIn(words, self.banners(change).get(level, ""))

    def test_a_clean_set_has_no_banner(self):
        self.assertEqual(self.banners(lambda made: None), {})

    def test_what_breaks_trust(self):
        def fail(made):
            made[0].update(status="failed", error={"kind": "crashed", "message": "signal 11"})

        self.expect("broken", "1 case failed", fail)
        self.expect("broken", "built as Debug", lambda made: made[0]["provenance"].update(build_type="Debug"))
        self.expect("broken", "uncommitted", lambda made: made[0]["provenance"].update(git_dirty=True))
        self.expect("broken", "generated data", lambda made: made[0]["data"][0].update(synthetic=True))
        self.expect("broken", "different contents", lambda made: made[0]["data"][0].update(sha256="0"))
        self.expect("broken", "tuning budgets differ", lambda made: made[0]["protocol"].update(tuning_trials=99))
        self.expect("broken", "its answers give", lambda made: made[0]["metrics"][0].update(value=0.99))

    def test_a_ratio_that_its_rounds_do_not_give(self):
        one = synthetic.ratio("a", 0.5, random.Random(1))
        one.update(ratio=0.4, ci95=[0.39, 0.41])
        self.expect(
            "broken", "its rounds give", lambda made: made.append(synthetic.record("e", "compare", "d/c", ratios=[one]))
        )

    def test_what_asks_for_caution(self):
        self.expect("caution", "embedded", lambda made: made[0]["data"][0].update(embedded=True))
        self.expect("caution", "Fewer than 5", lambda made: made.pop())
        self.expect("caution", "several versions", lambda made: made[0]["provenance"].update(code_digest="other"))
        self.expect(
            "caution", "did not answer the same items", lambda made: made[0]["items"].update(ids_sha256="other")
        )
        self.expect(
            "caution",
            "not run",
            lambda made: made.append(
                synthetic.record(
                    "e", "quality", "d/x", status="not_run", error={"kind": "bad_file", "message": "no data"}
                )
            ),
        )


if __name__ == "__main__":
    unittest.main()
