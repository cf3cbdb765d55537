"""./hocket: usage errors, versions, what it says when packages cannot be installed, how tests are counted."""
import contextlib
import importlib.util
import io
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from frontdoor import build, checks, command_line, machine  # noqa: E402


def hocket(*arguments):
    done = subprocess.run([sys.executable, str(ROOT / "hocket"), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, cwd="/")
    return done.returncode, done.stdout, done.stderr


class Usage(unittest.TestCase):
    def test_version_is_that_of_cmake_and_of_the_header(self):
        code, out, _ = hocket("--version")
        declared = re.search(r"project\(hocket VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")).group(1)
        citation = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M).group(1)
        self.assertEqual((code, out.split()[:2]), (0, ["hocket", declared]))
        self.assertEqual(citation, declared)
        self.assertIn(f"## [{declared}]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))

    def test_help_names_every_verb(self):
        code, out, _ = hocket("--help")
        self.assertEqual(code, 0)
        for verb in ("quick", "run", "report", "test", "fetch", "compare", "setup"):
            self.assertRegex(out, rf"(?m)^    {verb} ")

    def test_wrong_use_is_exit_2(self):
        for wrong in (["qiuck"], [], ["test", "--ful"], ["quick", "extra"], ["run", "--only", "nothing"], ["fetch", "no_such_set"]):
            code, _, err = hocket(*wrong)
            self.assertEqual(code, 2, wrong)
            self.assertTrue(err, wrong)


class Packages(unittest.TestCase):
    missing = [machine.Need(["libeigen3-dev"], lambda: False, "linear algebra"),
               machine.Need(["libdnnl-dev"], lambda: False, "the oneDNN arms", required=False)]

    def test_neither_root_nor_sudo(self):
        with mock.patch.object(machine, "elevation", return_value=None), mock.patch("shutil.which", return_value="/usr/bin/apt-get"):
            with self.assertRaises(machine.Trouble) as caught:
                machine.install(self.missing)
        self.assertEqual(caught.exception.code, 5)
        self.assertIn("apt-get install -y libeigen3-dev libdnnl-dev", str(caught.exception))

    def test_no_apt(self):
        with mock.patch("shutil.which", return_value=None), self.assertRaisesRegex(machine.Trouble, "no apt-get"):
            machine.install(self.missing)

    def test_missing_optional_packages_do_not_stop(self):
        out = io.StringIO()
        with mock.patch.object(machine, "elevation", return_value=None), contextlib.redirect_stderr(out):
            machine.install(self.missing[1:])
        self.assertIn("going on without optional packages: libdnnl-dev", out.getvalue())

    def test_unknown_to_apt(self):
        out = io.StringIO()
        with mock.patch.object(machine, "elevation", return_value=[]), mock.patch.object(machine, "apt", return_value=(True, "")), \
                mock.patch.object(machine, "known_to_apt", return_value=False), contextlib.redirect_stderr(out):
            machine.install(self.missing[1:])
            with self.assertRaisesRegex(machine.Trouble, "knows no package libeigen3-dev"):
                machine.install(self.missing[:1])
        self.assertIn("going on without libdnnl-dev", out.getvalue())

    def test_install_that_does_not_help(self):
        with mock.patch.object(machine, "elevation", return_value=[]), mock.patch.object(machine, "apt", return_value=(False, "E: broken")), \
                mock.patch.object(machine, "known_to_apt", return_value=True), contextlib.redirect_stderr(io.StringIO()):
            with self.assertRaisesRegex(machine.Trouble, "still missing"):
                machine.install(self.missing[:1])

    def test_nothing_missing_asks_nobody(self):
        with mock.patch.object(machine, "apt", side_effect=AssertionError("apt was called")):
            machine.install([machine.Need(["x"], lambda: True, "y")])


class Counting(unittest.TestCase):
    def junit(self, text, returncode=0):
        """What the tally says after ctest wrote `text`."""
        tally = checks.Tally()
        with tempfile.TemporaryDirectory() as folder:
            def ctest(command, **_):
                if text is not None:
                    Path(command[command.index("--output-junit") + 1]).write_text(text, encoding="utf-8")
                return subprocess.CompletedProcess(command, returncode, "output")

            with mock.patch.object(build, "LOGS", Path(folder)), mock.patch("subprocess.run", ctest), \
                    contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                checks.ctest(tally, "release")
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = tally.close()
        return code, out.getvalue().splitlines()

    def test_counts(self):
        cases = ('<testsuite><testcase name="core" status="run"/><testcase name="fft" status="fail"><failure/></testcase>'
                 '<testcase name="reports" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase>'
                 '<testcase name="gone" status="notrun"><skipped message="Unable to find executable"/></testcase></testsuite>')
        code, lines = self.junit(cases, 8)
        self.assertEqual((code, lines[-1]), (1, "1 passed, 2 failed, 1 skipped"))
        self.assertEqual(lines[:-1], ["FAILED  fft", "FAILED  gone", "skipped reports"])

    def test_all_good(self):
        self.assertEqual(self.junit('<testsuite><testcase name="core" status="run"/></testsuite>'), (0, ["1 passed, 0 failed, 0 skipped"]))

    def test_ctest_that_writes_nothing_is_a_failure(self):
        code, lines = self.junit(None, 1)
        self.assertEqual((code, lines[-1]), (1, "0 passed, 1 failed, 0 skipped"))

    def test_a_build_that_fails_is_a_failed_test(self):
        tally = checks.Tally()
        with mock.patch.object(build, "build", side_effect=machine.Trouble(3, "broken")), contextlib.redirect_stdout(io.StringIO()):
            self.assertFalse(checks.built(tally, "release", "release "))
        self.assertEqual(tally.failed, ["release build"])


class Report(unittest.TestCase):
    def rendered(self, **provenance):
        """Exit code, standard output and standard error of `./hocket report` on one record, whose provenance is changed."""
        from reports.tests import synthetic
        made = synthetic.quality("style", {"mel": 0.6, "mfcc": 0.8}, units=10, per_unit=3)
        made[0]["provenance"].update(provenance)
        with tempfile.TemporaryDirectory() as folder:
            synthetic.write(made, Path(folder) / "in")
            script = ("import sys; sys.path.insert(0, 'scripts')\n"
                      "from pathlib import Path\nfrom frontdoor import command_line\n"
                      f"sys.exit(command_line.render(sys.executable, [Path({folder!r}) / 'in'], Path({folder!r}) / 'out'))")
            done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
            return done.returncode, done.stdout, done.stderr

    def setUp(self):
        if importlib.util.find_spec("matplotlib") is None:
            self.skipTest("matplotlib is not installed for this Python")

    def test_the_report_is_named_once(self):
        code, out, _ = self.rendered()
        self.assertEqual((code, out.count("index.html")), (0, 1))

    def test_uncommitted_changes_are_warned_of_and_do_not_fail(self):
        code, out, err = self.rendered(git_dirty=True)
        self.assertEqual((code, out.count("index.html")), (0, 1))
        self.assertIn("uncommitted changes", err)

    def test_other_broken_trust_is_3(self):
        self.assertEqual(self.rendered(build_type="Debug")[0], 3)


class Interruption(unittest.TestCase):
    def test_exit_code(self):
        with mock.patch.object(command_line, "quick", side_effect=KeyboardInterrupt), contextlib.redirect_stderr(io.StringIO()) as err:
            self.assertEqual(command_line.main(["quick"]), 130)
        self.assertIn("goes on where it stopped", err.getvalue())


if __name__ == "__main__":
    unittest.main()
