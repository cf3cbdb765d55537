#!/usr/bin/env python3
"""Every header of the library compiles alone, without warnings, with the compiler of the build. A second compiler (clang,
where it is) sees the umbrella and whatever the umbrella does not reach; with HOCKET_EVERY_HEADER=1 all of them. A header
that needs an optional library which is missing here is named and skipped."""
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from compilers import ROOT, compile_text, compilers, in_parallel  # noqa: E402
from layering import reached_by_umbrella  # noqa: E402


def headers():
    for base, prefix in ((ROOT / "include" / "hocket", "hocket"), (ROOT / "kernels", "hocket/kernels")):
        for path in sorted(base.rglob("*.hpp")):
            inside = path.relative_to(base)
            if inside.parts[0] != "kernels" and path.name != "simd_each.hpp":  # that one is a part of the file including it
                yield path.resolve(), f"{prefix}/{inside.as_posix()}"
    yield (ROOT / "include" / "hocket" / "hocket.cuh").resolve(), "hocket/hocket.cuh"  # and with it what runs on CUDA, as a host sees it


def main():
    first, *others = compilers()
    reached = {} if os.environ.get("HOCKET_EVERY_HEADER") else reached_by_umbrella(ROOT, "models.hpp")
    jobs = [(first, header) for _, header in headers()]
    jobs += [(other, header) for other in others for path, header in headers() if path not in reached or header == "hocket/models.hpp"]

    def check(job):
        compiler, header = job
        # twice: a header must also bear being included again
        ok, messages = compile_text(compiler, f"#include <{header}>\n#include <{header}>\n")
        missing = re.search(r"fatal error: ['\"]?([\w./+-]+)['\"]?(: No such file| file not found)", messages)
        if not ok and missing and not missing.group(1).startswith(("hocket/", "kernels/")):
            return "skip", f"{header}: needs {missing.group(1)}, which is not here"
        return ("ok", "") if ok else ("fail", f"{compiler} {header}:\n" + "\n".join(messages.splitlines()[:15]))

    results = in_parallel(check, jobs)
    for kind, message in results:
        if message:
            print(f"{kind}: {message}")
    failed = sum(kind == "fail" for kind, _ in results)
    skipped = sum(kind == "skip" for kind, _ in results)
    print(f"{len(jobs) - failed - skipped} headers compile alone, {failed} do not, {skipped} need a library that is missing")
    return 1 if failed or not jobs else 0


if __name__ == "__main__":
    sys.exit(main())
