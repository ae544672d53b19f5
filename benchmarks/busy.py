"""Training beside other work: images a second with the default threads, with one, and with two, under the same load.

Each load runs for the same time with each setting, in turn, several rounds; printed are medians and ratios.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPIN = "while True: pass"
LOADS = {"quiet": 0, "one core busy": 1, "both busy": 2}
TWO = "two trainings"
SETTINGS: dict[str, list[str]] = {"default": [], "1 thread": ["--threads", "1"], "2 threads": ["--threads", "2"]}


def command(config: str, folder: Path, threads: list[str], steps: int) -> list[str]:
    """A training of some steps."""
    length = ["--set", "train.epochs=null", "--set", f"train.steps={steps}", "--set", "data.validation=0"]
    return [sys.executable, "-m", "cnntrain", "train", config, *length, *threads, "--out", str(folder)]


def train(config: str, threads: list[str], steps: int, times: int = 1) -> tuple[list[float], list[str]]:
    """Run so many trainings at once; return images a second of each, compilation left out, and the lines on threads."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [Path(folder) / str(number) for number in range(times)]
        processes = [
            subprocess.Popen(
                command(config, run, threads, steps), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
            for run in runs
        ]
        told = [process.communicate()[1] for process in processes]
        rates = []
        for run in runs:
            with (run / "metrics.csv").open() as file:
                rows = list(csv.DictReader(file))
            seconds = [float(row["seconds"]) for row in rows]
            images = sum(float(row["images_per_second"]) * spent for row, spent in zip(rows, seconds, strict=True))
            rates.append(images / sum(seconds))
        return rates, [line for text in told for line in text.splitlines() if re.search("thread.* instead of", line)]


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", nargs="?", default="configs/mnist-lenet5.yaml", metavar="CONFIG")
    parser.add_argument("--steps", type=int, default=4000, help="of each training (4000)")
    parser.add_argument("--rounds", type=int, default=3, help="(3)")
    parser.add_argument("--settings", default=",".join(SETTINGS), help=f"some of: {', '.join(SETTINGS)}")
    parser.add_argument("--loads", default=",".join([*LOADS, TWO]), help=f"some of: {', '.join([*LOADS, TWO])}")
    options = parser.parse_args()
    settings = {name: SETTINGS[name] for name in options.settings.split(",")}
    print(f"{options.config}, {options.steps:,} steps, {os.cpu_count()} cores; images/s, median of {options.rounds}")
    for load in options.loads.split(","):
        spinning = LOADS.get(load, 0)
        found: dict[str, list[float]] = {name: [] for name in settings}
        said: list[str] = []
        for _ in range(options.rounds):
            for name, threads in settings.items():
                others = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(spinning)]
                time.sleep(0.2)
                try:
                    rates, lines = train(options.config, threads, options.steps, 2 if load == TWO else 1)
                finally:
                    for other in others:
                        other.kill()
                        other.wait()
                found[name] += rates
                if name == "default":
                    said += lines
        medians = {name: statistics.median(rates) for name, rates in found.items()}
        shown = "  ".join(f"{name} {medians[name]:>9,.0f}" for name in settings)
        best = max(rate for name, rate in medians.items() if name != "default")
        print(f"{load:14} {shown}  default/best {medians['default'] / best:.2f}  changes {len(said)}", flush=True)


if __name__ == "__main__":
    main()
