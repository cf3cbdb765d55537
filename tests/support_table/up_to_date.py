#!/usr/bin/env python3
"""docs/support-table.md is what bin/hocket_support_table prints. Skipped, with the reason, where an optional library is
missing: its arms are not in this build.

  up_to_date.py PROGRAM VENDOR... [--write]"""
import subprocess
import sys
from pathlib import Path

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "support-table.md"
ALL = {"sndfile", "fftw", "blas", "lapack", "onednn"}


def main(program, *found):
    missing = ALL - set(found)
    printed = subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True).stdout
    if "--write" in found:
        COMMITTED.write_text(printed, encoding="utf-8")
        return 0
    if missing:
        print(f"skipped: this build is without {', '.join(sorted(missing))}")
        return 77
    if COMMITTED.read_text(encoding="utf-8") == printed:
        return 0
    print(f"docs/support-table.md is out of date; write this to it ({program} > docs/support-table.md):\n{printed}")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
