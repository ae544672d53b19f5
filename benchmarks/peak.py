"""The peak of this machine: fused multiply-adds on lane vectors that never leave the registers, in GFLOP/s."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script: the repository is the import root

import numba
import numpy as np

from cnntrain.bench.machine import Peak


def peak(dtype: Any, threads: int, seconds: float) -> float:
    """Return GFLOP/s (a multiply-add is two operations): the best of several measurements."""
    numba.set_num_threads(threads)
    meter, end = Peak(dtype), time.perf_counter() + seconds
    best = meter.measure(threads)
    while time.perf_counter() < end:
        best = max(best, meter.measure(threads))
    return best


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description="Peak multiply-add rate of this machine.")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="(all processors)")
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long to measure (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    possible = numba.get_num_threads()  # before anything changes it: all that Numba may use
    if not 1 <= options.threads <= possible:
        parser.error(f"--threads must lie in 1 ... {possible}")
    found = {name: peak(np.dtype(name), options.threads, options.seconds) for name in ("float32", "float64")}
    if options.json:
        print(json.dumps({"threads": options.threads, "gflops": found}))
    else:
        for name, value in found.items():
            print(f"{name}: {value:,.0f} GFLOP/s on {options.threads} threads")


if __name__ == "__main__":
    main()
