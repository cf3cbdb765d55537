"""The verbs of ./hocket."""
import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from . import build, checks, gpu_day, machine
from .machine import ROOT, Trouble, say

EXPERIMENTS = ("audio_features", "pca_rank")

EPILOG = """exit codes: 0 done, 1 a test or a gate failed, 2 wrong use, 3 a build or some cases failed, 4 data missing or
unreadable, 5 a package, library or device is not there, 130 interrupted (the same command goes on where it stopped)

The programs themselves are in build/release/bin: audio_features, pca_rank (--help), hocket_bench.
Downloads, data and Python packages lie in $HOCKET_CACHE (else ~/.cache/hocket)."""


def call(command, environment=None):
    """Runs in the foreground; returns the exit code, 130 for an interruption."""
    process = subprocess.Popen([str(part) for part in command], cwd=ROOT, stdin=subprocess.DEVNULL,
                               env={**os.environ, **(environment or {})})
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise


def set_up():
    machine.install(machine.BUILD)
    return machine.python_for_reports()


def render(python, records, out):
    """render.py says where the report is. A checkout that is being worked on is warned of, published records are judged
    by render.py without the flag."""
    return call([python, "reports/render.py", "--results", *records, "--out", out, "--allow-dirty"])


def experiments(python, names, arguments, results):
    """Runs each experiment; the worst exit code counts, and a failed one does not keep the others from running."""
    programs = build.build("release", names, [f"-DHOCKET_PYTHON={python}"])
    worst = 0
    for name in names:
        say(f"hocket: {name} {' '.join(arguments)}")
        code = call([programs / name, "run", *arguments, "--results", results])
        if code in (2, 130) or code < 0:
            raise Trouble(code if code > 0 else 3, f"{name} ended with {code}")
        worst = max(worst, code)
    return worst


def cores():
    return str(len(os.sched_getaffinity(0)))


def quick(options):
    started = time.monotonic()
    python = set_up()
    results, out = ROOT / "results" / "quick", ROOT / "report" / "quick"
    code = experiments(python, EXPERIMENTS, ["--quick", "--threads", cores()], results)
    rendered = render(python, [results], out)
    say(f"hocket: {time.monotonic() - started:.0f} s. This used the small sets that the repository carries; the full ones "
        f"(730 MB) and every seed: ./hocket run")
    return code or rendered


def run(options):
    python = set_up()
    names = options.only or EXPERIMENTS
    fetched = fetch(argparse.Namespace(arguments=[])) if not options.no_fetch else 0
    results, out = ROOT / "results" / "full", ROOT / "report" / "full"
    code = experiments(python, names, ["--threads", cores(), *options.arguments], results)
    rendered = render(python, [results], out)
    return code or rendered or fetched


def report(options):
    return render(machine.python_for_reports(), [path.resolve() for path in options.results], options.out.resolve())


def fetch(options):
    return call([sys.executable, "experiments/data/fetch.py", *options.arguments])


def compare(options):
    tool = ROOT / "bench" / "peers" / "compare.py"
    return call([sys.executable, tool, *options.arguments])


def setup(options):
    python = set_up()
    machine.install(machine.CHECKS + machine.FULL_CHECKS)
    build.configure("release", f"-DHOCKET_PYTHON={python}")
    print(f"ready; Python for reports: {python}")
    return 0


def on_gpu(options):
    return gpu_day.run(options.results.resolve(), options.programs and options.programs.resolve())


def test(options):
    return checks.run(options.full)


def parser():
    top = argparse.ArgumentParser(prog="./hocket", allow_abbrev=False, description="The front door of a hocket checkout.", epilog=EPILOG,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--version", action="version", version=f"hocket {build.version()} ({build.commit()})")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name, function, text, passes_on=False):
        sub = verbs.add_parser(name, help=text, description=text, add_help=not passes_on, allow_abbrev=False)
        sub.set_defaults(function=function)
        if passes_on:
            sub.set_defaults(arguments=[])
        return sub

    verb("quick", quick, "set up, build, run the main job on the embedded data, make the report (minutes)")
    sub = verb("run", run, "fetch the full data, run the experiments with every seed, make the report (hours)")
    sub.add_argument("--only", action="append", choices=EXPERIMENTS, help="this experiment (may be repeated)")
    sub.add_argument("--no-fetch", action="store_true", help="use the data that is there")
    sub.add_argument("arguments", nargs="*", metavar="-- FLAGS", help="flags of the experiment programs, after --")
    sub = verb("report", report, "make the report of records that exist")
    sub.add_argument("--results", nargs="+", type=Path, default=[ROOT / "results" / "full"], metavar="DIR")
    sub.add_argument("--out", type=Path, default=ROOT / "report" / "full", metavar="DIR")
    sub = verb("test", test, "build and run the tests; the last line counts them")
    sub.add_argument("--full", action="store_true", help="and the long ones: fuzzing, sanitizers, clang, every instruction set")
    sub = verb("gpu-day", on_gpu, "on a machine with a GPU: check every CUDA kernel on it, time the arms, write the records")
    sub.add_argument("--results", type=Path, default=ROOT / "reports" / "published", metavar="DIR")
    sub.add_argument("--programs", type=Path, metavar="DIR", help="hocket_cuda_check and hocket_bench, built elsewhere")
    verb("fetch", fetch, "fetch data sets: [NAME...] [--list] [--check] [--from DIR]", passes_on=True)
    verb("compare", compare, "time one case beside another library: --list | CASE [--json]", passes_on=True)
    verb("setup", setup, "install what is missing and configure")
    return top


def main(arguments):
    top = parser()
    options, rest = top.parse_known_args(arguments)
    if rest and not hasattr(options, "arguments"):
        top.error(f"unknown: {' '.join(rest)}")
    if rest and options.verb in ("fetch", "compare"):
        options.arguments = rest
    elif rest:
        top.error(f"unknown: {' '.join(rest)}")
    try:
        return options.function(options)
    except Trouble as trouble:
        say(f"hocket: {trouble}")
        return trouble.code
    except KeyboardInterrupt:
        say("hocket: interrupted; the same command goes on where it stopped")
        return 130
