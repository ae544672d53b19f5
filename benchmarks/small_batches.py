"""Small batches: logits of 1 to 1,000 images against ONNX Runtime, training steps of 1 to 10 against PyTorch.

    python benchmarks/small_batches.py [NETWORK ...] [--python-torch PATH]

Processes that take turns, as in `compare_pytorch`; a peer that is not installed is left out, and said so. Both sides of
a forward call get bytes and give logits: normalisation is inside. Ratios are those within a round.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script: the repository is the import root

from benchmarks.compare_pytorch import Worker, our_worker, processor, spread, torch_worker
from benchmarks.networks import NETWORKS, plan

USUAL = "lenet5,caffe-lenet,cifar10-quick"


def forward(name: str, batch: int, options: argparse.Namespace) -> dict[str, Any]:
    """Measure logits of a batch."""
    settings = {**plan(name, batch), "threads": options.threads}
    sides = ["cnntrain", *(["onnxruntime"] if importlib.util.find_spec("onnxruntime") else [])]
    workers = [Worker(side, sys.executable, "benchmarks.few_worker", {**settings, "side": side}) for side in sides]
    return in_turn("forward", name, batch, workers, "evaluation", options)


def training(name: str, batch: int, options: argparse.Namespace) -> dict[str, Any]:
    """Measure training steps; PyTorch in the fastest of its forms."""
    settings = {**plan(name, batch), "threads": options.threads}
    workers = [our_worker(settings)]
    if has_torch(options.python_torch):
        calibration = torch_worker(options.python_torch, {**settings, "calibrate": 3 * options.seconds})
        speeds = calibration.description["speeds"]
        calibration.close()
        best = {mode: max(found.items(), key=lambda item: item[1])[0] for mode, found in speeds.items()}
        workers.append(torch_worker(options.python_torch, {**settings, "variants": best}))
    return in_turn("training", name, batch, workers, "training", options)


def in_turn(
    what: str, name: str, batch: int, workers: list[Worker], mode: str, options: argparse.Namespace
) -> dict[str, Any]:
    """Let the workers take turns; return microseconds of a call, and ratios of images per second to the peer's."""
    rounds = [[worker.measure(mode, options.seconds) for worker in workers] for _ in range(options.rounds)]
    for worker in workers:
        worker.close()
    result: dict[str, Any] = {"what": what, "network": name, "batch": batch, "threads": options.threads}
    for index, worker in enumerate(workers):
        result[worker.name] = 1e6 * batch / median(speeds[index] for speeds in rounds)
    if len(workers) > 1:
        result["ratio"] = spread([ours / theirs for ours, theirs in rounds])
    print(line(result), flush=True, file=sys.stderr if options.json else sys.stdout)
    return result


def has_torch(python: str) -> bool:
    """Tell whether a Python has PyTorch."""
    return subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode == 0


def line(result: dict[str, Any]) -> str:
    """A result for people."""
    times = "".join(f"  {side} {time:,.1f} µs" for side, time in result.items() if isinstance(time, float))
    ratio = result.get("ratio")
    compared = f"  ratio {ratio['median']:.2f} ({ratio['lowest']:.2f}-{ratio['highest']:.2f})" if ratio else ""
    return f"{result['network']:<14}{result['what']:<9} batch {result['batch']:>5}{times}{compared}"


def numbers(text: str) -> list[int]:
    """Read whole numbers with commas between them."""
    return [int(number) for number in text.split(",") if number]


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=USUAL.split(","), metavar="NETWORK", help=f"({USUAL})")
    parser.add_argument("--python-torch", default=sys.executable, metavar="PATH", help="a Python with torch (this one)")
    parser.add_argument("--threads", type=int, default=1, help="of each side (1)")
    parser.add_argument("--forward", type=numbers, default=[1, 4, 8, 64, 1000], metavar="1,4", help="batches, or none")
    parser.add_argument("--training", type=numbers, default=[1, 4, 10], metavar="1,4", help="batches, or none")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each kind (7)")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of one measurement (0.5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object; lines go to stderr")
    options = parser.parse_args()
    unknown = [name for name in options.networks if name not in NETWORKS]
    if unknown:
        parser.error(f"unknown network {unknown[0]!r}: choose from {', '.join(NETWORKS)}")
    if options.training and not has_torch(options.python_torch):
        print("no PyTorch: name a Python that has it with --python-torch", file=sys.stderr)
    if options.forward and not importlib.util.find_spec("onnxruntime"):
        print("no ONNX Runtime: pip install onnx onnxruntime", file=sys.stderr)
    results = []
    for name in options.networks:
        results += [forward(name, batch, options) for batch in options.forward]
        results += [training(name, batch, options) for batch in options.training]
    if options.json:
        print(json.dumps({"processor": processor(), "results": results}))


if __name__ == "__main__":
    main()
