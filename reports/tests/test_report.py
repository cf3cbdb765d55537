"""The same records give the same bytes, the command line keeps its exit codes, and every section says what it must."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from reports import analysis, compare, document, html, readme_table, records, render, statistics, verdicts
from reports import format as fmt
from reports.tests import synthetic

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 5_000_000  # bytes of index.html


def run(program, *arguments, **environment):
    """A program of reports/ in a process of its own."""
    return subprocess.run(
        [sys.executable, str(ROOT / "reports" / program), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        cwd=ROOT,
        timeout=300,
    )


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def built(made):
    return render.build(records.RecordSet(made))[0]


def small(randomness=7):
    """Every kind of record, few of each."""
    rng = random.Random(randomness)
    arms = {"mel": 0.6, "mfcc": 0.8, "mfcc/pca=2": 0.5, "mfcc/pca=4": 0.6, "mfcc/pca=8": 0.7}
    out = synthetic.quality("style", arms, units=30, per_unit=4)
    out.append(
        synthetic.record(
            "audio_features",
            "throughput",
            "style/throughput",
            data=[synthetic.data("style")],
            timings=[synthetic.timing(arm, 1e6 * (i + 1), rng) for i, arm in enumerate(arms)],
        )
    )
    return out + synthetic.pca(rng)[-2:] + synthetic.bench(rng) + synthetic.peers(rng)


class Bytes(unittest.TestCase):
    def test_order_locale_time_zone_and_hash_seed_do_not_matter(self):
        made = small()
        settings = [
            dict(LC_ALL="C", TZ="UTC", PYTHONHASHSEED="0"),
            dict(LC_ALL="de_DE.UTF-8", TZ="Asia/Kathmandu", PYTHONHASHSEED="1"),
            dict(LC_ALL="C.UTF-8", TZ="America/St_Johns", PYTHONHASHSEED="4242", PYTHONUTF8="0"),
        ]
        seen = []
        for i, environment in enumerate(settings):
            with tempfile.TemporaryDirectory() as folder:
                mixed = list(made)
                random.Random(i).shuffle(mixed)
                for j, one in enumerate(mixed):  # other file names, other folders, other order of the keys
                    path = Path(folder) / "results" / str(j % (i + 1)) / ("%d.json" % ((j * 7919) % 10007))
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(json.dumps(one, sort_keys=bool(i % 2)), encoding="utf-8")
                done = run(
                    "render.py", "--results", Path(folder) / "results", "--out", Path(folder) / "out", **environment
                )
                self.assertEqual(done.returncode, 0, done.stderr)
                seen.append(digests(Path(folder) / "out"))
        self.assertIn("index.html", seen[0])
        self.assertGreater(len(seen[0]), 20)
        for other in seen[1:]:
            self.assertEqual(seen[0], other)

    def test_another_number_gives_other_bytes(self):
        made = small()
        before = render.files(*render.build(records.RecordSet(made)))
        made[0]["items"]["predicted"][0] ^= 1
        made[0]["metrics"][0]["value"] = None
        after = render.files(*render.build(records.RecordSet(made)))
        self.assertNotEqual(before["index.html"], after["index.html"])


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = render.files(*render.build(records.RecordSet(synthetic.everything())))
        cls.page = cls.files["index.html"]

    def test_one_self_contained_file_of_limited_size(self):
        self.assertLess(len(self.page.encode()), LIMIT)
        for mark in ("http-equiv", "@import", "src=", '<link rel="stylesheet'):
            self.assertNotIn(mark, self.page)
        links = set(re.findall(r'(?:href|src)="([a-z]+:[^"]{0,30})', self.page)) | set(
            re.findall(r"url\(([^#][^)]*)\)", self.page)
        )
        self.assertTrue(all(link.startswith("data:") for link in links), links)

    def test_ids_are_unique_and_every_reference_resolves(self):
        ids = re.findall(r'\bid="([^"]+)"', self.page)
        self.assertEqual(len(ids), len(set(ids)), [i for i in set(ids) if ids.count(i) > 1][:5])
        for target in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', self.page):
            self.assertIn(target[0] or target[1], ids)

    def test_every_plot_has_its_numbers_and_its_command(self):
        plots = [name[6:-4] for name in self.files if name.startswith("plots/") and name.endswith(".svg")]
        self.assertGreater(len(plots), 10)
        for name in plots:
            self.assertIn("plots/%s.csv" % name, self.files)
            block = self.page[self.page.index('<figure class="plot" id="plot-%s">' % name) :]
            block = block[: block.index("</figure>")]
            self.assertIn("<summary>Command</summary>", block)
            self.assertIn("CSV", block)
            self.assertNotRegex(block, r">\s*(nan|inf)\b")

    def test_no_section_is_missing(self):
        for title in (
            "Verdict",
            "audio_features / style",
            "pca_rank / digits",
            "Curves",
            "Against peers and limits",
            "Throughput",
            "Kernels",
            "Parity",
            "Protocol",
            "Failures",
            "Environment",
            "Reproduce",
        ):
            self.assertIn("<h2>%s</h2>" % title, self.page)
            self.assertIn("## " + title.replace("_", "\\_"), self.files["report.md"])

    def test_losses_failures_and_limits_are_shown(self):
        for words in (
            "missed",
            "scikit-learn is not installed",
            "style is confounded with composer and mastering",
            "1 speed target",
        ):
            self.assertIn(words.replace("1 speed target", "speed targets are"), self.page)

    def test_text_of_records_is_no_markup(self):
        made = small()
        for one in made:
            one["case"] = one["case"].replace("mel", "<script>alert(1)</script>|`**x")
        made.append(
            synthetic.record(
                "e", "quality", "d/<b>", status="failed", error={"kind": "x", "message": "<img src=x> `a` **b** | c"}
            )
        )
        files = render.files(*render.build(records.RecordSet(made)))
        self.assertNotIn("<script>alert", files["index.html"])
        self.assertNotIn("<img", files["index.html"])
        self.assertNotIn("<img", files["report.md"])

    def test_files_of_an_earlier_report_are_removed(self):
        with tempfile.TemporaryDirectory() as folder:
            render.write({"index.html": "a", "plots/old.svg": "b", "tables/old.csv": "c"}, folder)
            render.write({"index.html": "a", "plots/new.svg": "b"}, folder)
            self.assertEqual(sorted(digests(folder)), ["index.html", "plots/new.svg"])


class Content(unittest.TestCase):
    def board(self, arms, **options):
        return analysis.boards(records.RecordSet(synthetic.quality("style", arms, **options)))[0]

    def test_clear_winner_and_its_sentence(self):
        board = self.board({"good": 0.9, "poor": 0.4})
        self.assertEqual([a.name for a in board.ordered()], ["good", "poor"])
        self.assertEqual((board.arms["good"].rank, board.arms["poor"].rank), ((1, 1), (2, 2)))
        self.assertRegex(
            verdicts.board_verdicts(board)[1].text,
            r"\*\*good\*\* beats \*\*poor\*\* by \d+\.\d points \[\d+\.\d, \d+\.\d\], Holm p\W+\.001",
        )

    def test_what_is_not_separable_is_not_ranked(self):
        board = self.board({"one": 0.7, "two": 0.7}, units=20, per_unit=4)
        self.assertEqual({a.rank for a in board.arms.values()}, {(1, 2)})
        said = verdicts.board_verdicts(board)
        self.assertIn("none of 2 arms is separable", said[0].text)
        self.assertRegex(said[1].text, r"could be resolved: .* these 20 tracks can resolve \d+\.\d points")

    def test_pooled_accuracy_is_that_of_the_answers_and_intervals_are_apart(self):
        made = synthetic.quality("style", {"mel": 0.6}, folds=5)
        board = analysis.boards(records.RecordSet(made))[0]
        metric = board.arms["mel"].metrics["accuracy"]
        right = sum(t == p for r in made for t, p in zip(r["items"]["truth"], r["items"]["predicted"]))
        total = sum(len(r["items"]["truth"]) for r in made)
        self.assertAlmostEqual(metric.value, right / total, places=12)
        self.assertEqual((board.units, board.items, len(metric.runs)), (60, 600, 5))
        self.assertGreater(metric.test[1] - metric.test[0], metric.seed[1] - metric.seed[0])  # few tracks, many seeds

    def test_folds_are_the_repetitions_of_a_single_seed(self):
        board = self.board({"mel": 0.6, "mfcc": 0.7}, seeds=1, folds=5)
        self.assertEqual(board.repetition, "folds")
        self.assertEqual(len(board.arms["mel"].metrics["accuracy"].runs), 5)

    def test_folds_that_number_their_units_alike_are_kept_apart(self):
        made = synthetic.quality("style", {"mel": 0.6}, seeds=1, folds=5)
        for one in made:
            numbers = sorted(set(one["items"]["unit"]))
            one["items"]["unit"] = [numbers.index(u) for u in one["items"]["unit"]]
        self.assertEqual(analysis.boards(records.RecordSet(made))[0].units, 60)

    def test_macro_f1_is_the_mean_over_classes_in_truth_or_answers(self):
        import numpy as np

        confusion = np.array([[8, 2, 0, 0], [1, 8, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]])
        f = [2 * 8 / (10 + 9), 2 * 8 / (10 + 10), 0.0]  # the third class is nowhere, the fourth only answered
        self.assertAlmostEqual(float(analysis.macro_f1(confusion)), sum(f) / 3, places=12)

    def test_holm_spans_a_family_of_several_data_sets(self):
        made = synthetic.quality("style", {"a": 0.6, "b": 0.66}) + synthetic.quality(
            "drums", {"a": 0.6, "b": 0.66, "c": 0.7}, randomness=9
        )
        apart = analysis.boards(records.RecordSet(made))
        for one in made:
            one["protocol"]["family"] = "both"
        together = analysis.boards(records.RecordSet(made))
        for first, second in zip(apart, together):
            for pair, one in first.comparisons.items():
                self.assertGreaterEqual(second.comparisons[pair].holm_p, one.holm_p)
        p = [one.p for board in together for (a, b), one in board.comparisons.items() if a < b]
        wanted = statistics.holm(p)
        self.assertEqual(
            [one.holm_p for board in together for (a, b), one in board.comparisons.items() if a < b], wanted
        )

    def test_machines_never_share_a_table(self):
        made = small()
        other = json.loads(json.dumps(made))
        for one in other:
            one["machine"].update(fingerprint="fedcba9876543210", cpu="Other CPU")
        document_ = built(made + other)
        for table in document_.blocks(document.Table):
            if table.name.startswith(("ratios", "throughput", "bench")):
                self.assertTrue(("0123456789abcdef" in table.name) != ("fedcba9876543210" in table.name), table.name)

    def test_a_case_that_failed_for_one_seed_leaves_its_arm_unranked_and_named(self):
        made = synthetic.quality("style", {"a": 0.6, "b": 0.7, "c": 0.7})
        made[0].update(status="failed", error={"kind": "timeout", "message": "after 900 s"})
        board = analysis.boards(records.RecordSet(made))[0]
        self.assertEqual(board.unpaired, ["a"])
        self.assertIsNone(board.arms["a"].rank)
        self.assertIn("after 900 s", render.files(*render.build(records.RecordSet(made)))["report.md"])

    def test_arms_that_a_finished_case_could_not_run_are_named(self):
        made = small()
        made[-2]["config"]["not run: essentia"] = "is not installed"
        made[-2]["config"]["not run: cuda"] = "no_device: no CUDA device on this machine"
        made[-2]["status"] = "ok"
        files = render.files(*render.build(records.RecordSet(made)))
        self.assertIn("essentia", files["index.html"])
        self.assertIn("| no\\_device | no CUDA device on this machine |", files["report.md"])
        self.assertIn("2 arms or checks are missing from finished cases: cuda and essentia", files["report.md"])


class Cuda(unittest.TestCase):
    """What was timed and checked on a GPU beside records of the processor."""

    @classmethod
    def setUpClass(cls):
        cls.made = built(small() + synthetic.cuda(random.Random(7)))
        cls.files = render.files(cls.made, ("commands", document.Data([], [])))
        cls.tables = {table.name: table for table in cls.made.blocks(document.Table)}

    def texts(self, table):
        return [[cell.text for cell in row] for row in self.tables[table].rows]

    def test_the_gpu_is_named_where_its_figures_stand_and_nowhere_else(self):
        self.assertTrue(self.made.subtitle.endswith(" and " + synthetic.GPU), self.made.subtitle)
        for name in ("bench-bench-product", "ratios", "parity-gpu-day-" + fmt.slug(synthetic.GPU)):
            self.assertIn("GPU: %s." % synthetic.GPU, self.tables[name].caption)
        for name in ("bench-bench-fft", "throughput", "parity-audio-features"):
            self.assertNotIn("GPU", self.tables[name].caption)
        self.assertIn(["graphics processor", synthetic.GPU], self.texts("machines"))
        missed = [v.text for v in self.made.blocks(document.Verdict) if "cublas" in v.text]
        self.assertEqual(len(missed), 1)
        self.assertRegex(missed[0], r"^product on %s: .*\*\*missed\*\*" % synthetic.GPU)

    def test_kernels_have_a_heading_and_no_column_that_says_nothing(self):
        text = self.files["report.md"]
        self.assertRegex(text, r"\*\*product\*\*\n\n\| case \| arm \| type \| time \|")  # host threads of a GPU arm
        self.assertIn("threads", [c.title for c in self.tables["bench-bench-fft"].columns])
        rows = self.texts("bench-bench-product")
        self.assertEqual([row[:3] for row in rows], [["n=4096", "cuda mma", "f16"], ["n=4096", "cublas", "f16"]])
        self.assertRegex(rows[0][5], r"^\d\d\d,\d\d\d$")

    def test_a_remark_of_the_configuration_stands_with_the_arm_that_it_names(self):
        self.assertIn("cublas: another process on another card.", self.files["report.md"])

    def test_parity_is_told_apart_by_experiment_and_a_single_peer_is_said_once(self):
        name = "parity-gpu-day-" + fmt.slug(synthetic.GPU)
        self.assertNotIn("peer", [c.title for c in self.tables[name].columns])
        self.assertIn("Compared with reference.hpp 0.1.0.", self.files["report.md"])
        self.assertIn("librosa-0.11 is compared with librosa 1.0.", self.files["report.md"])

    def test_what_a_sanitizer_found_is_shown_with_its_remark(self):
        name = "parity-gpu-day-%s-metrics" % fmt.slug(synthetic.GPU)
        self.assertEqual(
            self.texts(name),
            [
                ["errors of compute-sanitizer", "initcheck", "189", "errors", "all of them the check's own"],
                ["errors of compute-sanitizer", "memcheck", "0", "errors", "–"],
            ],
        )

    def test_a_tall_table_scrolls_and_a_long_cell_breaks_after_a_slash(self):
        page = self.files["index.html"]
        tall = [name for name, table in self.tables.items() if len(table.rows) > html.TALL]
        self.assertIn("parity-gpu-day-" + fmt.slug(synthetic.GPU), tall)
        self.assertEqual(page.count('<div class="scroll tall"'), len(tall))
        self.assertIn("kernels/<wbr>%s: large sizes" % synthetic.GPU, page)
        self.assertNotIn("</<wbr>", page)


class CommandLine(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def code(self, change=None, *more):
        made = synthetic.quality("style", {"mel": 0.6, "mfcc": 0.8}, units=10, per_unit=3)
        if change:
            change(made)
        synthetic.write(made, self.folder / "in")
        return run("render.py", "--results", self.folder / "in", "--out", self.folder / "out", *more).returncode

    def test_exit_codes(self):
        self.assertEqual(self.code(), 0)
        self.assertEqual(self.code(lambda made: made[0]["data"][0].update(embedded=True)), 0)
        self.assertEqual(self.code(None, "--unknown"), 2)
        self.assertEqual(run("render.py").returncode, 2)

    def test_broken_trust_is_three_and_the_report_is_written(self):
        self.assertEqual(self.code(lambda made: made[0]["provenance"].update(git_dirty=True)), 3)
        self.assertIn("uncommitted", (self.folder / "out" / "index.html").read_text(encoding="utf-8"))

    def test_uncommitted_changes_can_be_a_caution_and_nothing_else_can(self):
        def dirty(made):
            made[0]["provenance"].update(git_dirty=True)

        def dirty_and_slow(made):
            made[0]["provenance"].update(git_dirty=True, build_type="Debug")

        self.assertEqual(self.code(dirty, "--allow-dirty"), 0)
        self.assertIn("uncommitted", (self.folder / "out" / "index.html").read_text(encoding="utf-8"))
        self.assertEqual(self.code(dirty_and_slow, "--allow-dirty"), 3)

    def test_selection_on_test_data_is_four_and_nothing_is_written(self):
        self.assertEqual(self.code(lambda made: made[0]["protocol"].update(selection_split="test")), 4)
        self.assertFalse((self.folder / "out").exists())

    def test_compare_names_what_was_lost(self):
        made = small()
        synthetic.write(made, self.folder / "a")
        changed = json.loads(json.dumps(made))
        for one in changed:
            for ratio in one.get("ratios", ()):
                if ratio["target"] == 1.35:
                    ratio.update(met=False, target=1.2)
        synthetic.write(changed, self.folder / "b")
        same = run("compare.py", "--before", self.folder / "a", "--after", self.folder / "a")
        self.assertEqual(same.returncode, compare.EXIT_SAME, same.stderr)
        self.assertIn("0 changed", same.stdout)
        worse = run("compare.py", "--before", self.folder / "a", "--after", self.folder / "b", PYTHONIOENCODING="ascii")
        self.assertEqual(worse.returncode, compare.EXIT_WORSE, worse.stderr)
        self.assertIn("FFTW arm", worse.stdout)
        self.assertEqual(
            run("compare.py", "--before", self.folder / "none", "--after", self.folder / "a").returncode, 4
        )


class Readme(unittest.TestCase):
    def test_the_readme_shows_the_published_records(self):
        if not list(readme_table.PUBLISHED.rglob("*.json")):
            self.skipTest("no published records yet")
        self.assertEqual(readme_table.main(["--check"]), 0)

    def test_table_and_plot_from_records(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            synthetic.write(small(), root / "reports" / "published")
            (root / "README.md").write_text(
                "before\n%s\nobsolete\n%s\nafter\n" % (readme_table.BEGIN, readme_table.END), encoding="utf-8"
            )
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                self.assertEqual(readme_table.main(["--check"], root), 1)
                self.assertEqual(readme_table.main([], root), 0)
                self.assertEqual(readme_table.main(["--check"], root), 0)
            self.assertIn("is not what the published records give", said.getvalue())
            text = (root / "README.md").read_text(encoding="utf-8")
            self.assertTrue(text.startswith("before\n") and text.endswith("after\n") and "obsolete" not in text)
            plot = re.search(r"\]\((reports/published/[^)]+\.svg)\)", text).group(1)
            self.assertIn("prefers-color-scheme: dark", (root / plot).read_text(encoding="utf-8"))
            self.assertRegex(text, r"\| 1 \| \*\*mfcc\*\* \|")

    def test_records_of_uncommitted_code_are_not_shown(self):
        made = small()
        made[0]["provenance"] = {**made[0]["provenance"], "git_dirty": True}
        with tempfile.TemporaryDirectory() as folder:
            synthetic.write(made, Path(folder))
            with self.assertRaisesRegex(records.RecordError, "uncommitted code"):
                readme_table.made(Path(folder))


if __name__ == "__main__":
    unittest.main()
