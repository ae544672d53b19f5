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

from cnntrain.kernels.simd import LANES, constant, fma, store


@numba.njit(parallel=True, error_model="numpy", fastmath={"contract"})
def twelve_chains(out, rounds, threads):  # type: ignore[no-untyped-def]
    """Twelve independent chains of multiply-adds per thread: a chain waits for its own last result only."""
    for t in numba.prange(threads):
        x = constant(out, 0.5)
        one = constant(out, 1.0)
        a, b, c, d, e, f = one, x, one, x, one, x
        g, h, i, j, k, m = x, one, x, one, x, one
        for _ in range(rounds):
            a, b, c, d = fma(a, x, one), fma(b, x, one), fma(c, x, one), fma(d, x, one)
            e, f, g, h = fma(e, x, one), fma(f, x, one), fma(g, x, one), fma(h, x, one)
            i, j, k, m = fma(i, x, one), fma(j, x, one), fma(k, x, one), fma(m, x, one)
        store(out, t * LANES, a + b + c + d + e + f + g + h + i + j + k + m)


@numba.njit(parallel=True, error_model="numpy", fastmath={"contract"})
def six_chains(out, rounds, threads):  # type: ignore[no-untyped-def]
    """Six chains, where a lane vector takes two of 16 registers (AVX2)."""
    for t in numba.prange(threads):
        x = constant(out, 0.5)
        one = constant(out, 1.0)
        a, b, c, d, e, f = one, x, one, x, one, x
        for _ in range(rounds):
            a, b, c = fma(a, x, one), fma(b, x, one), fma(c, x, one)
            d, e, f = fma(d, x, one), fma(e, x, one), fma(f, x, one)
        store(out, t * LANES, a + b + c + d + e + f)


def peak(dtype: Any, threads: int, seconds: float) -> float:
    """Return GFLOP/s (a multiply-add is two operations): the best of several runs of both loops."""
    numba.set_num_threads(threads)
    out, best = np.zeros(threads * LANES, dtype), 0.0
    for loop, chains in ((twelve_chains, 12), (six_chains, 6)):
        rounds = 1000
        while True:
            begin = time.perf_counter()
            loop(out, rounds, threads)
            elapsed = time.perf_counter() - begin
            if elapsed > seconds / 10 and rounds > 1000:
                break
            rounds *= 4
        for _ in range(10):
            begin = time.perf_counter()
            loop(out, rounds, threads)
            best = max(best, 2 * chains * LANES * rounds * threads / (time.perf_counter() - begin) / 1e9)
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
