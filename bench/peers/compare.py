#!/usr/bin/env python3
"""Measured ratios of hocket against other libraries, each with its interval: docs/measuring.md.

  compare.py --list                     the cases, their targets and the peers they need
  compare.py CASE... [--json]           measure; one row per ratio, or JSON
  compare.py --all --results DIR        measure everything and write one record per case into DIR/compare
  compare.py --setup                    make the peers' own Python environment (pinned versions)

A case runs in a process of its own, pinned to as many processors as it has threads. Exit codes: 0 every target met,
1 one missed, 2 wrong use, 3 a case failed, 5 a case could not run (a peer or a library is missing).
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

import case as case_module  # noqa: E402
import fair  # noqa: E402
import record  # noqa: E402

# glibc's defaults hand large blocks back to the system after every call: for the peers that costs a page fault per page
# and call. With these they keep them, as a tuned service would.
MALLOC = {"MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(64 << 20), "MALLOC_MMAP_THRESHOLD_": str(1 << 32)}
# Removed from the environment of a case, then recorded: what is left over from elsewhere slows peers down unseen.
FOREIGN_PREFIXES = ("OMP_", "OPENBLAS_", "MKL_", "GOMP_", "KMP_", "MALLOC_", "GOTO_", "TORCH_", "NUMEXPR_")


def cache_folder() -> Path:
    return Path(os.environ.get("HOCKET_CACHE") or Path.home() / ".cache" / "hocket")


def peers_python() -> Path:
    return cache_folder() / "peers" / "bin" / "python"


def known_cases() -> dict:
    import cases_attention
    import cases_audio
    import cases_encoder
    import cases_fft
    import cases_gemm
    import cases_pca
    import cases_training
    modules = (cases_attention, cases_audio, cases_encoder, cases_fft, cases_gemm, cases_pca, cases_training)
    return {c.name: c for module in modules for c in module.CASES}


# --- building ---------------------------------------------------------------------------------------------------------

def ensure_library(build: Path, native: bool, log) -> Path:
    """The up-to-date libhocket_capi.so of a build directory; configures and builds it when needed."""
    if not (build / "CMakeCache.txt").exists():
        log(f"configuring {build}")
        generator = ["-G", "Ninja"] if subprocess.run(["which", "ninja"], capture_output=True).returncode == 0 else []
        subprocess.run(["cmake", "-S", str(ROOT), "-B", str(build), *generator, "-DCMAKE_BUILD_TYPE=Release",
                        f"-DHOCKET_NATIVE={'ON' if native else 'OFF'}"], check=True, stdout=sys.stderr)
    subprocess.run(["cmake", "--build", str(build), "--target", "hocket_capi", "-j", "2"], check=True, stdout=sys.stderr)
    return build / "lib" / "libhocket_capi.so"


def setup() -> int:
    python = peers_python()
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(python.parent.parent)], check=True, stdout=sys.stderr)
    subprocess.run([str(python), "-m", "pip", "install", "--disable-pip-version-check", "-q", "-r",
                    str(HERE / "requirements.txt")], check=True, stdout=sys.stderr)
    print(python)
    return 0


# --- one case, in its own process ---------------------------------------------------------------------------------------

def pin(threads: int):
    """Pins the process to `threads` processors; returns the two that the canary watches."""
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[:threads])
    return processors[0], processors[1 % len(processors)]


def run_case(chosen, options) -> dict:
    """Measures one case in this process and returns its record."""
    import ours
    started = time.monotonic()
    log = lambda text: print(f"{chosen.name}: {text}", file=sys.stderr, flush=True)  # noqa: E731
    libraries = {False: ours.Library(options.library)}
    given = json.loads(Path(options.given).read_text(encoding="utf-8"))
    context, code = given["context"], given["code"]
    watched = pin(chosen.threads)

    def library(native: bool = False):
        if native and native not in libraries:
            if not options.native_library:
                raise case_module.NotRun("the build for this machine's processor is missing")
            libraries[native] = ours.Library(options.native_library)
        return libraries[native]

    contest, rounds, error, status = None, None, None, "ok"
    cache = cache_folder() / "compare"
    cache.mkdir(parents=True, exist_ok=True)
    try:
        contest = chosen.build(case_module.Setting(library, chosen.threads, cache, log))
        settle = 0.03 if chosen.threads > 1 else 0.0  # what a spinning thread pool needs to fall asleep
        rounds = fair.measure(contest.arms, rounds=options.rounds or chosen.rounds, budget_s=chosen.budget_s,
                              settle_s=settle, canary=lambda: libraries[False].canary(watched))
        if rounds.count() < fair.MINIMUM_ROUNDS:
            status, error = "failed", {"kind": "unsteady", "message": (
                f"{rounds.count()} rounds were steady, {fair.MINIMUM_ROUNDS} are needed; {rounds.dropped} were dropped "
                "because the machine gave less than its best: try again when it is quiet")}
            rounds = None
        contest.config["pinned"] = f"all threads to {chosen.threads} processor(s)"
        contest.config["settle_s"] = str(settle)
    except (case_module.NotRun, ours.NotBuilt) as missing:
        status, error = "not_run", {"kind": "not_built", "message": str(missing)}
    except case_module.CheckFailed as wrong:
        status, error = "failed", {"kind": "check_failed", "message": str(wrong)}
    except Exception as broken:
        log(traceback.format_exc())
        status, error = "failed", {"kind": "exception", "message": f"{type(broken).__name__}: {broken}"}
    context["provenance"]["environment"] = {k: v for k, v in sorted(os.environ.items())
                                            if k.startswith((*FOREIGN_PREFIXES, "HOCKET_ISA"))}
    return record.build(chosen, status, context, command_of(chosen), code, error, contest, rounds, time.monotonic() - started)


def child(options, cases) -> int:
    chosen = cases[options.child]
    result = run_case(chosen, options)
    Path(options.out).write_text(json.dumps(result), encoding="utf-8")
    return 0


def command_of(chosen) -> list:
    return ["./hocket", "compare", chosen.name]


def spawn(chosen, options) -> dict:
    """Runs a case in a fresh process with a clean environment; returns its record."""
    import ours
    environment = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN_PREFIXES)}
    environment.update(MALLOC, OMP_NUM_THREADS=str(chosen.threads), PYTHONWARNINGS="ignore")
    python = peers_python() if peers_python().exists() else Path(sys.executable)
    with tempfile.TemporaryDirectory() as folder:
        out, given = Path(folder) / "record.json", Path(folder) / "given.json"
        # Described before the process is pinned: the number of usable processors is part of the machine.
        context, code = ours.Library(options.library).context(), record.code_digest(Path(options.library), HERE)
        given.write_text(json.dumps({"context": context, "code": code}), encoding="utf-8")
        arguments = [str(python), str(HERE / "compare.py"), "--child", chosen.name, "--out", str(out), "--given", str(given),
                     "--library", str(options.library), "--native-library", str(options.native_library or "")]
        if options.rounds:
            arguments += ["--rounds", str(options.rounds)]
        done = subprocess.run(arguments, env=environment, stdout=sys.stderr)
        if out.exists():
            return json.loads(out.read_text(encoding="utf-8"))
    error = {"kind": "crashed", "message": f"the process ended with code {done.returncode} and left no result"}
    return record.build(chosen, "failed", context, command_of(chosen), code, error)


# --- what is printed ------------------------------------------------------------------------------------------------------

def summary(result: dict) -> dict:
    """What --json prints: the first ratio on top, every ratio and time below."""
    out = {"case": result["case"], "status": result["status"], "error": result["error"],
           "threads": result["config"]["threads"]}
    ratios = result.get("ratios", [])
    if ratios:
        first = ratios[0]
        out.update({key: first[key] for key in ("name", "ratio", "ci95", "better", "target", "met", "numerator",
                                                "denominator", "denominator_version", "rounds_dropped")})
        out["rounds"] = len(first["log_ratios"])
    out["ratios"] = ratios
    out["timings"] = result.get("timings", [])
    out["not_run"] = [{"name": key[len("not run: "):], "reason": value} for key, value in result["config"].items()
                      if key.startswith("not run: ")]
    out["checks"] = result.get("parity", [])
    out["libraries"] = result["provenance"]["libraries"]
    out["machine"] = result["machine"]
    return out


def rows(result: dict):
    if result["status"] != "ok":
        what = "not run" if result["status"] == "not_run" else result["status"]
        yield f"{result['case']:26} {what}: {result['error']['message']}"
        return
    for ratio in result["ratios"]:
        sign = "<=" if ratio["better"] == "lower" else ">="
        target = "reported" if ratio["target"] is None else f"target {sign} {ratio['target']:g}: " + (
            "met" if ratio["met"] else "MISSED")
        yield (f"{result['case']:26} {ratio['ratio']:7.3f} [{ratio['ci95'][0]:.3f}, {ratio['ci95'][1]:.3f}]  {target:26} "
               f"{ratio['numerator']} / {ratio['denominator']} {ratio['denominator_version']} "
               f"({len(ratio['log_ratios'])} rounds, {ratio['rounds_dropped']} dropped)")
    for key, value in result["config"].items():
        if key.startswith("not run: "):
            yield f"{result['case']:26} not run: {key[len('not run: '):]}: {value}"


def exit_code(results) -> int:
    if any(r["status"] == "failed" for r in results):
        return 3
    if any(ratio["met"] is False for r in results for ratio in r.get("ratios", [])):
        return 1
    return 5 if any(r["status"] == "not_run" for r in results) else 0


def list_cases(cases, as_json: bool) -> int:
    if as_json:
        print(json.dumps([{"case": c.name, "title": c.title, "threads": c.threads, "needs": list(c.needs)}
                          for c in cases.values()], indent=1))
    else:
        for c in cases.values():
            print(f"{c.name:26} {c.title}" + (f"  [needs {', '.join(c.needs)}]" if c.needs else ""))
    return 0


def parse(argv):
    parser = argparse.ArgumentParser(prog="compare", description=__doc__.split("\n\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--list", action="store_true", help="the cases, a line each")
    parser.add_argument("--all", action="store_true", help="every case")
    parser.add_argument("--json", action="store_true", help="machine-readable form on stdout")
    parser.add_argument("--results", type=Path, help="write one record per case below this folder")
    parser.add_argument("--rounds", type=int, help="accepted rounds wanted, at least 12")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release", help="portable build directory")
    parser.add_argument("--native-build", type=Path, default=ROOT / "build" / "native")
    parser.add_argument("--no-build", action="store_true", help="use the libraries as they are")
    parser.add_argument("--setup", action="store_true", help="install the peers and stop")
    for hidden in ("--child", "--out", "--given", "--library", "--native-library"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    return parser, parser.parse_args(argv)


def library_of(build: Path, native: bool, options, log):
    path = build / "lib" / "libhocket_capi.so"
    if options.no_build:
        return path if path.exists() else None
    return ensure_library(build, native, log)


def main(argv=None, cases=None, runner=spawn) -> int:
    parser, options = parse(argv)
    if options.setup:
        return setup()
    cases = known_cases() if cases is None else cases
    if options.child:
        return child(options, cases)
    if options.list:
        return list_cases(cases, options.json)
    unknown = [name for name in options.cases if name not in cases]
    if unknown or not (options.cases or options.all):
        parser.print_usage(sys.stderr)
        print(f"unknown case {', '.join(unknown)}" if unknown else "name a case, or --all", file=sys.stderr)
        print("known are:", ", ".join(cases), file=sys.stderr)
        return 2
    if options.rounds is not None and options.rounds < fair.MINIMUM_ROUNDS:
        print(f"--rounds {options.rounds}: at least {fair.MINIMUM_ROUNDS} are needed", file=sys.stderr)
        return 2
    chosen = list(cases.values()) if options.all else [cases[name] for name in dict.fromkeys(options.cases)]
    if runner is spawn:
        log = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
        options.library = library_of(options.build, False, options, log)
        if options.library is None:
            print(f"no library below {options.build}: leave out --no-build", file=sys.stderr)
            return 5
        if any(c.native for c in chosen):
            options.native_library = library_of(options.native_build, True, options, log)
    results = []
    for c in chosen:
        results.append(runner(c, options))
        if options.results:
            record.write(results[-1], options.results)
        if not options.json:
            for line in rows(results[-1]):
                print(line, flush=True)
    if options.json:
        shown = [summary(r) for r in results]
        print(json.dumps(shown if options.all or len(shown) > 1 else shown[0], indent=1, allow_nan=False))
    return exit_code(results)


if __name__ == "__main__":
    sys.exit(main())
