"""The same bits for 1, 2 and 3 threads: every function that has sums, in a process that may use three."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from cnntrain import functional

SCRIPT = """
import hashlib, json
import numba
import numpy as np
from cnntrain import functional as F

def results(dtype):
    rng = np.random.default_rng(5)
    draw = lambda *shape: rng.standard_normal(shape).astype(dtype)
    # few and many channels and filters, several blocks, a batch that is no multiple of 16
    # (compiled forms that other tests have too)
    layers = [
        (100, 1, 14, 4, 3, {"padding": 2}),
        (100, 20, 8, 50, 5, {}),
        (70, 16, 9, 33, 3, {"stride": 2, "padding": 1}),
        (50, 10, 9, 18, 3, {"groups": 2, "dilation": 2, "mode": "convolution"}),
        (3, 4, 10, 32, 3, {}),
        (100, 24, 12, 32, 3, {"padding": 1}),  # Winograd's algorithm, in all passes
    ]
    for images, channels, size, filters, kernel, settings in layers if dtype == "float32" else layers[1::2]:
        x = draw(images, channels, size, size)
        w = draw(filters, channels // settings.get("groups", 1), kernel, kernel)
        y = F.conv2d(x, w, draw(filters), **settings)
        yield f"conv2d {channels}->{filters}", y
        for part, gradient in zip(("input", "weight", "bias"), F.conv2d_backward(draw(*y.shape), x, w, **settings)):
            yield f"conv2d {channels}->{filters} grad_{part}", gradient
    for images, inputs, units in [(100, 800, 500), (100, 84, 10), (5, 400, 120)]:
        x, w, b = draw(images, inputs), draw(units, inputs), draw(units)
        yield f"dense {inputs}->{units}", F.dense(x, w, b)
        for part, gradient in zip(("input", "weight", "bias"), F.dense_backward(draw(images, units), x, w)):
            yield f"dense {inputs}->{units} grad_{part}", gradient
    x = draw(100, 5, 13, 11)
    y, mask = F.max_pool2d(x, 3, stride=2, padding=1)
    yield "max_pool2d", y
    yield "max_pool2d mask", mask
    yield "max_pool2d grad_input", F.max_pool2d_backward(draw(*y.shape), mask, x.shape, 3, stride=2, padding=1)
    for name in ("relu", "sigmoid", "tanh"):
        yield name, getattr(F, name)(x)
        yield name + " grad_input", getattr(F, name + "_backward")(draw(*x.shape), x)
    logits, labels = draw(1000, 10), rng.integers(0, 10, 1000)
    for name in ("cross_entropy", "mse"):
        loss, gradient = getattr(F, name)(logits, labels)
        yield name, np.array(loss)
        yield name + " gradient", gradient

table = {}
for threads in (1, 2, 3):
    numba.set_num_threads(threads)
    for dtype in ("float32", "float64"):
        for name, array in results(dtype):
            digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
            table.setdefault(f"{name} {dtype}", []).append(digest)
    assert numba.get_num_threads() == threads, "something changed the number of threads"
print(json.dumps({"table": table, "possible": numba.config.NUMBA_NUM_THREADS}))
"""


@pytest.fixture(scope="module")
def digests() -> dict[str, list[str]]:
    """For every result the digests of its bytes with 1, 2 and 3 threads."""
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "NUMBA_NUM_THREADS": "3"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout.splitlines()[-1])
    assert report["possible"] == 3
    table: dict[str, list[str]] = report["table"]
    return table


def test_every_result_has_the_same_bits_for_any_number_of_threads(digests: dict[str, list[str]]) -> None:
    assert len(digests) >= 80
    different = [name for name, found in digests.items() if len(found) != 3 or len(set(found)) != 1]
    assert not different


def test_the_digests_can_tell_results_apart(digests: dict[str, list[str]]) -> None:
    """Not a comparison of empty arrays: different results have different digests."""
    different = {found[0] for name, found in digests.items() if "mask" not in name}  # masks are int64 for both dtypes
    assert len(different) == len([name for name in digests if "mask" not in name])


def test_a_dense_gradient_has_the_same_bits_on_machines_with_any_number_of_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its division into units follows the number of cores."""
    generator = np.random.default_rng(6)
    x, weight = (generator.standard_normal(shape, np.float32) for shape in ((70, 400), (120, 400)))
    grad_output = generator.standard_normal((70, 120), np.float32)
    found = set()
    for cores in (1, 2, 5, 64):
        monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", cores)
        found.add(functional.dense_backward(grad_output, x, weight)[1].tobytes())
    assert len(found) == 1
