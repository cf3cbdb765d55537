"""Configuring and building through the presets of CMakePresets.json."""
import os
import shutil
import subprocess
import time
from pathlib import Path

from .machine import ROOT, Trouble, say

LOGS = ROOT / "build" / "logs"


def run(command, log, what):
    """Runs with the output in a file; on failure prints its end. Returns the seconds it took."""
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with open(LOGS / log, "w", encoding="utf-8") as out:
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        lines = (LOGS / log).read_text(encoding="utf-8", errors="replace").splitlines()
        first = next((i for i, line in enumerate(lines) if "error:" in line or "CMake Error" in line or "FAILED:" in line), None)
        shown = lines[max(0, first - 2):first + 25] if first is not None else lines[-25:]
        raise Trouble(3, f"{what} failed, see {LOGS / log}:\n" + "\n".join(shown))
    return time.monotonic() - started


def jobs():
    """As many as processors, but no more than one per 1.5 GB of memory: a test file takes about 1 GB to compile."""
    available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1.5e9
    return max(1, min(len(os.sched_getaffinity(0)), int(available)))


def folder(preset):
    return ROOT / "build" / preset


def configure(preset, *definitions):
    tree = folder(preset)
    cached = tree / "CMakeCache.txt"
    if cached.is_file():  # a tree that was moved, or made by another generator, is made anew
        text = cached.read_text(encoding="utf-8", errors="replace")
        if f"CMAKE_HOME_DIRECTORY:INTERNAL={ROOT}\n" not in text or "CMAKE_GENERATOR:INTERNAL=Ninja\n" not in text:
            shutil.rmtree(tree)
    run(["cmake", "--preset", preset, *definitions], f"configure-{preset}.log", f"configuring {preset}")


def build(preset, targets=(), definitions=()):
    """Configures and builds; all targets unless some are named. Returns the folder of the programs."""
    configure(preset, *definitions)
    say(f"hocket: building {preset}" + (f" ({', '.join(targets)})" if targets else ""))
    command = ["cmake", "--build", str(folder(preset)), "-j", str(jobs())]
    seconds = run(command + (["--target", *targets] if targets else []), f"build-{preset}.log", f"building {preset}")
    say(f"hocket: built {preset} in {seconds:.0f} s")
    return folder(preset) / "bin"


def version():
    """Version of the library, as core/config.hpp says."""
    for line in Path(ROOT / "include/hocket/core/config.hpp").read_text(encoding="utf-8").splitlines():
        if line.startswith("#define HOCKET_VERSION "):
            return line.split('"')[1]
    raise Trouble(3, "include/hocket/core/config.hpp names no HOCKET_VERSION")


def commit():
    done = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) if shutil.which("git") else None
    return done.stdout.strip() if done and done.returncode == 0 else "not a git checkout"
