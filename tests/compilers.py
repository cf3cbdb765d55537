"""Compilers for the tests that compile single files: the one the tree was built with (CXX) and clang where it is."""
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]


def eigen():
    for folder in (os.environ.get("HOCKET_EIGEN", "").split(";")[0], "/usr/include/eigen3", "/usr/local/include/eigen3"):
        if folder and (Path(folder) / "Eigen" / "Core").is_file():
            return folder
    raise SystemExit("Eigen was not found: set HOCKET_EIGEN to its folder")


def compilers():
    """The compiler of the build first; then clang 16 or later, if it is another one."""
    first = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    found = [first]
    for name in ("clang++-19", "clang++-18", "clang++-17", "clang++-16"):
        path = shutil.which(name)
        if path:
            if Path(path).resolve() != Path(first).resolve():
                found.append(path)
            break
    return found


def command(compiler, *arguments, warnings=True):
    return [compiler, "-std=c++20", *(WARNINGS if warnings else []), "-I", str(ROOT / "include"), "-isystem", eigen(), *arguments]


def compile_text(compiler, text, *arguments, warnings=True):
    """Syntax and semantics of a translation unit given as text; (ok, messages)."""
    done = subprocess.run(command(compiler, "-fsyntax-only", "-x", "c++", *arguments, "-", warnings=warnings), input=text,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", cwd=ROOT)
    return done.returncode == 0, done.stdout


def in_parallel(function, items):
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(function, items))
