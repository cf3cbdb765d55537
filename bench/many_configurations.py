#!/usr/bin/env python3
"""Four LoRA configurations in one process over one frozen base, and in four processes at once, on the same cores: configuration
steps a second and peak memory of each way, in alternating rounds.

  bench/many_configurations.py TEST_PEFT [--rounds 5] [--seconds 4] [--products native|bf16] [--threads 2]

Processes of their own run with one thread each and with all threads each; the faster way counts.
"""
import argparse
import json
import os
import statistics
import subprocess


def start(options, configurations, threads):
    environment = {**os.environ, "HOCKET_CONFIGURATIONS": str(configurations), "HOCKET_THREADS": str(threads),
                   "HOCKET_SECONDS": str(options.seconds), "HOCKET_PRODUCTS": options.products, "OMP_WAIT_POLICY": "passive"}
    return subprocess.Popen([options.program, "[.measure]"], env=environment, stdout=subprocess.PIPE, text=True)


def wait(processes):
    """Steps a second and MB of all together."""
    outputs = [p.communicate()[0] for p in processes]
    found = [json.loads(next(line for line in text.splitlines() if line.startswith("{"))) for text in outputs]
    return sum(f["steps_per_second"] for f in found), sum(f["peak_mb"] for f in found)


def main(options):
    ways = {"together": lambda: [start(options, 4, options.threads)],
            "apart, all threads each": lambda: [start(options, 1, options.threads) for _ in range(4)],
            "apart, one thread each": lambda: [start(options, 1, 1) for _ in range(4)]}
    results = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, make in ways.items():
            results[name].append(wait(make()))
    for name, all_rounds in results.items():
        speeds = sorted(speed for speed, _ in all_rounds)
        print(f"{name}: {statistics.median(speeds):.2f} steps/s [{speeds[0]:.2f}, {speeds[-1]:.2f}], {all_rounds[0][1]:.0f} MB")
    apart = max(("apart, all threads each", "apart, one thread each"), key=lambda name: statistics.median(s for s, _ in results[name]))
    ratios = sorted(a / b for (a, _), (b, _) in zip(results["together"], results[apart]))
    print(f"together over {apart}: {statistics.median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}] of {len(ratios)} rounds")


if __name__ == "__main__":
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("program")
    top.add_argument("--rounds", type=int, default=5)
    top.add_argument("--seconds", type=float, default=4)
    top.add_argument("--products", default="native", choices=["native", "bf16"])
    top.add_argument("--threads", type=int, default=2)
    main(top.parse_args())
