"""Rounding errors of convolutions in float32, by algorithm and pass, beside PyTorch's where it is installed.

    python benchmarks/rounding.py [--python-torch /path/to/python-with-torch] [--case "32->32 5x5 on 16x16" ...]

Normal images, filters and deltas, 32 images; root mean square error against float64, as a share of the root mean square
of the result.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Direction = Literal["forward", "to input", "to weights"]
IMAGES = 32
CASES = {  # channels, size, filters, taps, padding
    "16->16 3x3 on 32x32": (16, 32, 16, 3, 1),
    "32->32 3x3 on 16x16": (32, 16, 32, 3, 1),
    "64->64 3x3 on 8x8": (64, 8, 64, 3, 1),
    "16->32 5x5 on 16x16": (16, 16, 32, 5, 2),
    "20->50 5x5 on 12x12": (20, 12, 50, 5, 0),
    "32->32 5x5 on 16x16": (32, 16, 32, 5, 2),
    "32->64 5x5 on 8x8": (32, 8, 64, 5, 2),
    "64->64 5x5 on 8x8": (64, 8, 64, 5, 2),
}
PASSES: tuple[Direction, ...] = ("forward", "to input", "to weights")
TORCH = """
import json, sys
import numpy as np
import torch
torch.set_num_threads(1)
folder, padding = sys.argv[1], int(sys.argv[2])
arrays = [torch.from_numpy(np.load(f"{folder}/{name}.npy")) for name in ("x", "weight", "delta")]
wanted = [np.load(f"{folder}/wanted{i}.npy") for i in range(3)]
found = {}
for name, form in (("NCHW", torch.contiguous_format), ("channels last", torch.channels_last)):
    x, weight, delta = (array.contiguous(memory_format=form) for array in arrays)
    x.requires_grad_(), weight.requires_grad_()
    y = torch.nn.functional.conv2d(x, weight, padding=padding)
    y.backward(delta)
    results = [each.detach().double().numpy() for each in (y, x.grad, weight.grad)]
    found[name] = [float(np.sqrt(((a - b) ** 2).mean() / (b**2).mean())) for a, b in zip(results, wanted)]
print(json.dumps(found))
"""


def run(algorithm: Any, problem: Any, arrays: list[NDArray[Any]]) -> NDArray[Any]:
    """Return the result of a pass of x, weight and delta, in the order of PyTorch."""
    from cnntrain.functional.arrays import enter, leave

    x, weight, delta = (array.astype(problem.dtype) for array in arrays)
    made, blocks = algorithm(problem), IMAGES // 16
    image, lanes, flat = enter(x), enter(delta), weight.ravel()
    if problem.direction == "to weights":
        gradient = np.empty_like(flat)
        made.add(image, lanes, blocks, fresh=True)
        made.write(gradient)
        return gradient.reshape(weight.shape).astype(np.float64)
    source, like, shape = (image, lanes, delta.shape) if problem.direction == "forward" else (lanes, image, x.shape)
    output = np.zeros_like(like)
    made(source, flat, np.zeros(shape[1], problem.dtype), output, blocks)
    return leave(output, shape).astype(np.float64)


def errors_of(case: tuple[int, int, int, int, int], python_torch: str | None) -> list[tuple[str, str, float]]:
    """Return (pass, algorithm, error) of a case."""
    from cnntrain.machine import this_machine
    from cnntrain.passes.convolution import ALGORITHMS
    from cnntrain.passes.problem import ConvolutionGeometry, Problem, Window

    channels, size, filters, taps, padding = case
    machine, window = this_machine(), Window(size, taps, 1, padding, padding)
    geometry = ConvolutionGeometry(channels, filters, window, window)
    generator = np.random.default_rng(1)
    shapes = (
        (IMAGES, channels, size, size),
        (filters, channels, taps, taps),
        (IMAGES, filters, *[window.output_size] * 2),
    )
    arrays = [generator.standard_normal(shape).astype(np.float32) for shape in shapes]
    rows: list[tuple[str, str, float]] = []
    wanted = []
    for direction in PASSES:
        wide, narrow = (
            Problem(geometry, direction, machine.capacity(IMAGES, dtype), np.dtype(dtype), machine)
            for dtype in (np.float64, np.float32)
        )
        wanted.append(run(ALGORITHMS[direction][-1], wide, arrays))
        for algorithm in ALGORITHMS[direction]:
            if algorithm.cannot(narrow) is None:
                error = run(algorithm, narrow, arrays) - wanted[-1]
                rows.append((direction, algorithm.name, float(np.sqrt((error**2).mean() / (wanted[-1] ** 2).mean()))))
    if python_torch:
        with tempfile.TemporaryDirectory() as folder:
            for name, array in zip(("x", "weight", "delta"), arrays, strict=True):
                np.save(Path(folder) / f"{name}.npy", array)
            for i, array in enumerate(wanted):
                np.save(Path(folder) / f"wanted{i}.npy", array)
            done = subprocess.run(
                [python_torch, "-c", TORCH, folder, str(padding)], capture_output=True, text=True, check=True
            )
        for name, found in json.loads(done.stdout).items():
            rows += [(direction, f"PyTorch, {name}", error) for direction, error in zip(PASSES, found, strict=True)]
    return rows


def main() -> None:
    """Print a line for each case, pass and algorithm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python-torch", help="a Python that has torch; without it PyTorch is left out")
    parser.add_argument("--case", action="append", choices=list(CASES), help="one of the cases; all unless given")
    options = parser.parse_args()
    for name in options.case or CASES:
        for direction, algorithm, error in sorted(errors_of(CASES[name], options.python_torch), key=lambda row: row[0]):
            print(f"{name:<22} {direction:<11} {algorithm:<24} {error:.2e}")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
