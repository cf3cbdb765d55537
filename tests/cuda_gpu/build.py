#!/usr/bin/env python3
"""Builds hocket_cuda_check, the program that checks every kernel on a GPU, with nvcc and runs it: without a GPU it must
exit with 5 and say no_device. Its units share kernels, so linking them proves that a program may include a kernel more
than once. They are compiled to PTX without optimisation (the kernels' code is the matter of tests/nvcc) and kept by
content. Exit 77, a skip by name, where nvcc or a library is missing."""
import concurrent.futures
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests"))
from compilers import eigen  # noqa: E402
from tests.nvcc.kernels import find_nvcc, version_of  # noqa: E402

LIBRARIES = ("-lcublas", "-lcublasLt", "-lcufft", "-lcusolver")
FLAGS = ("-std=c++20", "-O0", "-Xcicc", "-O0", "-gencode", "arch=compute_80,code=compute_80", "-Werror", "all-warnings", f'-DHOCKET_SOURCE_DIR="{ROOT}"',
         "-I", str(ROOT / "include"), "-I", str(ROOT / "tests"), "-I", str(ROOT))


def run(command, **more):
    return subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


def compiled(source, nvcc, version, store):
    """(object file, None) or (None, what the compiler said)."""
    flags = [*FLAGS, "-isystem", eigen()]
    listed = run([nvcc, *flags, "-M", source]).stdout.replace("\\\n", " ").split()
    digest = hashlib.sha256(" ".join([version, *flags]).encode())
    for path in sorted({Path(name).resolve() for name in listed if Path(name).is_absolute()}):
        if path.is_relative_to(ROOT) and path.is_file():
            digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    unit = store / f"{source.stem}.{digest.hexdigest()[:24]}.o"
    if not unit.is_file():
        for old in store.glob(f"{source.stem}.*.o"):
            old.unlink()
        part = unit.with_suffix(f".{os.getpid()}.part.o")
        done = run([nvcc, *flags, "-c", source, "-o", part])
        if done.returncode != 0:
            return None, done.stdout
        part.replace(unit)
    return unit, None


def main():
    nvcc = find_nvcc()
    if not nvcc:
        print("skipped: nvcc was not found")
        return 77
    store = Path(os.environ.get("HOCKET_BINARY_DIR") or ROOT / "build" / "release") / "cuda_check"
    store.mkdir(parents=True, exist_ok=True)
    version = version_of(nvcc)
    sources = sorted((ROOT / "tests" / "cuda_gpu").glob("*.cu")) + [ROOT / "bench" / "support" / "cuda_kernels.cpp"]
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        results = list(pool.map(lambda source: compiled(source, nvcc, version, store), sources))
    said = [text for _, text in results if text]
    if said:
        missing = [header for header in ("cublas_v2.h", "cufft.h", "cusolverDn.h") if any(f"{header}: No such file" in text for text in said)]
        print(f"skipped: {missing[0]} is not installed" if missing else "\n".join(said))
        return 77 if missing else 1
    program = store / "hocket_cuda_check"
    done = run([nvcc, *(unit for unit, _ in results), "-o", program, *LIBRARIES])
    if done.returncode != 0:
        missing = [library for library in LIBRARIES if f"cannot find {library}" in done.stdout]
        print(f"skipped: {missing[0]} is not installed" if missing else done.stdout)
        return 77 if missing else 1
    folder = Path(nvcc).resolve().parents[1]
    libraries = os.pathsep.join(str(folder / name) for name in ("lib64", "lib") if (folder / name).is_dir())
    ran = run([program, "--small"], env={**os.environ, "LD_LIBRARY_PATH": libraries + os.pathsep + os.environ.get("LD_LIBRARY_PATH", "")})
    right = ran.returncode == 0 or ran.returncode == 5 and "no_device: " in ran.stdout
    print(f"{len(sources)} units; exit {ran.returncode}{'' if right else ', WRONG'}: {ran.stdout.strip()[-2000:]}")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
