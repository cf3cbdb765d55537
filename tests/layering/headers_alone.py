#!/usr/bin/env python3
"""Every header of the library compiles alone, without warnings, with the compiler of the build. A second compiler (clang,
where it is; the standard library is the same) sees the umbrella and, in one unit, whatever the umbrella does not reach;
with HOCKET_EVERY_HEADER=1 both see each header in a unit of its own. A header that needs an optional library which is
missing here is named and skipped.

A unit of its own for each header reads the standard library 170 times. Without HOCKET_EVERY_HEADER a unit takes a chain
of headers instead, lowest first, in which each header itself includes, at its top, all that stand before it:

    #include <hocket/core/error.hpp>     // alone
    #include <hocket/core/view.hpp>      // includes error.hpp at its top: what was read already, it would read anyway
    ...

so no header finds a name there that it did not ask for, and each is checked as if it were the first."""
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from compilers import ROOT, compile_text, compilers, in_parallel  # noqa: E402
from layering import reached_by_umbrella  # noqa: E402

DEAR = re.compile(r"Eigen/|nlohmann/")  # libraries that take seconds: headers with them join a chain first


def headers():
    for base, prefix in ((ROOT / "include" / "hocket", "hocket"), (ROOT / "kernels", "hocket/kernels")):
        for path in sorted(base.rglob("*.hpp")):
            inside = path.relative_to(base)
            if inside.parts[0] != "kernels" and path.name != "simd_each.hpp":  # that one is a part of the file including it
                yield path.resolve(), f"{prefix}/{inside.as_posix()}"
    yield (ROOT / "include" / "hocket" / "hocket.cuh").resolve(), "hocket/hocket.cuh"  # and with it what runs on CUDA, as a host sees it


def top_includes(text):
    """What a file includes before its first line of code and under no condition."""
    depth = 0
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("//"):
            continue
        if not line.startswith("#"):
            return
        directive = line[1:].strip()
        depth += directive.startswith("if") - directive.startswith("endif")
        include = re.match(r"include\s*<([^>]+)>", directive)
        if include and depth == 0:
            yield include[1]


def closures(named):
    """{header: everything that it includes at its top, and so on down}"""
    direct = {name: list(top_includes(path.read_text(encoding="utf-8"))) for path, name in named}
    closed = {}

    def close(name):
        if name not in closed:
            closed[name] = set()  # a circle ends here
            closed[name] = set(direct.get(name, ())).union(*(close(below) for below in direct.get(name, ())))
        return closed[name]

    for name in direct:
        close(name)
    return closed


def chains(names, closed):
    """The names in as few and as cheap chains as there are: a matching of each header with the one after it, the dear
    ones first (augmenting paths; a header that has found its place keeps one)."""
    before = {}

    def place(name, tried):
        for after in names:
            if name in closed[after] and after != name and after not in tried:
                tried.add(after)
                if after not in before or place(before[after], tried):
                    before[after] = name
                    return True
        return False

    dear_first = sorted(names, key=lambda name: (any(map(DEAR.search, closed[name])), len(closed[name])), reverse=True)
    followed = {name for name in dear_first if place(name, set())}
    for last in (name for name in names if name not in followed):
        chain = [last]
        while chain[0] in before:
            chain.insert(0, before[chain[0]])
        yield chain


def compiles(compiler, chain):
    # twice: a header must also bear being included again
    return compile_text(compiler, "".join(f"#include <{header}>\n" for header in chain + chain))


def check_alone(compiler, header):
    ok, messages = compiles(compiler, [header])
    missing = re.search(r"fatal error: ['\"]?([\w./+-]+)['\"]?(: No such file| file not found)", messages)
    if not ok and missing and not missing.group(1).startswith(("hocket/", "kernels/")):
        return "skip", f"{header}: needs {missing.group(1)}, which is not here"
    return ("ok", "") if ok else ("fail", f"{compiler} {header}:\n" + "\n".join(messages.splitlines()[:15]))


def check(job):
    """[(state, message)] of a chain's headers. One that fails is taken apart, so that the header at fault is named."""
    compiler, chain = job
    if len(chain) > 1:
        ok, messages = compiles(compiler, chain)
        if ok:
            return [("ok", "")] * len(chain)
        apart = [check_alone(compiler, header) for header in chain]
        if all(state == "ok" for state, _ in apart):
            return apart[1:] + [("fail", f"{compiler}: together {', '.join(chain)}:\n" + "\n".join(messages.splitlines()[:15]))]
        return apart
    return [check_alone(compiler, chain[0])]


def main():
    first, *others = compilers()
    every = bool(os.environ.get("HOCKET_EVERY_HEADER"))
    named = list(headers())
    closed = closures(named)
    reached = {} if every else reached_by_umbrella(ROOT, "models.hpp")
    jobs = []
    for compiler in [first, *others]:
        if every:
            jobs += [(compiler, [name]) for _, name in named]
        elif compiler == first:
            jobs += [(compiler, chain) for chain in chains([name for _, name in named], closed)]
        else:
            jobs += [(compiler, ["hocket/models.hpp"]), (compiler, [name for path, name in named if path not in reached])]
    jobs.sort(key=lambda job: len(job[1]), reverse=True)
    results = [result for results in in_parallel(check, jobs) for result in results]
    for state, message in results:
        if message:
            print(f"{state}: {message}")
    failed = sum(state == "fail" for state, _ in results)
    skipped = sum(state == "skip" for state, _ in results)
    print(f"{len(results) - failed - skipped} headers compile alone, {failed} do not, {skipped} need a library that is missing ({len(jobs)} units)")
    return 1 if failed or not jobs else 0


if __name__ == "__main__":
    sys.exit(main())
