"""./hocket test: builds, runs every test program and counts them. The last line is `N passed, N failed, N skipped`."""
import os
import shutil
import subprocess
import time
import xml.etree.ElementTree

from . import build, machine
from .machine import Trouble, say


class Tally:
    def __init__(self):
        self.passed, self.failed, self.skipped = [], [], []

    def add(self, stage, name, status):
        {"run": self.passed, "fail": self.failed}.get(status, self.skipped).append(f"{stage}{name}")

    def close(self):
        for name in self.failed:
            print(f"FAILED  {name}")
        for name in self.skipped:
            print(f"skipped {name}")
        print(f"{len(self.passed)} passed, {len(self.failed)} failed, {len(self.skipped)} skipped", flush=True)
        return 1 if self.failed else 0


def ctest(tally, preset, stage="", extra=(), environment=None, timeout=900):
    """Runs the tests of one build and adds what became of each."""
    results = build.LOGS / f"ctest-{preset}{stage.replace('/', '-').replace(' ', '-')}.xml"
    build.LOGS.mkdir(parents=True, exist_ok=True)
    results.unlink(missing_ok=True)
    started = time.monotonic()
    command = ["ctest", "--test-dir", str(build.folder(preset)), "--output-on-failure", "--no-tests=error", "--timeout", str(timeout),
               "-j", str(build.jobs()), "--output-junit", str(results), *extra]
    done = subprocess.run(command, cwd=machine.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", env={**os.environ, **(environment or {})})
    (build.LOGS / results.with_suffix(".log").name).write_text(done.stdout, encoding="utf-8")
    if done.returncode != 0:
        print(done.stdout[-20000:], flush=True)
    if not results.is_file():
        tally.add(stage, "ctest itself", "fail")
        return
    cases = xml.etree.ElementTree.parse(results).getroot().findall("testcase")
    for case in cases:
        status = case.get("status", "fail")
        skipped = case.find("skipped")
        if status not in ("run", "fail") and skipped is not None and "SKIP" not in (skipped.get("message") or "").upper():
            status = "fail"  # could not be started
        tally.add(stage, case.get("name"), status)
    say(f"hocket: {stage or preset}: {len(cases)} test programs in {time.monotonic() - started:.0f} s")


def built(tally, preset, stage, definitions=(), targets=()):
    """Builds for a stage; a failure is one failed test, and the other stages go on."""
    try:
        build.build(preset, targets, definitions)
        tally.add(stage, "build", "run")
        return True
    except Trouble as trouble:
        print(trouble, flush=True)
        tally.add(stage, "build", "fail")
        return False


def run(full):
    tally = Tally()
    try:
        machine.install(machine.BUILD + machine.CHECKS + (machine.FULL_CHECKS if full else []))
        python = machine.python_for_reports()
    except Trouble as trouble:
        print(f"hocket: {trouble}")
        tally.add("", "set-up", "fail")
        return tally.close() and trouble.code
    definitions = [f"-DHOCKET_PYTHON={python}"]
    if built(tally, "release", "release ", definitions):
        ctest(tally, "release", extra=["-C", "Release"])
    if full:
        run_full(tally, definitions)
    return tally.close()


def run_full(tally, definitions):
    rooms = ["-L", "room"]
    if (build.folder("release") / "CTestTestfile.cmake").is_file():
        ctest(tally, "release", "long ", ["-C", "full", "-L", "long"], timeout=3000)
        ctest(tally, "release", "every compiler ", ["-R", "^headers_alone$"], {"HOCKET_EVERY_HEADER": "1"}, timeout=3000)
        for isa in ("baseline", "avx2", "avx512"):
            ctest(tally, "release", f"isa {isa} ", rooms, {"HOCKET_ISA": isa})
    if built(tally, "debug", "sanitizers ", definitions):
        options = {"ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1", "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}
        ctest(tally, "debug", "sanitizers ", rooms, options, timeout=3000)
    if built(tally, "portable", "portable ", definitions):
        ctest(tally, "portable", "portable ", rooms)
    if shutil.which("clang++-16") or shutil.which("clang++"):
        if built(tally, "clang", "clang ", definitions + [f"-DCMAKE_CXX_COMPILER={shutil.which('clang++-16') or 'clang++'}"]):
            ctest(tally, "clang", "clang ", rooms)
    else:
        tally.add("clang ", "no clang++ on this machine", "skipped")
