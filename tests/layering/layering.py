#!/usr/bin/env python3
"""Checks the structure of the tree: which room may include which, that .hpp needs no nvcc, that the umbrella names every
public header and no vendor, that no file grows past its limit and none names a machine. docs/architecture.md explains.

  tests/layering/layering.py [ROOT]      exit 1 and one line per violation
"""
import re
import sys
from pathlib import Path

# A room may include itself, what is listed, and everything those may include.
MAY_INCLUDE = {
    "core": [],
    "kernels": ["core"], "io": ["core"], "measure": ["core"], "eval": ["core"],
    "audio": ["kernels", "io", "measure", "eval"], "vision": ["kernels", "io", "measure", "eval"],
    "text": ["kernels", "io", "measure", "eval"], "linalg": ["kernels", "io", "measure", "eval"],
    "nn": ["kernels", "io", "measure", "eval", "linalg"],
    "attention": ["nn", "linalg", "audio", "vision", "text"],
    "fusion": ["attention"], "peft": ["attention"],
    "recommend": ["fusion", "peft"], "music": ["fusion", "peft"],
    "hocket.hpp": ["recommend", "music"],
    "models.hpp": ["hocket.hpp"],
    "hocket.cuh": ["models.hpp"],
}
# core serves kernel authors too, measure serves benches and experiments: the umbrella takes what it needs of them.
UMBRELLA_ROOMS = set(MAY_INCLUDE) - {"core", "kernels", "measure", "hocket.hpp", "models.hpp", "hocket.cuh"}
KERNEL_ARMS = re.compile(r"kernels/.*/arms\.hpp$")
MAX_LINES = 800
SOURCES = {".hpp", ".cpp", ".inl", ".cuh", ".cu", ".py", ".cmake"}
FOREIGN = re.compile(r"(/work/|/root/|/home/\w|/tmp/bash_jobs|deb\.debian\.org|pypi\.org|snapshot\.debian)")
VENDOR_HEADERS = ("fftw3.h", "cblas.h", "lapacke.h", "dnnl.hpp", "sndfile.h", "mkl.h", "nlohmann/", "CLI/", "catch2/", "benchmark/")


def closure():
    allowed = {}

    def collect(room):
        if room not in allowed:
            allowed[room] = {room}.union(*(collect(lower) for lower in MAY_INCLUDE[room])) if MAY_INCLUDE[room] else {room}
        return allowed[room]

    for room in MAY_INCLUDE:
        collect(room)
    return allowed


def room_of(include):
    """Room of an included path: hocket/<room>/... or kernels/...; None for anything that is not ours."""
    parts = include.split("/")
    if parts[0] == "hocket" and len(parts) > 1:
        return parts[1]
    if parts[0] in ("bench", "experiments", "tests", "reports", "kernels"):
        return parts[0]
    return None


def includes(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1)


def headers(root):
    """(path, room) of every header of the library."""
    for base, name in ((root / "include" / "hocket", None), (root / "kernels", "kernels")):
        for path in sorted(base.rglob("*")):
            inside = path.relative_to(base).parts
            if path.is_file() and path.suffix in (".hpp", ".cuh", ".inl") and not (name is None and inside[0] == "kernels"):
                yield path, name or inside[0]


def direction(root):
    allowed = closure()
    for path, room in headers(root):
        where = path.relative_to(root)
        if room not in allowed:
            yield f"{where}: room {room} is not in the table of tests/layering/layering.py"
            continue
        for number, include in includes(path):
            target = room_of(include)
            if target is not None and target not in allowed.get(room, ()) and target != room:
                yield f"{where}:{number}: {room} may not include {include}"
            seam = include.startswith("hocket/core/cuda/") and room == "core"  # the seam's .cuh also compile without nvcc
            if path.suffix == ".hpp" and not seam and (include.endswith(".cuh") or re.match(r"cuda(_|\.h|/)|cublas|cufft|cudnn", include)) \
                    and not guarded_by_cuda(path, number):
                yield f"{where}:{number}: a .hpp must compile without nvcc, but includes {include}"
            if path.name != "arms.hpp" and KERNEL_ARMS.search(include):
                yield f"{where}:{number}: only tests and bench include arms.hpp"


def guarded_by_cuda(path, number):
    """Whether the line stands inside an #if that names __CUDACC__."""
    depth = []
    for line in path.read_text(encoding="utf-8").splitlines()[:number]:
        if re.match(r"\s*#\s*if", line):
            depth.append("__CUDACC__" in line)
        elif re.match(r"\s*#\s*endif", line) and depth:
            depth.pop()
    return any(depth)


def arms_users(root):
    for folder in ("experiments", "reports"):
        for path in sorted((root / folder).rglob("*.[ch]pp")):
            for number, include in includes(path):
                if KERNEL_ARMS.search(include):
                    yield f"{path.relative_to(root)}:{number}: only tests and bench include arms.hpp"
                if room_of(include) in ("bench", "tests"):
                    yield f"{path.relative_to(root)}:{number}: experiments may not include {include}"


def resolve(root, include):
    path = root / "kernels" / include[len("hocket/kernels/"):] if include.startswith("hocket/kernels/") else root / "include" / include
    return path if path.is_file() else None


def reached_by_umbrella(root, name="hocket.hpp"):
    """{path: [(line, include), ...]} of the umbrella and of every header of ours that it reaches."""
    reached, queue = {}, [root / "include" / "hocket" / name]
    while queue:
        path = queue.pop().resolve()
        if path not in reached:
            reached[path] = list(includes(path))
            queue += [target for _, include in reached[path] if include.startswith("hocket/") and (target := resolve(root, include))]
    return reached


def umbrella(root):
    """hocket.hpp and models.hpp reach every public header but those that need an optional library, and no vendor header;
    hocket.cuh reaches what runs on CUDA."""
    if not (root / "include" / "hocket" / "hocket.hpp").is_file():
        yield "include/hocket/hocket.hpp is missing"
        return
    reached = reached_by_umbrella(root)
    if (root / "include" / "hocket" / "models.hpp").is_file():
        reached |= reached_by_umbrella(root, "models.hpp")
    for path, lines in reached.items():
        for number, include in lines:
            if include.startswith(VENDOR_HEADERS):
                yield f"{path.relative_to(root)}:{number}: the umbrella reaches the optional library's {include}"
    for path, room in headers(root):
        public = room in UMBRELLA_ROOMS and path.suffix == ".hpp" and "detail" not in path.parts
        if public and path.resolve() not in reached and not needs_optional_library(root, path):
            yield f"{path.relative_to(root)}: not in hocket.hpp or models.hpp"
    on_cuda = reached_by_umbrella(root, "hocket.cuh") if (root / "include" / "hocket" / "hocket.cuh").is_file() else {}
    for path, room in headers(root):
        launches = room == "kernels" and path.name == "cuda_launch.cuh"
        if (launches or room in UMBRELLA_ROOMS and path.suffix == ".cuh") and path.resolve() not in on_cuda:
            yield f"{path.relative_to(root)}: not in hocket.cuh"


def needs_optional_library(root, path, seen=None):
    """Such headers are included by choice; so are CUDA's and those of the vendor files of kernels/."""
    seen = seen if seen is not None else set()
    if path in seen:
        return False
    seen.add(path)
    for _, include in includes(path):
        if include.startswith(VENDOR_HEADERS) or include.startswith("Eigen/") or "/vendor_" in include or "/cuda" in include:
            return True
        target = resolve(root, include) if include.startswith("hocket/") else None
        if target and needs_optional_library(root, target, seen):
            return True
    return "/cuda/" in path.as_posix()


def tracked(root):
    skip = {"build", "results", "report", ".git", "__pycache__", "published", "oracles"}
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path.is_file() and not path.is_symlink() and not skip & set(parts) and parts[:2] != ("include", "hocket/kernels"):
            yield path


def files(root):
    for path in tracked(root):
        where = path.relative_to(root)
        if path.suffix in SOURCES | {".md", ".txt", ".json", ""} and "embedded" not in where.parts and "tests/layering" not in where.as_posix():
            text = path.read_text(encoding="utf-8", errors="replace")
            if path.suffix in SOURCES and text.count("\n") > MAX_LINES:
                yield f"{where}: {text.count(chr(10))} lines; past {MAX_LINES} it is two files"
            for number, line in enumerate(text.splitlines(), 1):
                found = FOREIGN.search(line)
                if found:
                    yield f"{where}:{number}: names a place outside the project: {found.group(1)}"


def check(root):
    return [line for rule in (direction, arms_users, umbrella, files) for line in rule(root)]


if __name__ == "__main__":
    violations = check(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve())
    print("\n".join(violations) if violations else "the layering holds")
    sys.exit(1 if violations else 0)
