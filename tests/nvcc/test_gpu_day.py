"""gpu-day without a GPU: what it says here, and with stand-ins for the programs, what it makes of their output."""
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from frontdoor import gpu_day  # noqa: E402
from frontdoor.machine import Trouble  # noqa: E402

CHECKED = "\n".join([
    "device\tNVIDIA Example\tsm_80\t13.0",
    "hocket_softmax_forward_f32\trows=1 columns=1\t1\t0.25\tok\tok: element 0 of 1",
    "hocket_softmax_forward_f32\trows=3 columns=32\t96\t0.5\tok\tok: element 7 of 96",
    "hocket_layernorm_backward_f16,hocket_layernorm_parameters_f16\trows=1 columns=1\t3\tinf\tFAILED\tFAILED: element 2",
])


def bench_record(op, dtype, times, shape="m=64", flops=2.0):
    """As hocket_bench writes it, with `times` {arm: seconds}."""
    return {"schema": "hocket.record/1", "kind": "bench", "experiment": "bench", "case": f"{op}/{shape}/{dtype}", "status": "ok", "error": None,
            "key": "0" * 16, "seed": 1, "data": [], "config": {"op": op, "dtype": dtype, "shape": shape},
            "timings": [{"arm": arm, "backend": "cuda", "dtype": dtype, "threads": 1, "samples_ns": [seconds * 1e9] * 12, "median_ns": seconds * 1e9,
                         "ci95_ns": [seconds * 1e9] * 2, "work": 1, "work_unit": "launches", "flops": flops, "bytes": 1.0, "checked": True}
                        for arm, seconds in times.items()],
            "provenance": {"created_utc": "2026-01-01T00:00:00Z", "command": ["hocket_bench"], "version": "0.1.0", "git_commit": "0" * 40,
                           "git_dirty": False, "code_digest": "1" * 64, "compiler": "gcc", "flags": "-O3", "build_type": "Release", "libraries": {}},
            "machine": {"fingerprint": "f", "cpu": "c", "cores": 1, "ram_bytes": 1, "os": "o", "kernel": "k", "isa": "avx2"}}


def program(path, output, code=0):
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\nexit {code}\n", encoding="utf-8")
    path.chmod(0o755)


class WithoutGpu(unittest.TestCase):
    def test_the_named_error_and_exit_5(self):
        with tempfile.TemporaryDirectory() as empty:
            tools = Path(empty)
            for name in ("sh", "dirname", "env", "python3"):
                (tools / name).symlink_to(Path("/usr/bin/env") if name == "env" else Path(sys.executable) if name == "python3" else f"/bin/{name}")
            done = subprocess.run([str(ROOT / "scripts" / "gpu-day"), "--results", empty], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, env={**os.environ, "PATH": empty})
            self.assertEqual(done.returncode, 5, done.stderr)
            self.assertIn("gpu-day: no_device: no CUDA device was found on this machine (nvidia-smi is not installed)", done.stderr)
            self.assertFalse((tools / "gpu_day").exists())

    def test_a_device_without_nvcc(self):
        with mock.patch("shutil.which", return_value=None), mock.patch.dict(os.environ, {"CUDA_PATH": "/nonexistent"}), \
                self.assertRaisesRegex(Trouble, "not_built: nvcc was not found") as caught:
            gpu_day.nvcc()
        self.assertEqual(caught.exception.code, 5)

    def test_what_nvidia_smi_says(self):
        with mock.patch.object(gpu_day, "output_of", return_value=(0, "NVIDIA A100-SXM4-80GB, 8.0\n")):
            self.assertEqual(gpu_day.device(), {"name": "NVIDIA A100-SXM4-80GB", "capability": "80"})
        with mock.patch.object(gpu_day, "output_of", return_value=(9, "NVIDIA-SMI has failed")), self.assertRaises(Trouble):
            gpu_day.device()


class Judgement(unittest.TestCase):
    def test_rows_of_the_check(self):
        rows, problems = gpu_day.check_rows(CHECKED)
        by_name = {row["what"]: row for row in rows}
        self.assertEqual(len(rows), 3)
        softmax = by_name["hocket_softmax_forward_f32"]
        self.assertEqual((softmax["cases"], softmax["max_error"], softmax["ok"], softmax["dtype"]), (2, 0.5, True, "f32"))
        self.assertEqual((by_name["hocket_layernorm_parameters_f16"]["ok"], by_name["hocket_layernorm_parameters_f16"]["max_error"]), (False, None))
        self.assertEqual(len(problems), 1)

    def test_sanitizer_summaries(self):
        self.assertEqual(gpu_day.sanitizer_errors("========= ERROR SUMMARY: 0 errors"), 0)
        self.assertEqual(gpu_day.sanitizer_errors("========= RACECHECK SUMMARY: 2 hazards displayed (2 errors, 0 warnings)"), 2)
        cut = "========= ERROR SUMMARY: 189 errors\n========= ERROR SUMMARY: 89 errors were not printed. Use --print-limit option"
        self.assertEqual(gpu_day.sanitizer_errors(cut), 189)
        self.assertIsNone(gpu_day.sanitizer_errors("Error: unknown option"))

    def test_targets(self):
        targets = [("product", "gemm", "ours", "peer", ("f16", "f32"), 0.7)]
        records = [bench_record("gemm", "f16", {"ours": 1, "peer": 2.0}), bench_record("gemm", "f16", {"ours": 4, "peer": 2.4}, "m=128", 4.0),
                   bench_record("gemm", "f32", {"ours": 1})]
        rows, absent = gpu_day.ratios(records, targets)
        self.assertEqual(len(rows), 1)  # the larger size counts
        self.assertAlmostEqual(rows[0]["ratio"], 0.6)
        self.assertFalse(rows[0]["met"])
        self.assertEqual(absent, ["product (f32): ours or peer was not timed"])


    def test_real_time(self):
        record = bench_record("mfcc", "f32", {"cuda cepstra": 1e-3})
        self.assertIn("no CUDA arm of the fused MFCC", gpu_day.real_time([record])[1])
        record["timings"][0].update(work=2000.0, work_unit="seconds of audio")
        rows, missing = gpu_day.real_time([record])
        self.assertIsNone(missing)
        self.assertAlmostEqual(rows[0]["value"], 2e6)

    def test_flash_stands_beside_our_attention(self):
        records = [bench_record("attention", "f16", {"cuda forward_d64": 2}, "B=8/H=16/T=512/D=64", 3.0)]
        with mock.patch.object(gpu_day, "output_of", return_value=(0, json.dumps({"samples_ns": [1e9] * 12, "version": "torch"}))) as asked:
            self.assertIsNone(gpu_day.add_flash(records))
        self.assertEqual(asked.call_args[0][0][2:], ["8", "16", "512", "64"])
        rows, _ = gpu_day.ratios(records, gpu_day.TARGETS[2:])
        self.assertAlmostEqual(rows[0]["ratio"], 0.5)
        with mock.patch.object(gpu_day, "output_of", return_value=(5, "torch finds no CUDA device")):
            self.assertEqual(gpu_day.add_flash(records), "torch finds no CUDA device")


class WithStandIns(unittest.TestCase):
    def run_day(self, checked, bench_times):
        with tempfile.TemporaryDirectory() as folder:
            tools, results = Path(folder), Path(folder) / "published"
            program(tools / "hocket_cuda_check", checked)
            (tools / "one.json").write_text(json.dumps(bench_record("gemm", "f32", bench_times)), encoding="utf-8")
            (tools / "hocket_bench").write_text('#!/bin/sh\nmkdir -p "$3/bench"\ncp "%s/one.json" "$3/bench/one.json"\n' % folder, encoding="utf-8")
            (tools / "hocket_bench").chmod(0o755)
            program(tools / "compute-sanitizer", "========= ERROR SUMMARY: 0 errors")
            out = io.StringIO()
            with mock.patch.object(gpu_day, "device", return_value={"name": "NVIDIA Example", "capability": "80"}), \
                    mock.patch.object(gpu_day.build, "LOGS", tools / "logs"), \
                    mock.patch.dict(os.environ, {"PATH": f"{folder}:{os.environ['PATH']}"}), contextlib.redirect_stdout(out):
                code = gpu_day.run(results, tools)
            records = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (results / "gpu_day").glob("*.json")}
            return code, out.getvalue(), {record["kind"]: record for record in records.values()}

    def test_a_good_day(self):
        right = "\n".join(CHECKED.splitlines()[:3])
        code, out, records = self.run_day(right, {"cuda tiled_nn": 1.0, "cublas": 0.8})
        self.assertEqual(code, 0, out)
        self.assertIn("0.80 of cublas's speed, target 0.7: met", out)
        self.assertIn("not run: attention (f16)", out)
        self.assertIn("not run: fused MFCC, times real time", out)
        self.assertEqual(records["parity"]["config"]["gpu"], "NVIDIA Example")
        self.assertEqual(len(records["parity"]["metrics"]), 4)
        self.assertEqual(records["compare"]["ratios"][0]["met"], True)
        try:
            import jsonschema
        except ImportError:
            return
        schema = json.loads((ROOT / "reports" / "schema" / "record.schema.json").read_text(encoding="utf-8"))
        for record in records.values():
            jsonschema.validate(record, schema)

    def test_a_wrong_kernel_or_a_missed_target_is_exit_1(self):
        code, out, records = self.run_day(CHECKED, {"cuda tiled_nn": 1.0, "cublas": 0.8})
        self.assertEqual(code, 1)
        self.assertIn("PROBLEM hocket_layernorm_backward_f16", out)
        self.assertEqual(sum(row["ok"] for row in records["parity"]["parity"]), 1)
        code, out, _ = self.run_day("\n".join(CHECKED.splitlines()[:3]), {"cuda tiled_nn": 1.0, "cublas": 0.5})
        self.assertEqual(code, 1)
        self.assertIn("MISSED", out)


if __name__ == "__main__":
    unittest.main()
