#!/usr/bin/env python3
"""Compiles every kernels/<op>/cuda.cu for real GPUs and compares what ptxas reports with tests/nvcc/budgets.tsv.

  kernels.py check [--arch sm_80]... [--every-arch] [--update] [--build DIR] [--jobs N]
  kernels.py json [--check]          docs/kernels.json: arguments and launch shape of every entry point

`check`: each cuda.cu compiles alone to PTX without a warning, holds exactly the entry points that its source declares,
and ptxas turns them into code without spills and within the budget. `--update` writes the budgets of the architectures
it compiled. Results are kept by content in DIR/nvcc. Exit codes: 0, 1 a rule is broken, 77 nvcc is not there."""
import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.nvcc import entries, ptxas  # noqa: E402

ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100", "sm_120")
BUDGETS = ROOT / "tests" / "nvcc" / "budgets.tsv"
LISTING = ROOT / "docs" / "kernels.json"
FLAGS = ("-std=c++20", "-O3", "-Werror", "all-warnings")
RESOURCES = ("registers", "shared", "stack")
SKIPPED = 77


def host_compiler():
    return os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++") or "c++"


def find_nvcc():
    beside = Path(os.environ.get("CUDA_PATH") or "/usr/local/cuda") / "bin" / "nvcc"
    return shutil.which("nvcc") or (str(beside) if beside.is_file() else None)


def version_of(nvcc):
    return re.search(r"release ([\d.]+), V([\d.]+)", subprocess.run([nvcc, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout)[2]


def inputs_of(operation):
    """Every file of ours that the translation unit includes."""
    seen, queue = set(), [ROOT / "kernels" / operation / "cuda.cu"]
    while queue:
        path = queue.pop()
        if path in seen:
            continue
        seen.add(path)
        for include in re.findall(r"(?m)^\s*#\s*include\s*<(hocket/[^>]+)>", path.read_text(encoding="utf-8")):
            below = ROOT / include.replace("hocket/", "", 1) if include.startswith("hocket/kernels/") else ROOT / "include" / include
            if below.is_file():
                queue.append(below)
    return sorted(seen)


def digest_of(operation, arch, version):
    digest = hashlib.sha256(" ".join([version, arch, *FLAGS]).encode())
    for path in inputs_of(operation):
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:24]


def compiled(operation, arch, nvcc, version, store):
    """{entries: names in the PTX, ptxas: what it said} or {error: message}; from the store if nothing changed."""
    kept = store / f"{operation}.{arch}.{digest_of(operation, arch, version)}.json"
    if kept.is_file():
        return json.loads(kept.read_text(encoding="utf-8"))
    ptx = kept.with_suffix(".ptx")
    unit = ROOT / "kernels" / operation / "cuda.cu"
    steps = [[nvcc, *FLAGS, "-I", str(ROOT / "include"), "-arch", arch.replace("sm_", "compute_"), "-ptx", "-o", str(ptx), str(unit)],
             [str(Path(nvcc).with_name("ptxas")), "-arch", arch, "-v", "-warn-spills", "-o", os.devnull, str(ptx)]]
    said = ""
    for step in steps:
        done = subprocess.run(step, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said += done.stdout
        if done.returncode != 0:
            return {"error": f"{operation} for {arch}: {Path(step[0]).name} failed:\n{done.stdout}"}
    result = {"entries": re.findall(r"(?m)^\s*\.visible \.entry (\w+)\(", ptx.read_text(encoding="utf-8")), "ptxas": said}
    ptx.unlink()
    for old in store.glob(f"{operation}.{arch}.*"):
        old.unlink()
    kept.write_text(json.dumps(result), encoding="utf-8")
    return result


def judge(operation, arch, result, declared):
    """(usages, problems) of one translation unit for one architecture."""
    if "error" in result:
        return [], [result["error"]]
    try:
        usages, warnings = ptxas.parse(result["ptxas"])
    except ptxas.Unreadable as wrong:
        return [], [str(wrong)]
    problems = [f"{operation} for {arch}: {line}" for line in warnings]
    in_source = {entry["name"] for entry in declared if entry["operation"] == operation}
    for names, where in ((set(result["entries"]), "the PTX"), ({usage.entry for usage in usages}, "ptxas' output")):
        for name in sorted(names ^ in_source):
            problems.append(f"{operation} for {arch}: {name} is in {where if name in names else 'the source'}, "
                            f"not in {'the source' if name in names else where}")
    for usage in usages:
        if usage.spill_stores or usage.spill_loads:
            problems.append(f"{usage.entry} for {arch} spills: {usage.spill_stores} bytes stored, {usage.spill_loads} loaded")
    return usages, problems


def read_budgets(text):
    """{(entry, arch): {registers, shared, stack}}"""
    out = {}
    for line in text.splitlines():
        if line and not line.startswith(("#", "kernel\t")):
            name, arch, *numbers = line.split("\t")
            out[name, arch] = dict(zip(RESOURCES, map(int, numbers)))
    return out


def print_budgets(budgets, version):
    lines = [f"# Written by tests/nvcc/kernels.py check --every-arch --update, with nvcc {version}: registers a thread, bytes of static",
             "# shared memory a block, bytes of stack a thread.", "\t".join(("kernel", "arch", *RESOURCES))]
    for (name, arch), budget in sorted(budgets.items(), key=lambda item: (item[0][0], int(item[0][1][3:]))):
        lines.append("\t".join([name, arch, *(str(budget[resource]) for resource in RESOURCES)]))
    return "\n".join(lines) + "\n"


def over_budget(usages, budgets):
    """One message for each entry point that needs more than the table allows, or is not in it."""
    for usage in usages:
        budget = budgets.get((usage.entry, usage.arch))
        if budget is None:
            yield f"{usage.entry} for {usage.arch} has no budget: run tests/nvcc/kernels.py check --every-arch --update and look at its figures"
            continue
        for resource in RESOURCES:
            if getattr(usage, resource) > budget[resource]:
                yield f"{usage.entry} for {usage.arch} uses {getattr(usage, resource)} {resource}, its budget is {budget[resource]}"


def check(options):
    declared = entries.all_entries(host_compiler())
    names = {entry["name"] for entry in declared}
    budgets = read_budgets(BUDGETS.read_text(encoding="utf-8")) if BUDGETS.is_file() else {}
    gone = sorted({name for name, _ in budgets} - names)
    problems = [] if options.update else [f"{BUDGETS.name} lists {name}, which no kernel has: run with --every-arch --update" for name in gone]
    nvcc = find_nvcc()
    if not nvcc:
        print("\n".join(problems + ["skipped: nvcc was not found"]))
        return 1 if problems else SKIPPED
    version = version_of(nvcc)
    store = options.build / "nvcc"
    store.mkdir(parents=True, exist_ok=True)
    architectures = ARCHITECTURES if options.every_arch else options.arch or ["sm_80"]
    work = [(operation, arch) for operation in entries.operations() for arch in architectures]
    usages = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for (operation, arch), result in zip(work, pool.map(lambda one: compiled(*one, nvcc, version, store), work)):
            used, wrong = judge(operation, arch, result, declared)
            usages += used
            problems += wrong
    if options.update:
        budgets = {key: budget for key, budget in budgets.items() if key[0] in names}
        budgets.update({(usage.entry, usage.arch): {resource: getattr(usage, resource) for resource in RESOURCES} for usage in usages})
        BUDGETS.write_text(print_budgets(budgets, version), encoding="utf-8")
    else:
        made_with = re.search(r"with nvcc ([\d.]+):", BUDGETS.read_text(encoding="utf-8")) if BUDGETS.is_file() else None
        excess = list(over_budget(usages, budgets))
        if excess and made_with and made_with[1] != version:
            excess.append(f"the budgets were written with nvcc {made_with[1]}, this is {version}")
        problems += excess
    for problem in problems:
        print(problem)
    print(f"nvcc {version}: {len(usages)} entry points for {', '.join(architectures)}, {len(problems)} problems")
    return 1 if problems else 0


def listing(options):
    text = json.dumps({"schema": "hocket.kernels/1",
                       "made_by": "tests/nvcc/kernels.py json; the test nvcc.listing keeps it up to date",
                       "launch": "grid, block (x, y, z) and dynamic shared bytes as functions of the arguments and their members; ceil rounds up",
                       "kernels": entries.all_entries(host_compiler())}, indent=1) + "\n"
    if not options.check:
        LISTING.write_text(text, encoding="utf-8")
        return 0
    if LISTING.is_file() and LISTING.read_text(encoding="utf-8") == text:
        return 0
    print("docs/kernels.json is out of date: run tests/nvcc/kernels.py json")
    return 1


def main(arguments):
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    verbs = top.add_subparsers(dest="verb", required=True)
    sub = verbs.add_parser("check", allow_abbrev=False)
    sub.set_defaults(function=check)
    sub.add_argument("--arch", action="append", choices=ARCHITECTURES)
    sub.add_argument("--every-arch", action="store_true")
    sub.add_argument("--update", action="store_true")
    sub.add_argument("--build", type=Path, default=Path(os.environ.get("HOCKET_BINARY_DIR") or ROOT / "build" / "release"))
    sub.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    sub = verbs.add_parser("json", allow_abbrev=False)
    sub.set_defaults(function=listing)
    sub.add_argument("--check", action="store_true")
    options = top.parse_args(arguments)
    try:
        return options.function(options)
    except entries.Bad as wrong:
        print(wrong)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
