#!/usr/bin/env python3
"""Every C++ block of README.md and docs/*.md compiles without warnings, every sh block parses, and those marked `run` run.

  ```cpp            statements: compiled inside a function; its #include lines go on top
  ```cpp file       a whole file: compiled as it stands
  ```cpp run        a program: compiled, linked, and run with exit code 0
  ```sh             parsed by `sh -n`;  ```sh run  is executed in the root of the checkout
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from compilers import ROOT, command, compile_text, compilers, in_parallel  # noqa: E402


def blocks():
    """(where, language, mark, text)"""
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        lines, start = path.read_text(encoding="utf-8").splitlines(), None
        for number, line in enumerate(lines, 1):
            fence = re.match(r"```\s*(\w*) ?(.*)$", line)
            if not fence:
                continue
            if start is None:
                start = (number, fence.group(1), fence.group(2).strip())
            else:
                yield f"{path.relative_to(ROOT)}:{start[0]}", start[1], start[2], "\n".join(lines[start[0]:number - 1]) + "\n"
                start = None
        if start is not None:
            yield f"{path.relative_to(ROOT)}:{start[0]}", "unclosed", "", ""


def wrapped(text):
    on_top = [line for line in text.splitlines() if line.lstrip().startswith("#include")]
    inside = [line for line in text.splitlines() if not line.lstrip().startswith("#include")]
    return "\n".join(on_top + ["void snippet();", "void snippet() {"] + inside + ["}"]) + "\n"


def run_cpp(text):
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "snippet.cpp", Path(folder) / "snippet"
        source.write_text(text, encoding="utf-8")
        for step in (command(compilers()[0], "-O1", str(source), "-o", str(program)), [str(program)]):
            done = subprocess.run(step, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode != 0:
                return done.stdout
    return None


def check(block):
    where, language, mark, text = block
    if language == "unclosed":
        return f"{where}: a code block that is never closed"
    if language == "cpp":
        if mark == "run":
            problem = run_cpp(text)
            return problem and f"{where}: {problem[:2000]}"
        # a snippet may declare what it does not use
        source = text if mark == "file" else wrapped(text)
        for compiler in compilers():
            ok, messages = compile_text(compiler, source, "-Wno-unused-variable", "-Wno-unused-but-set-variable")
            if not ok:
                return f"{where}: does not compile with {compiler}:\n" + "\n".join(messages.splitlines()[:12])
    if language == "sh":
        done = subprocess.run(["sh", *([] if mark == "run" else ["-n"])], input=text, cwd=ROOT, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            return f"{where}: exit code {done.returncode}: {done.stdout[:2000]}"
    return None


def main():
    found = list(blocks())
    problems = [problem for problem in in_parallel(check, found) if problem]
    code = [block for block in found if block[1] in ("cpp", "sh")]
    print("\n".join(problems) if problems else f"{len(code)} code blocks hold")
    return 1 if problems or not any(block[1] == "cpp" for block in found) else 0


if __name__ == "__main__":
    sys.exit(main())
