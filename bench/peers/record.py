"""A comparison as a record of reports/schema: built from what the rounds gave, written to a temporary file and renamed."""
from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import fair

SCHEMA = "hocket.record/1"
EXPERIMENT = "compare"
TIMED_KINDS = ("throughput", "bench", "compare")  # their keys hold the machine


def code_digest(library: Path, scripts: Path) -> str:
    """Of the measured library and of the scripts that measure it."""
    total = hashlib.sha256()
    for path in [library, *sorted(scripts.glob("*.py"))]:
        total.update(path.read_bytes())
    return total.hexdigest()


def fastest(names, rounds: fair.Rounds) -> str:
    return min(names, key=lambda name: fair.median(rounds.seconds[name]))


def ratio_row(ratio, arms: dict, rounds: fair.Rounds) -> dict:
    top, bottom = fastest(ratio.numerator, rounds), fastest(ratio.denominator, rounds)
    logs = fair.log_ratios(rounds, top, bottom)
    value, interval = fair.ratio_of(logs)
    return {"name": ratio.name, "numerator": " ".join(filter(None, (top, arms[top].version))), "denominator": bottom,
            "denominator_version": arms[bottom].version, "ratio": value, "ci95": list(interval), "better": ratio.better,
            "target": ratio.target, "met": ratio.met(value), "log_ratios": logs, "rounds_dropped": rounds.dropped}


def timing_row(arm, contest, rounds: fair.Rounds) -> dict:
    samples = [s * 1e9 for s in rounds.seconds[arm.name]]
    return {"arm": arm.name, "backend": arm.backend, "dtype": arm.dtype, "threads": arm.threads,
            "warmup": 2, "samples_ns": samples, "median_ns": fair.median(samples),
            "ci95_ns": list(fair.median_interval(samples)), "work": contest.work, "work_unit": contest.work_unit,
            "flops": None, "bytes": None, "rounds_dropped": rounds.dropped, "checked": True}


def parity_row(check: dict) -> dict:
    return {"what": check["what"], "peer": check["peer"], "peer_version": check["peer_version"], "dtype": "f32", "cases": 1,
            "max_error": check["error"], "bound": check["bound"], "ok": True}


def key_of(record: dict) -> str:
    """As include/hocket/measure/record_json.hpp computes it; `validate` there recomputes the key of every file."""
    basis = {"experiment": record["experiment"], "kind": record["kind"], "config": record["config"],
             "seed": record["seed"], "data": [[d["name"], d["sha256"]] for d in record["data"]],
             "code": record["provenance"]["code_digest"]}
    if record["kind"] in TIMED_KINDS:
        basis["machine"] = record["machine"]["fingerprint"]
    text = json.dumps(basis, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def build(case, status: str, context: dict, command: list, code: str, error=None, contest=None, rounds=None,
          wall_s: float = 0.0) -> dict:
    config = {"threads": case.threads, "rounds": case.rounds, "canary_limit": str(fair.CANARY_LIMIT)}
    record = {"schema": SCHEMA, "kind": "compare", "experiment": EXPERIMENT, "case": case.name, "status": status,
              "error": error, "seed": 1, "wall_s": wall_s, "config": config, "data": []}
    provenance = dict(context["provenance"])
    if contest:
        config.update(contest.config)
        config.update({f"not run: {name}": reason for name, reason in contest.not_run})
        record["data"] = contest.data
        record["parity"] = [parity_row(check) for check in contest.checks]
        provenance["libraries"] = {**provenance["libraries"], **contest.libraries}
        if rounds:
            arms = {arm.name: arm for arm in contest.arms}
            record["timings"] = [timing_row(arm, contest, rounds) for arm in contest.arms]
            record["ratios"] = [ratio_row(ratio, arms, rounds) for ratio in contest.ratios]
    provenance.update({"created_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "command": command,
                       "code_digest": code})
    record.update({"provenance": provenance, "machine": context["machine"]})
    record["key"] = key_of(record)
    return record


def write(record: dict, results: Path) -> Path:
    """results/<experiment>/<key>.json; records of the same case with another key go to results/superseded."""
    folder = results / record["experiment"]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record['key']}.json"
    temporary = folder / f".{record['key']}.{os.getpid()}.tmp"
    members = (f"{json.dumps(name)}: {json.dumps(record[name], sort_keys=True, allow_nan=False, separators=(',', ':'))}"
               for name in sorted(record))
    temporary.write_text("{\n" + ",\n".join(members) + "\n}\n", encoding="utf-8")
    os.replace(temporary, path)
    for other in folder.glob("*.json"):
        if other == path:
            continue
        try:
            old = json.loads(other.read_text(encoding="utf-8"))
        except ValueError:
            continue
        if old.get("case") == record["case"] and old["machine"]["fingerprint"] == record["machine"]["fingerprint"]:
            shelf = results / "superseded" / record["experiment"]
            shelf.mkdir(parents=True, exist_ok=True)
            os.replace(other, shelf / other.name)
    return path
