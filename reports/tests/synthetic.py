"""Made-up records for the tests of the report, and for nothing else: every one says synthetic in its data and its
version.

`python3 -m reports.tests.synthetic DIR` writes a set that has every section of a report.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import sys
from pathlib import Path

from reports import statistics

MACHINE = {
    "fingerprint": "0123456789abcdef",
    "cpu": "Imaginary CPU @ 2.0 GHz",
    "cores": 2,
    "ram_bytes": 8 << 30,
    "os": "Debian 12",
    "kernel": "6.1.0",
    "isa": "avx512",
    "caches": "32 KiB, 1 MiB, 32 MiB",
    "load_average": [0.4, 0.5, 0.6],
    "governor": "performance",
}
GPU = "Imaginary GPU"
PROVENANCE = {
    "created_utc": "2026-01-02T03:04:05Z",
    "command": ["hocket-synthetic", "run"],
    "version": "0.1.0 (synthetic)",
    "git_commit": "a" * 40,
    "git_dirty": False,
    "code_digest": "c0de",
    "compiler": "g++ 12.2.0",
    "flags": "-O2",
    "build_type": "Release",
    "libraries": {"fftw": "3.3.10", "eigen": "3.4.0"},
    "environment": {"OMP_NUM_THREADS": "2"},
}


def record(experiment, kind, case, **fields):
    """A valid record; keyword arguments add or replace fields, `machine` and `provenance` are merged."""
    out = {
        "schema": "hocket.record/1",
        "kind": kind,
        "experiment": experiment,
        "case": case,
        "key": hashlib.sha256(("%s %s %s" % (experiment, kind, case)).encode()).hexdigest()[:16],
        "status": "ok",
        "error": None,
        "config": {"method": case.split("/")[1] if "/" in case else case},
        "provenance": {**PROVENANCE, **fields.pop("provenance", {})},
        "machine": {**MACHINE, **fields.pop("machine", {})},
        "wall_s": 1.5,
        "memory": {"rss_peak_bytes": 50 << 20},
    }
    out.update(fields)
    return out


def protocol(dataset, **fields):
    return {
        "task": "%s, made up" % dataset,
        "split_unit": "track",
        "selection_split": "valid",
        "test_split": "test",
        "tuning_trials": 12,
        "family": "synthetic/%s" % dataset,
        "folds": 5,
        "notes": ["style is confounded with composer and mastering"],
        **fields,
    }


def data(dataset, **fields):
    return {
        "name": dataset,
        "version": "synthetic",
        "sha256": hashlib.sha256(dataset.encode()).hexdigest(),
        "licence": "none",
        "n_train": 1300,
        "n_valid": 300,
        "n_test": 600,
        "units": 60,
        "embedded": False,
        "synthetic": False,
        **fields,
    }


def quality(
    dataset, arms, seeds=5, units=60, per_unit=10, classes=5, randomness=1, experiment="audio_features", folds=0
):
    """Answers with the given accuracy per arm; a unit's difficulty is shared by all arms, as tracks' are."""
    rng = random.Random(randomness)
    difficulty = [rng.gauss(0, 1) for _ in range(units)]
    truth_of = [rng.randrange(classes) for _ in range(units)]
    out = []
    for arm, accuracy in arms.items():
        bias = math.log(accuracy / (1 - accuracy))
        for seed in range(seeds):
            for fold in range(max(folds, 1)):
                mine = [u for u in range(units) if not folds or u % folds == fold]
                unit, truth, said = [], [], []
                for u in mine:
                    for _ in range(per_unit):
                        right = rng.random() < 1 / (1 + math.exp(-(bias + 1.2 * difficulty[u] + 0.3 * rng.gauss(0, 1))))
                        unit.append(u)
                        truth.append(truth_of[u])
                        said.append(truth_of[u] if right else (truth_of[u] + rng.randrange(1, classes)) % classes)
                ids = hashlib.sha256(("%s %s" % (dataset, mine)).encode()).hexdigest()
                value = sum(t == s for t, s in zip(truth, said)) / len(truth)
                case = "%s/%s/seed=%d" % (dataset, arm, seed) + ("/fold=%d" % fold if folds else "")
                metrics = [
                    {
                        "name": name,
                        "variant": "synthetic",
                        "unit": "fraction",
                        "better": "higher",
                        "split": "test",
                        "value": v,
                        "n": len(truth),
                    }
                    for name, v in (("accuracy", value), ("macro_f1", value * 0.98))
                ]
                out.append(
                    record(
                        experiment,
                        "quality",
                        case,
                        seed=seed,
                        protocol=protocol(dataset),
                        data=[data(dataset)],
                        metrics=metrics,
                        items={
                            "ids_sha256": ids,
                            "unit": unit,
                            "truth": truth,
                            "predicted": said,
                            "classes": ["class %d" % c for c in range(classes)],
                        },
                    )
                )
    return out


def timing(arm, centre_ns, rng, work=30.0, unit="seconds of audio", n=17, **fields):
    samples = [centre_ns * math.exp(rng.gauss(0, 0.02)) for _ in range(n)]
    median, low, high = statistics.median_interval(samples)
    return {
        "arm": arm,
        "backend": "cpu",
        "dtype": "f32",
        "threads": 1,
        "warmup": 3,
        "samples_ns": samples,
        "median_ns": median,
        "ci95_ns": [low, high],
        "work": work,
        "work_unit": unit,
        "flops": None,
        "bytes": None,
        "rounds_dropped": 1,
        "checked": True,
        **fields,
    }


def ratio(name, centre, rng, n=25, spread=0.02, **fields):
    logs = [math.log(centre) + rng.gauss(0, spread) for _ in range(n)]
    median, low, high = (math.exp(v) for v in statistics.median_interval(logs))
    out = {
        "name": name,
        "numerator": "hocket",
        "denominator": "peer",
        "denominator_version": "1.2.3",
        "ratio": median,
        "ci95": [low, high],
        "better": "lower",
        "target": None,
        "met": None,
        "log_ratios": logs,
        "rounds_dropped": 2,
        **fields,
    }
    if out["target"] is not None:
        out["met"] = median <= out["target"] if out["better"] == "lower" else median >= out["target"]
    return out


AUDIO_ARMS = {
    "stft-bands": 0.58,
    "mel": 0.66,
    "mfcc-librosa": 0.70,
    "mfcc-torchaudio": 0.70,
    "mfcc-kaldi": 0.69,
    "mfcc+deltas": 0.72,
    "mfcc+statistics": 0.76,
    "mfcc+statistics/pca=8": 0.61,
    "mfcc+statistics/pca=16": 0.67,
    "mfcc+statistics/pca=32": 0.73,
}


def audio(rng):
    out = quality("style", AUDIO_ARMS) + quality(
        "drums", {"mel": 0.81, "mfcc-librosa": 0.84, "mfcc+deltas": 0.85}, randomness=2, folds=5
    )
    timings = [timing(arm, 2e6 * (1 + 0.35 * i), rng) for i, arm in enumerate(a for a in AUDIO_ARMS if "pca" not in a)]
    out.append(record("audio_features", "throughput", "style/throughput", timings=timings, data=[data("style")]))
    return out


def pca(rng):
    out = []
    for solver, cost in (("full", 3.0), ("covariance", 1.0), ("randomized", 0.4)):
        for k in (2, 4, 8, 16, 32, 64):
            for seed in range(5):
                error = (
                    0.9 * math.exp(-0.06 * k) * (1.04 if solver == "randomized" else 1.0) * math.exp(rng.gauss(0, 0.01))
                )
                metrics = [
                    {
                        "name": "reconstruction_error",
                        "variant": "relative",
                        "unit": "",
                        "better": "lower",
                        "split": "test",
                        "value": error,
                    },
                    {
                        "name": "fit_memory",
                        "variant": "peak",
                        "unit": "MiB",
                        "better": "lower",
                        "split": "test",
                        "value": 40.0 + 3.0 * cost + 0.01 * k,
                    },
                ]
                out.append(
                    record(
                        "pca_rank",
                        "quality",
                        "digits/%s/k=%d/seed=%d" % (solver, k, seed),
                        seed=seed,
                        metrics=metrics,
                        protocol=protocol("digits", split_unit="image", notes=[]),
                        data=[data("digits", embedded=False)],
                    )
                )
        out.append(
            record(
                "pca_rank",
                "throughput",
                "digits/%s/throughput" % solver,
                timings=[
                    timing("%s/k=%d" % (solver, k), cost * 1e6 * (1 + k / 40), rng, 1797, "rows")
                    for k in (2, 4, 8, 16, 32, 64)
                ],
            )
        )
    points = [[float(i), 0.5 * 0.8**i] for i in range(1, 20)]
    out.append(
        record(
            "pca_rank",
            "curve",
            "digits/spectrum",
            curves=[{"name": "explained", "x": "component", "y": "explained variance ratio", "points": points}],
        )
    )
    return out


def bench(rng):
    out = []
    for n in (256, 400, 512, 1000, 1024, 2048):
        work = 2.5 * n * math.log2(n)
        out.append(
            record(
                "bench",
                "bench",
                "fft/n=%d" % n,
                timings=[
                    timing(arm, work * cost, rng, 1, "transforms", flops=work, bytes=8.0 * n)
                    for arm, cost in (("own", 0.25), ("fftw", 0.2), ("limit: fftw in cache", 0.19))
                ],
            )
        )
    return out


def peers(rng):
    lines = [
        ratio(
            "MFCC, FFTW arm, against the limit", 1.28, rng, numerator="mfcc[fftw]", denominator="bare FFTW", target=1.35
        ),
        ratio(
            "MFCC, own FFT, against the limit", 1.56, rng, numerator="mfcc[own]", denominator="bare FFTW", target=1.5
        ),
        ratio(
            "MFCC against librosa",
            0.14,
            rng,
            numerator="mfcc[fftw]",
            denominator="librosa",
            denominator_version="0.11.0",
        ),
        ratio(
            "MFCC against torchaudio",
            0.38,
            rng,
            numerator="mfcc[fftw]",
            denominator="torchaudio",
            denominator_version="2.11",
        ),
        ratio("MFCC, A against A", 1.0, rng),
        ratio(
            "complex STFT speed against torch.stft", 1.22, rng, better="higher", target=1.1, denominator="torch.stft"
        ),
    ]
    out = [record("bench", "compare", "mfcc/peers", ratios=lines)]
    out.append(
        record(
            "bench",
            "compare",
            "pca/peers",
            status="not_run",
            error={"kind": "not_built", "message": "scikit-learn is not installed"},
        )
    )
    out.append(
        record(
            "audio_features",
            "parity",
            "parity/presets",
            parity=[
                {
                    "what": what,
                    "preset": preset,
                    "peer": peer,
                    "peer_version": "1.0",
                    "dtype": dtype,
                    "cases": 200,
                    "max_error": error,
                    "bound": bound,
                    "unit": "of the row's scale",
                    "ok": error <= bound,
                    "note": note,
                }
                for what, preset, peer, dtype, error, bound, note in (
                    ("MFCC", "librosa-0.11", "librosa", "f64", 3e-12, 1e-8, ""),
                    ("MFCC", "librosa-0.11", "librosa", "f32", 2.4e-6, 4.1e-6, ""),
                    ("STFT", "torchaudio", "torchaudio", "f64", 8e-14, 1e-10, ""),
                    ("log-mel", "whisper", "whisper", "f32", 1.2e-6, 2e-6, "from the definition"),
                )
            ],
        )
    )
    return out


def cuda(rng):
    """What a day on a GPU writes: an arm beside cuBLAS, their ratio, and the check of every entry point."""
    out = [
        record(
            "bench",
            "bench",
            "product/n=4096/f16",
            config={"gpu": GPU},
            timings=[
                timing(arm, 2 * 4096.0**3 / rate, rng, 1, "launches", flops=2 * 4096.0**3, dtype="f16", backend="cuda")
                for arm, rate in (("cuda mma", 150e3), ("cublas", 700e3))
            ],
        ),
        record(
            "gpu_day",
            "compare",
            "targets/" + GPU,
            config={"gpu": GPU, "cublas": "another process on another card"},
            ratios=[
                ratio("product", 0.21, rng, numerator="cublas", denominator="cuda mma", better="higher", target=0.7)
            ],
        ),
    ]
    checked = [
        {
            "what": "entry_point_%d" % i,
            "preset": "",
            "peer": "reference.hpp",
            "peer_version": "0.1.0",
            "dtype": "f32",
            "cases": 5,
            "max_error": 0.4,
            "bound": 1.0,
            "unit": "of the promised bound",
            "ok": True,
            "note": "",
        }
        for i in range(70)
    ]
    found = [
        {
            "name": "errors of compute-sanitizer",
            "variant": tool,
            "unit": "errors",
            "better": "lower",
            "split": "test",
            "value": errors,
        }
        for tool, errors in (("memcheck", 0), ("initcheck", 189))
    ]
    config = {"gpu": GPU, "initcheck": "all of them the check's own", "not run: large sizes": "entry_point_1"}
    out.append(record("gpu_day", "parity", "kernels/" + GPU, config=config, parity=checked, metrics=found))
    return out


def everything(randomness=7):
    rng = random.Random(randomness)
    return audio(rng) + pca(rng) + bench(rng) + peers(rng) + cuda(rng)


def write(records, directory):
    for one in records:
        path = (
            Path(directory)
            / one["experiment"]
            / (one["kind"] + "-" + one["key"] + "-" + one["machine"]["fingerprint"] + ".json")
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(one), encoding="utf-8")


if __name__ == "__main__":
    write(everything(), sys.argv[1])
