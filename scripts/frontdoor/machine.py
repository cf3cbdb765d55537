"""What the machine has: system packages by apt, Python packages in a virtual environment. Installs what is missing where
that is possible and says exactly what to install where it is not."""
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "scripts" / "requirements.txt"


class Trouble(Exception):
    """A message for the user and the exit code: 2 wrong use, 3 failed, 4 no data, 5 something is not there."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def say(text):
    print(text, file=sys.stderr, flush=True)


def cache():
    return Path(os.environ.get("HOCKET_CACHE") or Path.home() / ".cache" / "hocket")


class Need:
    """A package, how to see without apt that it is there, and whether the build stops without it."""

    def __init__(self, packages, probe, why, required=True):
        self.packages, self.probe, self.why, self.required = packages, probe, why, required  # packages: first known one


def header(name):
    return lambda: any((Path(base) / name).exists() for base in ("/usr/include", "/usr/local/include", *triplets()))


def program(name):
    return lambda: shutil.which(name) is not None


def triplets():
    return [str(path) for path in Path("/usr/include").glob("*-linux-gnu")] + ["/usr/include/openblas"]


def library(name):
    return lambda: any(next(Path(base).glob(f"{folder}lib{name}.so"), None) for base in ("/usr/lib", "/usr/lib64", "/usr/local/lib")
                       for folder in ("", "*-linux-gnu/"))


def any_of(*probes):
    return lambda: any(probe() for probe in probes)


BUILD = [
    Need(["g++"], any_of(program("g++"), program("clang++"), program("c++")), "the compiler"),
    Need(["cmake"], program("cmake"), "the build"),
    Need(["ninja-build"], any_of(program("ninja"), program("ninja-build")), "the build"),
    Need(["libeigen3-dev"], any_of(header("eigen3/Eigen/Core"), header("Eigen/Core")), "linear algebra"),
    Need(["libsndfile1-dev"], header("sndfile.h"), "WAV, FLAC and OGG files"),
    Need(["nlohmann-json3-dev"], header("nlohmann/json.hpp"), "run records"),
    Need(["libcli11-dev"], header("CLI/CLI.hpp"), "command lines of the experiments"),
    Need(["libbenchmark-dev"], header("benchmark/benchmark.h"), "benchmarks"),
    Need(["catch2"], any_of(header("catch2/catch.hpp"), header("catch2/catch_all.hpp")), "tests"),
    Need(["libfftw3-dev"], header("fftw3.h"), "the FFTW arms", required=False),
    Need(["libopenblas-openmp-dev", "libopenblas-dev"], library("openblas"), "the BLAS arms", required=False),  # others have a cblas.h too
    Need(["liblapacke-dev"], header("lapacke.h"), "the LAPACK arms", required=False),
    Need(["libdnnl-dev", "libonednn-dev"], header("dnnl.hpp"), "the oneDNN arms", required=False),
    Need(["ccache"], program("ccache"), "fast rebuilds", required=False),
]
CHECKS = [Need(["git"], program("git"), "the test of the exported tree", required=False),
          Need(["chromium"], any_of(program("chromium"), program("chromium-browser"), program("google-chrome")),
               "the report's test in a browser", required=False)]
FULL_CHECKS = [Need(["clang-16", "clang"], any_of(program("clang++-16"), program("clang++")), "the clang build", required=False)]


def succeeds(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def known_to_apt(package):
    shown = subprocess.run(["apt-cache", "policy", package], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, text=True, env={**os.environ, "LC_ALL": "C"}).stdout
    return "Candidate:" in shown and "Candidate: (none)" not in shown


def elevation():
    """The prefix that lets apt-get install: [] for root, sudo where it works; None when neither does."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    if succeeds("sudo", "-n", "true"):
        return ["sudo", "-n"]
    return ["sudo"] if sys.stdin.isatty() else None


def apt(prefix, *arguments):
    command = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "--no-install-recommends",
               "-o", "DPkg::Lock::Timeout=300", *arguments]
    done = subprocess.run(command, stdin=None if sys.stdin.isatty() else subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return done.returncode == 0, done.stdout


def install(needs):
    """Installs what is missing. Missing optional packages are named and do not stop anything."""
    missing = [need for need in needs if not need.probe()]
    if not missing:
        return
    names = " ".join(need.packages[0] for need in missing)
    prefix = elevation()
    if not shutil.which("apt-get") or prefix is None:
        how = ("this system has no apt-get: install their equivalents" if not shutil.which("apt-get")
               else f"run as root: apt-get update && apt-get install -y {names}")
        required = [need for need in missing if need.required]
        listing = ", ".join(f"{need.packages[0]} ({need.why})" for need in missing)
        if required:
            raise Trouble(5, f"missing packages: {listing}; {how}")
        say(f"hocket: going on without optional packages: {listing}; {how}")
        return
    say(f"hocket: installing {names}")
    updated, output = apt(prefix, "update")
    if not updated:
        say("hocket: apt-get update failed, trying the lists that are there: " + " ".join(output.splitlines()[-2:]))
    wanted = []
    for need in missing:
        known = next((package for package in need.packages if known_to_apt(package)), None)
        if known:
            wanted.append(known)
        elif need.required:
            raise Trouble(5, f"apt knows no package {' or '.join(need.packages)} ({need.why}); install it by hand")
    installed, output = apt(prefix, "install", *wanted) if wanted else (True, "")
    if not installed:  # one bad package must not keep the others out
        for package in wanted:
            installed, output = apt(prefix, "install", package)
            if not installed:
                say(f"hocket: apt-get install {package} failed: " + " ".join(output.splitlines()[-3:]))
    for need in missing:
        if not need.probe():
            if need.required:
                raise Trouble(5, f"{need.packages[0]} ({need.why}) is still missing after apt-get install")
            say(f"hocket: going on without {need.packages[0]} ({need.why})")


def imports(python, modules="import numpy, matplotlib, jsonschema"):
    return succeeds(str(python), "-c", modules)


def python_for_reports():
    """A Python with numpy, matplotlib and jsonschema: this one if it has them, else a virtual environment in the cache,
    else this one with apt's packages."""
    if imports(sys.executable):
        return Path(sys.executable)
    place = cache() / "venv"
    python, stamp = place / "bin" / "python", place / "requirements.sha256"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted and imports(python):
        return python
    say(f"hocket: setting up {place} (numpy, matplotlib)")
    if not succeeds(sys.executable, "-c", "import ensurepip, venv"):
        try:
            install([Need([f"python{sys.version_info[0]}.{sys.version_info[1]}-venv", "python3-venv"],
                          lambda: succeeds(sys.executable, "-c", "import ensurepip, venv"), "the report's Python packages")])
        except Trouble as trouble:
            say(f"hocket: {trouble}")
    shutil.rmtree(place, ignore_errors=True)
    if succeeds(sys.executable, "-m", "venv", str(place)) and succeeds(
            str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS)) and imports(python):
        stamp.write_text(wanted)
        return python
    say("hocket: pip could not install the report's packages, trying apt")
    system = Path("/usr/bin/python3")
    try:
        install([Need([f"python3-{name}"], lambda name=name: imports(system, f"import {name}"), "the report")
                 for name in ("numpy", "matplotlib", "jsonschema")])
    except Trouble as trouble:
        raise Trouble(5, f"no Python with numpy, matplotlib and jsonschema: pip failed, and {trouble}") from None
    return system
