"""How long `cnntrain train` takes from its start to the first update of the weights, and as a whole."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping

# Notes when the optimiser has made its first step, then goes on: everything before it happens as in any training.
PROGRAM = """
import sys, time

def noted(step):
    def wrapper(*arguments, **keywords):
        step(*arguments, **keywords)
        if not seen:
            seen.append(time.time())
            print(f"first update {seen[0]}", file=sys.stderr)
    return wrapper

seen = []
from cnntrain.cli import main
from cnntrain.optimizers.base import Optimizer
Optimizer.step = noted(Optimizer.step)
main()
"""
STEPS = ["--set", "train.epochs=null", "--set", "train.steps=20"]


def start(config: str, cache: str | None, environment: Mapping[str, str] = os.environ) -> tuple[float, float]:
    """Train for 20 steps; return the seconds to the first update and to the end of the process."""
    environment = environment if cache is None else {**environment, "NUMBA_CACHE_DIR": cache}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", PROGRAM, "train", "--config", config, *STEPS, "--out", f"{folder}/run"]
        begin = time.time()
        finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        end = time.time()
    for line in finished.stderr.splitlines():
        if line.startswith("first update "):
            return float(line.split()[-1]) - begin, end - begin
    sys.exit(f"the training made no step:\n{finished.stderr}")


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description="Seconds from the start of a training to its first update.")
    parser.add_argument("config", nargs="?", default="configs/mnist-lenet5.yaml", metavar="CONFIG")
    parser.add_argument("--cold", type=int, default=3, help="starts with an empty kernel cache (3)")
    parser.add_argument("--warm", type=int, default=9, help="starts with kernels in the cache (9)")
    options = parser.parse_args()
    kinds: dict[str, list[tuple[float, float]]] = {"empty cache": [], "warm cache": []}
    for _ in range(options.cold):
        with tempfile.TemporaryDirectory() as cache:
            kinds["empty cache"].append(start(options.config, cache))
    if options.warm:
        start(options.config, None)  # compiles what is not in the cache yet
    kinds["warm cache"] += [start(options.config, None) for _ in range(options.warm)]
    for kind, times in kinds.items():
        if times:
            for what, values in zip(("first update", "whole command"), zip(*times, strict=True), strict=True):
                low, high = min(values), max(values)
                print(f"{kind}: {what:13s} {statistics.median(values):6.2f} s  ({low:.2f}-{high:.2f})")


if __name__ == "__main__":
    main()
