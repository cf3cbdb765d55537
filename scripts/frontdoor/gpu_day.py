"""./hocket gpu-day: on a machine with an NVIDIA GPU, everything that was never run on one.

Builds with CUDA, compares every kernel with its reference on the GPU, walks the small sizes through compute-sanitizer,
times the CUDA arms, and writes the records: what the support table and the reports then say of this GPU. A step that
cannot run is named in the record with the reason; nothing is estimated. Exit codes: 0, 1 a kernel was wrong, the
sanitizer found something or a target was missed, 3 the build failed, 5 no device, no nvcc or no driver.

Where nothing can be installed, --programs takes the two programs from a machine with the same system that has no GPU:
cmake -B build/gpu -DHOCKET_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=90 ..., targets hocket_cuda_check and hocket_bench."""
import hashlib
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import build
from .machine import ROOT, Trouble, say

SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")
PRESET = "gpu"
MIN_SAMPLES = 12
# (name, operation, our arm, the peer's arm, element types, least share of the peer's speed)
TARGETS = (("product on tensor cores", "gemm", "cuda mma_nn", "cublas", ("f16", "bf16"), 0.7),
           ("product", "gemm", "cuda tiled_nn", "cublas", ("f32",), 0.7),
           ("attention", "attention", "cuda forward_d64", "flash", ("f16",), 0.7))

REAL_TIME = 1e6  # seconds of audio a second that the fused MFCC is to reach


def output_of(command, timeout=600):
    """(exit code, output); 127 when the program is not there."""
    try:
        done = subprocess.run([str(part) for part in command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout)
    except FileNotFoundError:
        return 127, f"{command[0]} is not installed"
    except subprocess.TimeoutExpired as late:
        return 124, f"{late.stdout or ''}\n{command[0]} took longer than {timeout} s"
    return done.returncode, done.stdout


def device():
    """{name, capability} of the first GPU; Trouble 5 if there is none."""
    code, out = output_of(["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"], 60)
    found = re.match(r"\s*(.+?),\s*(\d+)\.(\d+)", out)
    if code != 0 or not found:
        raise Trouble(5, "gpu-day: no_device: no CUDA device was found on this machine (" + " ".join(out.split())[:120] + ")")
    return {"name": found[1], "capability": found[2] + found[3]}


def nvcc():
    beside = Path(os.environ.get("CUDA_PATH") or "/usr/local/cuda") / "bin" / "nvcc"
    found = shutil.which("nvcc") or (str(beside) if beside.is_file() else None)
    if not found:
        raise Trouble(5, "gpu-day: not_built: nvcc was not found; install the CUDA toolkit or set CUDA_PATH")
    return found


def check_rows(text):
    """(parity rows by entry point, problems) from the lines of hocket_cuda_check."""
    rows, problems = {}, []
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) != 6:
            continue
        names, sizes, count, units, verdict, message = fields
        if verdict != "ok":
            problems.append(f"{names} at {sizes}: {message}")
        for name in names.split(","):
            row = rows.setdefault(name, {"what": name, "preset": "", "peer": "reference.hpp", "peer_version": build.version(),
                                         "dtype": name.rsplit("_", 1)[1], "cases": 0, "max_error": 0.0, "bound": 1.0,
                                         "unit": "of the promised bound", "ok": True, "note": ""})
            row["cases"] += 1
            error = float(units)
            if not math.isfinite(error):
                row["max_error"] = None
            elif row["max_error"] is not None:
                row["max_error"] = max(row["max_error"], error)
            if verdict != "ok":
                row["ok"] = False
                row["note"] = f"{sizes}: {message}"[:300]
    return [rows[name] for name in sorted(rows)], problems


def sanitizer_errors(text):
    """How many errors compute-sanitizer counted; None when its summary is not there."""
    found = re.findall(r"ERROR SUMMARY: (\d+) errors?$", text, re.M) + re.findall(r"RACECHECK SUMMARY: (\d+) hazard", text)
    return sum(map(int, found)) if found else None


def sanitize(program):
    """(metrics, problems, {tool: why it did not run}). The tools run side by side: nothing is timed meanwhile."""
    metrics, problems, absent = [], [], {}
    say("hocket: compute-sanitizer: " + ", ".join(SANITIZERS))
    with ThreadPoolExecutor(len(SANITIZERS)) as pool:
        ended = pool.map(lambda tool: output_of(["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", program, "--small"], 3000), SANITIZERS)
    for tool, (code, out) in zip(SANITIZERS, ended):
        errors = sanitizer_errors(out)
        if code == 127 or errors is None:
            absent[f"compute-sanitizer {tool}"] = " ".join(out.split())[-200:] or f"exit code {code}"
            continue
        if errors or code:
            problems.append(f"compute-sanitizer --tool {tool}: {errors} errors, exit code {code}:\n{out[-2000:]}")
        metrics.append({"name": "errors of compute-sanitizer", "variant": tool, "unit": "errors", "better": "lower", "split": "test",
                        "value": errors})
    return metrics, problems, absent


def bench_records(folder):
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / "bench").glob("*.json"))]


def ratios(records, targets=TARGETS):
    """(ratio rows, names of targets for which something was not timed). A ratio is peer's time / our time, at the largest
    size that both ran at: the share of the peer's speed."""
    rows, absent = [], []
    for name, operation, ours, peer, types, least in targets:
        for dtype in types:
            best = None
            for record in records:
                if record["config"].get("op") != operation or record["config"].get("dtype") != dtype:
                    continue
                arms = {timing["arm"]: timing for timing in record.get("timings", ())}
                if ours in arms and peer in arms and (best is None or arms[ours]["flops"] > best[1][ours]["flops"]):
                    best = record, arms
            if best is None:
                absent.append(f"{name} ({dtype}): {ours} or {peer} was not timed")
                continue
            record, arms = best
            logs = [math.log(theirs / mine) for mine, theirs in zip(arms[ours]["samples_ns"], arms[peer]["samples_ns"])]
            value = math.exp(statistics.median(logs))
            ordered = sorted(logs)
            rank = max(0, int(len(logs) / 2 - 0.98 * math.sqrt(len(logs))) - 1)  # 95 % for the median, by order
            rows.append({"name": f"{name}, {dtype}, {record['config']['shape']}", "numerator": peer, "denominator": ours,
                         "denominator_version": build.version(), "ratio": value,
                         "ci95": [math.exp(ordered[rank]), math.exp(ordered[-1 - rank])], "better": "higher", "target": least,
                         "met": value >= least, "log_ratios": logs})
    return rows, absent


def real_time(records):
    """(metric rows, why none): seconds of audio a second of the fused chain, from arms whose work is counted in them."""
    rows = []
    for record in records:
        if record["config"].get("op") != "mfcc":
            continue
        shape, dtype = record["config"]["shape"], record["config"]["dtype"]
        rows += [{"name": "real-time factor", "variant": f"{shape}, {dtype}, {timing['arm']}", "unit": "seconds of audio a second",
                  "better": "higher", "split": "test", "value": timing["work"] / (timing["median_ns"] * 1e-9)}
                 for timing in record.get("timings", ())
                 if timing.get("backend") == "cuda" and timing.get("work_unit") == "seconds of audio"]
    return rows, None if rows else "hocket_bench has no CUDA arm of the fused MFCC that counts seconds of audio"


def add_flash(records):
    """Times torch's FlashAttention-2 at the sizes of our f16 attention and puts it beside our arm. Why it could not, or None.
    Another process: its runs follow ours, they do not alternate with them."""
    python = os.environ.get("HOCKET_TORCH_PYTHON") or "python3"
    reason = "attention was not timed"
    for record in records:
        sizes = re.fullmatch(r"B=(\d+)/H=(\d+)/T=(\d+)/D=64", record["config"].get("shape", ""))
        if record["config"].get("op") != "attention" or record["config"].get("dtype") != "f16" or not sizes:
            continue
        code, out = output_of([python, "bench/cuda/flash_peer.py", *sizes.groups(), "64"])
        if code != 0:
            reason = " ".join(out.split())[-200:]
            continue
        samples = json.loads(out.splitlines()[-1])["samples_ns"]
        record["timings"].append({"arm": "flash", "samples_ns": samples, "flops": record["timings"][0]["flops"]})
        reason = None
    return reason


def record_of(kind, case, config, like, parts):
    """A record of reports/schema. `like` is a record of hocket_bench from the same run: machine and provenance are its own."""
    record = {"schema": "hocket.record/1", "kind": kind, "experiment": "gpu_day", "case": case, "status": "ok", "error": None, "seed": 1,
              "config": config, "data": [], **parts}
    record["machine"] = like["machine"]
    record["provenance"] = {**like["provenance"], "command": ["./hocket", "gpu-day"],
                            "created_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    basis = {"experiment": "gpu_day", "kind": kind, "config": config, "seed": 1, "data": [], "code": record["provenance"]["code_digest"]}
    if kind == "compare":  # a timed kind
        basis["machine"] = record["machine"]["fingerprint"]
    text = json.dumps(basis, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    record["key"] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return record


def write(record, folder):
    path = folder / record["experiment"] / f"{record['key']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(record, sort_keys=True, allow_nan=False, indent=0) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def build_programs(capability, compiler):
    definitions = ["-DHOCKET_CUDA=ON", f"-DCMAKE_CUDA_ARCHITECTURES={capability}", f"-DCMAKE_CUDA_COMPILER={compiler}",
                   "-DCMAKE_BUILD_TYPE=Release", "-DHOCKET_EXPERIMENTS=OFF"]
    tree = build.folder(PRESET)
    build.run(["cmake", "-S", str(ROOT), "-B", str(tree), "-G", "Ninja", *definitions], "configure-gpu.log", "configuring with CUDA")
    build.run(["cmake", "--build", str(tree), "-j", str(build.jobs()), "--target", "hocket_cuda_check", "hocket_bench"], "build-gpu.log",
              "building with CUDA")
    return tree / "bin"


def run(results, programs=None):
    """All of it; the records go to `results`. `programs`: a folder of programs that were built elsewhere."""
    gpu = device()
    say(f"hocket: {gpu['name']}, compute capability {gpu['capability']}")
    programs = programs or build_programs(gpu["capability"], nvcc())
    code, text = output_of([programs / "hocket_cuda_check"], 3000)
    if code == 5:
        raise Trouble(5, "gpu-day: " + text.strip())
    parity, problems = check_rows(text)
    if not parity:
        raise Trouble(1, "gpu-day: hocket_cuda_check compared nothing:\n" + text[-2000:])
    listing = json.loads((ROOT / "docs" / "kernels.json").read_text(encoding="utf-8"))["kernels"]
    unchecked = sorted({kernel["name"] for kernel in listing} - {row["what"] for row in parity})
    metrics, found, absent = sanitize(programs / "hocket_cuda_check")
    problems += found
    say("hocket: timing the CUDA arms")
    out = build.LOGS / "gpu-day-results"
    shutil.rmtree(out, ignore_errors=True)
    code, text = output_of([programs / "hocket_bench", "--benchmark_filter=/(cuda |cublas|cufft|flash)", "--results", out,
                            "--benchmark_min_time=0.001"], 6000)  # every run overwrites the cache first: that is the longer part
    if code != 0:
        problems.append(f"hocket_bench ended with {code}:\n{text[-2000:]}")
    records = [record for record in bench_records(out) if record["status"] == "ok"]
    if not records:
        raise Trouble(1, "gpu-day: hocket_bench wrote no record:\n" + text[-2000:])
    flash = add_flash(records)
    if flash:
        absent["flash (torch)"] = flash
    rows, not_timed = ratios(records)
    factors, no_factor = real_time(records)
    metrics += factors
    if no_factor:
        absent["fused MFCC, times real time"] = no_factor
    problems += [f"fused MFCC: {row['value']:.3g} x real time, target {REAL_TIME:.3g} ({row['variant']})" for row in factors
                 if "/mfcc/" in row["variant"] and row["value"] < REAL_TIME]  # the chain to its end; spectra write far more
    config = {"gpu": gpu["name"], "compute_capability": gpu["capability"]}
    missing = {**{f"not run: {name}": why for name, why in absent.items()},
               **{f"not run: {name}": "no check on a GPU in tests/cuda_gpu" for name in unchecked}}
    write(record_of("parity", f"kernels/{gpu['name']}", {**config, **missing}, records[0], {"parity": parity, "metrics": metrics}), results)
    write(record_of("compare", f"targets/{gpu['name']}", {**config, **{f"not run: {what.split(':')[0]}": what for what in not_timed}}, records[0],
                    {"ratios": rows}), results)
    for path in sorted((out / "bench").glob("*.json")):
        (results / "bench").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, results / "bench" / path.name)
    for row in rows:
        print(f"{row['name']}: {row['ratio']:.2f} of {row['numerator']}'s speed, target {row['target']}: {'met' if row['met'] else 'MISSED'}")
    for what in [*not_timed, *(f"{name}: {why}" for name, why in absent.items()), *(f"{name}: not checked on the GPU" for name in unchecked)]:
        print("not run: " + what)
    for problem in problems:
        print("PROBLEM " + problem)
    print(f"{sum(row['ok'] for row in parity)} of {len(parity)} entry points right on {gpu['name']}; records in {results}")
    return 1 if problems or not all(row["met"] for row in rows) else 0
