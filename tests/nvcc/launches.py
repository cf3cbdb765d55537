#!/usr/bin/env python3
"""What the launchers start is what docs/kernels.json says:  launches.py PROGRAM

PROGRAM (test_cuda_gpu) runs the kernels on the executor and notes every launch; grid, block and shared bytes are compared
with the formulas of the launch comments at the same sizes. Exit codes: 0, 1."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.nvcc import entries, kernels  # noqa: E402


def wrong(entry, sizes, grid, block, shared):
    """What differs, one message each."""
    for what, formulas, seen in (("grid", entry["grid"], grid), ("block", entry["block"], block), ("shared", [entry["shared"]], shared)):
        said = [entries.evaluate(formula, sizes) for formula in formulas]
        if said != seen:
            yield f"{entry['name']} at {sizes}: its comment gives {what} {said}, the launcher started {seen}"


def main(program):
    by_name = {entry["name"]: entry for entry in entries.all_entries(kernels.host_compiler())}
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "launches"
        subprocess.run([program, "the GPU's checks*"], env={**os.environ, "HOCKET_LAUNCHES": str(notes)}, stdout=subprocess.DEVNULL, check=True)
        lines = sorted(set(notes.read_text(encoding="utf-8").splitlines()))
    problems, seen = [], set()
    for line in lines:
        name, sizes, *numbers = line.split("\t")
        grid, block, shared = ([int(number) for number in part.split()] for part in numbers)
        values = {"count": 1, **{key: int(value) for key, value in (pair.split("=") for pair in sizes.split())}}
        problems += wrong(by_name[name], values, grid, block, shared)
        seen.add(name)
    for problem in problems:
        print(problem)
    print(f"{len(lines)} launches of {len(seen)} entry points, {len(problems)} differ from their comments")
    return 1 if problems or not seen else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
