"""Whole training steps, images per second: cnntrain against PyTorch on the CPU, in two processes that take turns.

    python benchmarks/compare_pytorch.py --python-torch /path/to/python-with-torch

See benchmarks/README.md for what is measured and how to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script: the repository is the import root

from benchmarks.networks import NETWORKS, ROOT, plan


class Worker:
    """One of the two processes."""

    def __init__(self, name: str, python: str, module: str, plan: dict[str, Any]) -> None:
        threads = str(plan["threads"])
        self.name = name
        self._process = subprocess.Popen(
            [python, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "NUMBA_NUM_THREADS": threads, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
        )
        self.description = self._ask(plan)

    def measure(self, seconds: float) -> float:
        """Images per second over about that time."""
        return float(self._ask({"seconds": seconds})["images_per_second"])

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise SystemExit(f"the {self.name} worker ended (exit code {self._process.wait()}): see its message above")
        result: dict[str, Any] = json.loads(answer)
        return result


def compare(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one network: ours, theirs, ours, theirs, ..."""
    settings = {
        **plan(name, options.batch_size),
        "threads": options.threads,
        "calibration_seconds": 3 * options.seconds,
    }
    workers = [Worker("cnntrain", sys.executable, "benchmarks.cnntrain_worker", settings)]
    workers.append(Worker("PyTorch", options.python_torch, "benchmarks.torch_worker", settings))
    ours, theirs = workers
    if not ours.description["parameters"] == theirs.description["parameters"] == settings["parameters"]:
        raise SystemExit(f"{name}: the two sides built different networks: {ours.description} {theirs.description}")
    speeds: list[tuple[float, float]] = []
    for number in range(options.rounds):
        speeds.append((ours.measure(options.seconds), theirs.measure(options.seconds)))
        print(
            f"{name} round {number + 1}/{options.rounds}: {speeds[-1][0]:,.0f} against {speeds[-1][1]:,.0f} images/s",
            file=sys.stderr,
        )
    for worker in workers:
        worker.close()
    ratios = [mine / other for mine, other in speeds]
    return {
        "network": name,
        "batch_size": settings["batch_size"],
        "threads": options.threads,
        "parameters": settings["parameters"],
        "macs": settings["macs"],
        "cnntrain": {**ours.description, "images_per_second": [mine for mine, _ in speeds]},
        "pytorch": {**theirs.description, "images_per_second": [other for _, other in speeds]},
        "ratio": {"median": median(ratios), "lowest": min(ratios), "highest": max(ratios)},
    }


def table(results: list[dict[str, Any]]) -> str:
    """The results for people."""
    head = f"{'network':<14}{'batch':>6}{'threads':>9}{'cnntrain':>11}{'PyTorch':>10}{'ratio':>8}"
    lines = [f"{head}  {'spread':<16}PyTorch's best"]
    for r in results:
        ours, theirs = (median(r[side]["images_per_second"]) for side in ("cnntrain", "pytorch"))
        spread = f"{r['ratio']['lowest']:.2f} ... {r['ratio']['highest']:.2f}"
        lines.append(
            f"{r['network']:<14}{r['batch_size']:>6}{r['threads']:>9}{ours:>11,.0f}{theirs:>10,.0f}"
            f"{r['ratio']['median']:>8.2f}  {spread:<16}{r['pytorch']['variant']}"
        )
    lines.append("Medians of images/s; ratio = cnntrain / PyTorch within each round, its median, lowest and highest.")
    return "\n".join(lines)


def processor() -> str:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description="Whole training steps: cnntrain against PyTorch on the CPU.")
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(NETWORKS)} (all)")
    parser.add_argument(
        "--python-torch", default=sys.executable, metavar="PATH", help="a Python that has torch (this one)"
    )
    parser.add_argument(
        "--threads", type=int, default=len(os.sched_getaffinity(0)), help="of each side (all processors)"
    )
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each side (7)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one measurement (3)")
    parser.add_argument("--batch-size", type=int, default=None, help="instead of the config's")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    options = parser.parse_args()
    unknown = [name for name in options.networks if name not in NETWORKS]
    if unknown:
        parser.error(f"unknown network {unknown[0]!r}: choose from {', '.join(NETWORKS)}")
    if min(options.threads, options.rounds, options.batch_size or 1) < 1 or options.seconds <= 0:
        parser.error("--threads, --rounds, --seconds and --batch-size must be positive")
    check = subprocess.run(
        [options.python_torch, "-c", "import torch, numpy"], capture_output=True, text=True, check=False
    )
    if check.returncode:
        reason = (check.stderr.strip().splitlines() or ["it could not be started"])[-1]
        parser.error(f"{options.python_torch} cannot import torch: {reason}; name another Python with --python-torch")
    results = [compare(name, options) for name in options.networks or NETWORKS]
    if options.json:
        print(json.dumps({"processor": processor(), "results": results}))
    else:
        print(table(results))


if __name__ == "__main__":
    main()
