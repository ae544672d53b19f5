"""Whole steps, images per second: cnntrain against PyTorch on the CPU, in processes that take turns.

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
from benchmarks.protocol import MODES
from cnntrain.errors import CnntrainError


class Worker:
    """One of the processes."""

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
        self.memory: int | None = None  # of a training alone

    def measure(self, mode: str, seconds: float) -> float:
        """Images per second over about that time."""
        found = self._ask({"mode": mode, "seconds": seconds})
        if self.memory is None:  # training comes first
            self.memory = found["peak_memory"]
        return float(found["images_per_second"])

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


class Pair:
    """Both sides with one number of threads."""

    def __init__(self, settings: dict[str, Any], options: argparse.Namespace) -> None:
        self.ours = our_worker(settings)
        if self.ours.description["compiled"]:  # the compiler's memory is not that of a training
            self.ours.close()
            self.ours = our_worker(settings)
        calibration = torch_worker(options.python_torch, {**settings, "calibrate": 3 * options.seconds})
        speeds: dict[str, dict[str, float]] = calibration.description["speeds"]
        calibration.close()
        best = {mode: max(found.items(), key=lambda item: item[1])[0] for mode, found in speeds.items()}
        self.theirs = torch_worker(options.python_torch, {**settings, "variants": best})
        self.theirs.description["speeds"] = speeds
        if not self.ours.description["parameters"] == self.theirs.description["parameters"] == settings["parameters"]:
            raise SystemExit(
                f"{settings['name']}: the two sides built different networks: "
                f"{self.ours.description} {self.theirs.description}"
            )
        self.speeds: dict[str, list[tuple[float, float]]] = {mode: [] for mode in MODES}

    def measure(self, seconds: float) -> None:
        """Add a round."""
        for mode in MODES:
            self.speeds[mode].append((self.ours.measure(mode, seconds), self.theirs.measure(mode, seconds)))

    def close(self) -> None:
        """End both processes."""
        self.ours.close()
        self.theirs.close()

    def result(self) -> dict[str, Any]:
        """Summarise all rounds."""
        assert self.ours.memory is not None
        assert self.theirs.memory is not None
        memory = {"cnntrain": self.ours.memory, "pytorch": self.theirs.memory}
        return {
            **{mode: compared(found) for mode, found in self.speeds.items()},
            "peak_memory": {**memory, "ratio": memory["cnntrain"] / memory["pytorch"]},
            "cnntrain": self.ours.description,
            "pytorch": self.theirs.description,
        }


def our_worker(settings: dict[str, Any]) -> Worker:
    """Start our side."""
    return Worker("cnntrain", sys.executable, "benchmarks.cnntrain_worker", settings)


def torch_worker(python: str, settings: dict[str, Any]) -> Worker:
    """Start PyTorch's side."""
    return Worker("PyTorch", python, "benchmarks.torch_worker", settings)


def compared(speeds: list[tuple[float, float]]) -> dict[str, Any]:
    """Return both sides' images/s of every round, and how they compare."""
    return {
        "cnntrain_images_per_second": [mine for mine, _ in speeds],
        "pytorch_images_per_second": [other for _, other in speeds],
        "ratio": spread([mine / other for mine, other in speeds]),
    }


def spread(ratios: list[float]) -> dict[str, float]:
    """Summarise the ratios of all rounds."""
    return {"median": median(ratios), "lowest": min(ratios), "highest": max(ratios)}


def compare(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure one network with every number of threads: ours, theirs, ours, theirs, ..."""
    settings = plan(name, options.batch_size)
    pairs = {threads: Pair({**settings, "threads": threads}, options) for threads in options.threads}
    for number in range(options.rounds):
        for threads, pair in pairs.items():
            pair.measure(options.seconds)
            ours, theirs = pair.speeds["training"][-1]
            print(
                f"{name} round {number + 1}/{options.rounds}, threads {threads}: training {ours:,.0f} against "
                f"{theirs:,.0f} images/s",
                file=sys.stderr,
            )
    results = []
    fewest = [ours for ours, _ in pairs[min(pairs)].speeds["training"]]
    for threads, pair in pairs.items():
        pair.close()
        ours_now = [ours for ours, _ in pair.speeds["training"]]
        results.append(
            {
                "network": name,
                "batch_size": settings["batch_size"],
                "threads": threads,
                "parameters": settings["parameters"],
                "macs": settings["macs"],
                **pair.result(),
                "speedup_over_fewest_threads": spread([now / one for one, now in zip(fewest, ours_now, strict=True)]),
            }
        )
    return results


def table(results: list[dict[str, Any]]) -> str:
    """The results for people."""
    both = "cnntrain  PyTorch  ratio  (spread)     "
    lines = [
        f"{'':<29}{'training, images/s':<39}{'evaluation, images/s':<39}peak memory, MB",
        f"{'network':<14}{'batch':>6}{'threads':>8} {both}{both}ours PyTorch",
    ]
    for r in results:
        cells = "".join(_cells(r[mode]) for mode in MODES)
        ours, theirs = (r["peak_memory"][side] / 1e6 for side in ("cnntrain", "pytorch"))
        lines.append(f"{r['network']:<14}{r['batch_size']:>6}{r['threads']:>8} {cells}{ours:>4,.0f}{theirs:>8,.0f}")
    lines += ["", "Medians over the rounds; ratio = cnntrain / PyTorch within each round: median (lowest-highest)."]
    fewest = min(r["threads"] for r in results)
    for r in results:
        notes = [f"PyTorch's best: {', '.join(r['pytorch']['variants'].values())}"]
        if r["threads"] > fewest:
            faster = r["speedup_over_fewest_threads"]
            times = f"{faster['median']:.2f} ({faster['lowest']:.2f}-{faster['highest']:.2f})"
            notes.append(f"cnntrain trains {times} times as fast as with {fewest}")
        lines.append(f"{r['network']}, threads {r['threads']}: {'; '.join(notes)}")
    return "\n".join(lines)


def _cells(found: dict[str, Any]) -> str:
    ours, theirs = (median(found[f"{side}_images_per_second"]) for side in ("cnntrain", "pytorch"))
    ratio = found["ratio"]
    wide = f"({ratio['lowest']:.2f}-{ratio['highest']:.2f})"
    return f"{ours:>8,.0f} {theirs:>8,.0f} {ratio['median']:>6.2f}  {wide:<14}"


def processor() -> str:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Whole steps: cnntrain against PyTorch on the CPU.")
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(NETWORKS)} (all)")
    parser.add_argument(
        "--python-torch", default=sys.executable, metavar="PATH", help="a Python that has torch (this one)"
    )
    cpus = len(os.sched_getaffinity(0))
    parser.add_argument(
        "--threads", default=f"1,{cpus}" if cpus > 1 else "1", metavar="1,2,...", help="of each side (1 and all)"
    )
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each kind (7)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measurement (2)")
    parser.add_argument("--batch-size", type=int, default=None, help="instead of the table's")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    options = parser.parse_args()
    unknown = [name for name in options.networks if name not in NETWORKS]
    if unknown:
        parser.error(f"unknown network {unknown[0]!r}: choose from {', '.join(NETWORKS)}")
    try:
        options.threads = sorted({int(number) for number in options.threads.split(",")})
    except ValueError:
        parser.error("--threads must be numbers with commas between them: 1,2")
    if min(*options.threads, options.rounds, options.batch_size or 1) < 1 or options.seconds <= 0:
        parser.error("--threads, --rounds, --seconds and --batch-size must be positive")
    check = subprocess.run(
        [options.python_torch, "-c", "import torch, numpy"], capture_output=True, text=True, check=False
    )
    if check.returncode:
        reason = (check.stderr.strip().splitlines() or ["it could not be started"])[-1]
        parser.error(f"{options.python_torch} cannot import torch: {reason}; name another Python with --python-torch")
    return options


def main() -> None:
    """Measure and print."""
    options = parse()
    try:
        results = [result for name in options.networks or NETWORKS for result in compare(name, options)]
    except CnntrainError as error:
        raise SystemExit(str(error)) from error
    if options.json:
        print(json.dumps({"processor": processor(), "results": results}))
    else:
        print(table(results))


if __name__ == "__main__":
    main()
