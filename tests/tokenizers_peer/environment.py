"""Runs a script in the environment of bench/peers where the libraries it compares with are."""
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("HOCKET_CACHE") or Path.home() / ".cache" / "hocket")


def require(name):
    """Returns if the library can be imported; otherwise ends as the same script there does, or with 77 (skipped)."""
    if importlib.util.find_spec(name):
        return
    python = CACHE / "peers" / "bin" / "python"
    if python.is_file() and not os.environ.get("HOCKET_IN_PEERS"):
        sys.exit(subprocess.run([str(python), *sys.argv], env={**os.environ, "HOCKET_IN_PEERS": "1"}).returncode)
    print(f"skipped: no Python with {name} (./hocket compare --setup makes one)")
    sys.exit(77)
