#!/usr/bin/env python3
"""Links a program with CUDA, once with the static and once with the shared runtime, and runs it: without a GPU it must exit
with 5 and say no_device, with one it must run and be right. Exit 77, a skip by name, where nvcc or a library is missing."""
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.nvcc.kernels import find_nvcc, version_of  # noqa: E402

SOURCE = ROOT / "tests" / "cuda_link" / "main.cu"
LIBRARIES = ("-lcublas", "-lcublasLt", "-lcufft", "-lcusolver")
FLAGS = ("-std=c++20", "-O1", "-arch", "sm_80", "-Werror", "all-warnings", "-I", str(ROOT / "include"))


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


def inputs(nvcc):
    """What the program is made of, ours only."""
    listed = run([nvcc, *FLAGS, "-M", str(SOURCE)]).stdout.replace("\\\n", " ").split()
    return sorted(path for path in listed if Path(path).is_absolute() and Path(path).resolve().is_relative_to(ROOT) and Path(path).is_file())


def main():
    nvcc = find_nvcc()
    if not nvcc:
        print("skipped: nvcc was not found")
        return 77
    build = Path(os.environ.get("HOCKET_BINARY_DIR") or ROOT / "build" / "release") / "cuda_link"
    build.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(" ".join([version_of(nvcc), *FLAGS]).encode())
    for path in inputs(nvcc):
        digest.update(Path(path).read_bytes())
    unit = build / f"{digest.hexdigest()[:24]}.o"
    if not unit.is_file():
        done = run([nvcc, *FLAGS, "-c", str(SOURCE), "-o", str(unit)])
        if done.returncode != 0:
            missing = [header for header in ("cublas_v2.h", "cublasLt.h", "cufft.h", "cusolverDn.h") if f"{header}: No such file" in done.stdout]
            print(f"skipped: {missing[0]} is not installed" if missing else done.stdout)
            return 77 if missing else 1
    failed = 0
    for runtime in ("static", "shared"):
        program = build / f"with_{runtime}_runtime"
        done = run([nvcc, "-cudart", runtime, str(unit), "-o", str(program), *LIBRARIES])
        if done.returncode != 0:
            missing = [library for library in LIBRARIES if f"cannot find {library}" in done.stdout]
            print(f"skipped: {missing[0]} is not installed" if missing else done.stdout)
            return 77 if missing else 1
        folder = Path(nvcc).resolve().parents[1]
        libraries = os.pathsep.join(str(folder / name) for name in ("lib64", "lib") if (folder / name).is_dir())
        ran = run([str(program)], env={**os.environ, "LD_LIBRARY_PATH": libraries + os.pathsep + os.environ.get("LD_LIBRARY_PATH", "")})
        uses_shared = "libcudart.so" in run(["ldd", str(program)]).stdout
        right = (ran.returncode == 0 or ran.returncode == 5 and ran.stdout.startswith("no_device: ")) and uses_shared == (runtime == "shared")
        failed += not right
        print(f"{runtime} runtime: exit {ran.returncode}{'' if right else ', WRONG'}: {ran.stdout.strip()}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
