#!/usr/bin/env python3
"""Misuse that must not compile. Each *.cpp here has one wrong line under #if !defined(HOCKET_RIGHT) and the right one in
its #else; the first line says what the compiler's message must match. Both are compiled: the wrong one must fail with
that message, the right one must pass, so a file that fails for another reason is found."""
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from compilers import compile_text, compilers, in_parallel  # noqa: E402


def check(job):
    compiler, path = job
    text = path.read_text(encoding="utf-8")
    expected = re.match(r"// expect: (.+)\n", text)
    if not expected or "HOCKET_RIGHT" not in text:
        return f"{path.name}: the first line must be '// expect: REGEX', and HOCKET_RIGHT must guard the right line"
    ok, messages = compile_text(compiler, text, "-DHOCKET_RIGHT", warnings=False)
    if not ok:
        return f"{path.name}: the right line does not compile with {compiler}:\n" + "\n".join(messages.splitlines()[:12])
    ok, messages = compile_text(compiler, text, warnings=False)
    if ok:
        return f"{path.name}: the wrong line compiles with {compiler}"
    if not re.search(expected.group(1), messages):
        return f"{path.name}: {compiler} says nothing like '{expected.group(1)}':\n" + "\n".join(messages.splitlines()[:12])
    return None


def main():
    jobs = [(compiler, path) for compiler in compilers() for path in sorted(HERE.glob("*.cpp"))]
    problems = [problem for problem in in_parallel(check, jobs) if problem]
    print("\n".join(problems) if problems else f"{len(jobs)} misuses are refused")
    return 1 if problems or not jobs else 0


if __name__ == "__main__":
    sys.exit(main())
