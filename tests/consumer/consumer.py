#!/usr/bin/env python3
"""Builds and runs a small project that uses hocket, the way a user would:

  consumer.py plain       the compiler alone: -std=c++20 -O2 -I include -I EIGEN
  consumer.py installed   cmake --install into an empty folder, then find_package(hocket)
  consumer.py archive     git archive of HEAD, then FetchContent

The first coefficient it prints is compared with librosa's (`python3 tests/consumer/consumer.py oracle` prints it, with
librosa 0.11): both must agree to the digits printed."""
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from compilers import ROOT, command, compilers  # noqa: E402

# librosa 0.11.0, float64: coefficient 0 of frame 20 of sin(2 pi 1000 n / 22050), n < 22050, the sine rounded to float32
LIBROSA = {"shape": ("20", "44"), "value": "-421.339470"}
CMAKE = os.environ.get("CMAKE_COMMAND", "cmake")


def run(*arguments, cwd=None):
    done = subprocess.run([str(argument) for argument in arguments], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"`{' '.join(map(str, arguments))}` failed:\n{done.stdout[-6000:]}")
    return done.stdout


def check(program):
    version, rows, columns, value, apart = run(program).split()
    expected = next(line.split('"')[1] for line in open(ROOT / "include/hocket/core/config.hpp", encoding="utf-8")
                    if line.startswith("#define HOCKET_VERSION "))
    if version != expected:
        sys.exit(f"the consumer sees version {version}, the tree is {expected}")
    if (rows, columns) != LIBROSA["shape"] or value != LIBROSA["value"]:
        sys.exit(f"the consumer computes {rows} x {columns}, {value}; librosa {LIBROSA}")
    if not float(apart) < 1e-4:  # printed with 6 digits: float32 and float64 of one number must agree to 4
        sys.exit(f"float32 in the second translation unit is {apart} away from float64 in the first")
    print(f"version {version}, {rows} x {columns}, {value} as librosa")


def plain(folder):
    for compiler in compilers():
        started = time.monotonic()
        program = folder / "consumer"
        run(*command(compiler, "-O2", HERE / "one.cpp", HERE / "two.cpp", "-o", program))
        check(program)
        print(f"{compiler}: two translation units in {time.monotonic() - started:.1f} s")


def build(folder, *definitions):
    run(CMAKE, "-S", HERE, "-B", folder / "build", f"-DCMAKE_CXX_COMPILER={compilers()[0]}", "-DCMAKE_BUILD_TYPE=Release", *definitions)
    run(CMAKE, "--build", folder / "build")
    check(folder / "build" / "consumer")


def installed(folder):
    run(CMAKE, "--install", os.environ.get("HOCKET_BINARY_DIR", ROOT / "build" / "release"), "--prefix", folder / "prefix")
    kernels = folder / "prefix" / "include" / "hocket" / "kernels"
    if kernels.is_symlink() or not (kernels / "mfcc" / "reference.hpp").is_file():
        sys.exit(f"{kernels} is not a real folder with the kernels")
    build(folder, f"-DCMAKE_PREFIX_PATH={folder / 'prefix'}")


def archive(folder):
    inside = shutil.which("git") and subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if not inside or inside.returncode != 0:
        print("skipped: not a git checkout")
        sys.exit(77)
    (folder / "tree").mkdir()
    run("git", "archive", "--output", folder / "tree.tar", "HEAD", cwd=ROOT)
    shutil.unpack_archive(folder / "tree.tar", folder / "tree", "tar")
    build(folder, f"-DHOCKET_ARCHIVE={folder / 'tree'}")


def oracle(_):
    import librosa
    import numpy
    tone = numpy.sin(2 * numpy.pi * 1000 / 22050 * numpy.arange(22050)).astype(numpy.float32).astype(numpy.float64)
    spectrum = numpy.abs(librosa.stft(tone, dtype=numpy.complex128)) ** 2
    mel = librosa.filters.mel(sr=22050, n_fft=2048, dtype=numpy.float64) @ spectrum
    mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=20)
    print(librosa.__version__, mfcc.dtype, mfcc.shape, f"{mfcc[0, 20]:.6f}")


if __name__ == "__main__":
    ways = {"plain": plain, "installed": installed, "archive": archive, "oracle": oracle}
    if len(sys.argv) != 2 or sys.argv[1] not in ways:
        sys.exit(f"usage: consumer.py {'|'.join(ways)}")
    with tempfile.TemporaryDirectory() as scratch:
        ways[sys.argv[1]](Path(scratch))
