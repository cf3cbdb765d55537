#!/usr/bin/env python3
"""Makes experiments/data/embedded, the small sets that the repository carries: a choice of Sonic Pi's CC0 sounds and
scikit-learn's digits. Needs the set sonic_pi (fetch.py) and pip. The result is committed; running it again gives the
same bytes.

  experiments/data/make_embedded.py
"""
import gzip
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from fetch import cache_directory, read_tsv, sha256, write_description
from sets import Set

HERE = Path(__file__).resolve().parent
CLASSES = ("kick", "snare", "cymbal", "tabla", "electronic")  # those that have several units and small files
SCIKIT_LEARN = "1.7.2"


def origins():
    """(author, source) of each sound that the Debian package's copyright file names as CC0."""
    with tempfile.TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o755)
        subprocess.run(["apt-get", "download", "-q", "sonic-pi-samples"], check=True, cwd=scratch, stdin=subprocess.DEVNULL)
        subprocess.run(["dpkg-deb", "-x", str(next(Path(scratch).glob("*.deb"))), "root"], check=True, cwd=scratch)
        stated = (Path(scratch) / "root/usr/share/doc/sonic-pi-samples/copyright").read_text(encoding="utf-8")
    found = {}
    for paragraph in re.split(r"\n\s*\n", stated):
        fields = dict(re.findall(r"^(\S+):\s*(.*)$", paragraph, re.M))
        for name in re.findall(r"etc/samples/(\S+\.flac)", paragraph):
            if fields.get("License") == "CC0":
                found[name] = (fields.get("Copyright", ""), fields.get("Source", ""))
    return found


def sounds(target):
    source = cache_directory() / "data" / "sonic_pi"
    known, rows = origins(), []
    for row in read_tsv(source / "manifest.tsv"):
        if row["class"] in CLASSES and row["path"] in known:
            shutil.copyfile(source / row["path"], target / row["path"])
            rows.append((row["path"], row["class"], row["unit"], row["licence"], row["sha256"]))
    version = next(row["value"] for row in read_tsv(source / "set.tsv") if row["key"] == "version")
    described = Set("embedded_sounds", f"{len(rows)} short sounds by instrument, shipped with the repository", "sound", [], "", None)
    write_description(described, target, rows, [version], embedded=True)
    with open(target / "NOTICE.md", "w", encoding="utf-8", newline="\n") as out:
        out.write("# Where these sounds come from\n\nA choice of the samples of Sonic Pi 3.2.2 (Debian package sonic-pi-samples), byte for "
                  "byte. Their authors published them on freesound.org\nand dedicated them to the public domain under Creative Commons CC0 "
                  "1.0 (https://creativecommons.org/publicdomain/zero/1.0/); many were\ntrimmed for Sonic Pi. The statement is in the "
                  "package's copyright file, one paragraph per sound; a sound without one is left out.\n\nThe class is the instrument; "
                  "loud, soft and numbered variants of a sound are one unit. Class goes with recordist for tabla and\nelectronic (one author "
                  "each), so an accuracy on this set says little about instruments in general.\n\n| file | author | source |\n|---|---|---|\n")
        for row in sorted(rows):
            out.write("| {} | {} | {} |\n".format(row[0], *known[row[0]]))


def digits(target):
    """scikit-learn's digits.csv.gz as whole numbers: 64 gray values 0..16 and the digit."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", scratch,
                        f"scikit-learn=={SCIKIT_LEARN}"], check=True, stdin=subprocess.DEVNULL)
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
            packed = wheel.read("sklearn/datasets/data/digits.csv.gz")
            description = wheel.read("sklearn/datasets/descr/digits.rst").decode()
            licence = next(wheel.read(name).decode() for name in wheel.namelist() if name.endswith("COPYING"))
    table = gzip.open(io.BytesIO(packed), "rt", encoding="ascii").read().splitlines()
    with open(target / "digits.csv", "w", encoding="ascii", newline="\n") as out:
        for line in table:
            out.write(",".join(str(int(float(value))) for value in line.split(",")) + "\n")
    (target / "LICENSE").write_text(licence.split("\n-----")[0].rstrip() + "\n", encoding="utf-8")
    (target / "NOTICE.md").write_text(
        "# Where these digits come from\n\n1,797 handwritten digits of 8 x 8 pixels: sklearn/datasets/data/digits.csv.gz of scikit-learn "
        f"{SCIKIT_LEARN} (BSD-3-Clause, see LICENSE),\nits numbers written as whole numbers. It is the test part of \"Optical recognition of "
        "handwritten digits\", E. Alpaydin and C. Kaynak, UCI Machine\nLearning Repository, 1998 (CC-BY-4.0); 13 of its 43 writers. "
        "Who wrote which digit is not recorded, so the unit is the image.\n", encoding="utf-8")
    if "Optical recognition of handwritten digits" not in description:
        sys.exit("the wheel's description of digits is not the expected one")
    rows = [("digits.csv", "last column", "image", "BSD-3-Clause", sha256(target / "digits.csv"))]
    described = Set("embedded_digits", "scikit-learn's 1,797 handwritten digits, 8 x 8", "image", [], "", None, kind="table")
    write_description(described, target, rows, [f"scikit-learn {SCIKIT_LEARN}"], embedded=True)


def main():
    embedded = HERE / "embedded"
    shutil.rmtree(embedded, ignore_errors=True)
    for name in ("sounds", "digits"):
        (embedded / name).mkdir(parents=True)
    sounds(embedded / "sounds")
    digits(embedded / "digits")
    size = sum(path.stat().st_size for path in embedded.rglob("*"))
    print(f"{embedded}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
