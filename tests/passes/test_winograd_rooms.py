"""The scratch memory that passes by Winograd's algorithm reserve is what their kernels use, to the last vector.

In a process of its own, with kernels that check every address (CNNTRAIN_CHECKED=1).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Runs each pass with the room that it reserves, and with a few lane vectors less for all workers.
PROGRAM = """
import json, sys
import numpy as np
from cnntrain.kernels.compiler.checked import AddressError
from cnntrain.machine import AVX512
from cnntrain.memory import line_aligned
from cnntrain.passes.problem import ConvolutionGeometry, Problem, Window
from cnntrain.passes.winograd_patches import WinogradLarge
from cnntrain.passes.winograd_rows import WinogradRows
from cnntrain.passes.winograd_transposed import WinogradLargeTransposed
from cnntrain.passes.winograd_weights import WinogradLargeWeights

SIZE, CHANNELS, FILTERS = 12, 16, 24  # patches side by side, whole chunks of channels, tall tiles
window, dtype = Window(SIZE, 5), np.dtype(np.float32)
geometry = ConvolutionGeometry(CHANNELS, FILTERS, window, window)
image = line_aligned(2 * SIZE**2 * CHANNELS * 16, dtype)
delta = line_aligned(2 * window.output_size**2 * FILTERS * 16, dtype)
weight, bias = np.ones(FILTERS * CHANNELS * 25, dtype), np.ones(FILTERS, dtype)


def outcome(made, missing):
    room = made._room
    made._room = room - missing * 16
    try:
        if isinstance(made, WinogradLargeWeights):
            made.add(image, delta, 2, fresh=True)
        elif isinstance(made, WinogradLargeTransposed):
            made(delta, weight, bias, image, 2)
        else:
            made(image, weight, bias, delta, 2)
    except AddressError as fault:
        return str(fault)
    finally:
        made._room = room
    return "fine"


found = {}
for algorithm, direction in (
    (WinogradLarge, "forward"),
    (WinogradRows, "forward"),
    (WinogradLargeTransposed, "to input"),
    (WinogradLargeWeights, "to weights"),
):
    made = algorithm(Problem(geometry, direction, 2, dtype, AVX512))
    found[algorithm.__name__] = [outcome(made, missing) for missing in (0, 1, 2)]
print(json.dumps(found))
"""


@pytest.fixture(scope="module", params=["1", "2"], ids=["one worker", "two workers"])
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What becomes of each pass with the room that it reserves, one vector less, and two."""
    folder = tmp_path_factory.getbasetemp() / "rooms"  # the second process finds what the first one compiled
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "CNNTRAIN_CHECKED": "1", "NUMBA_CACHE_DIR": str(folder), "NUMBA_NUM_THREADS": request.param},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("algorithm", "kernel"),
    [
        ("WinogradLarge", "correlate_patches"),
        ("WinogradRows", "correlate_rows"),
        ("WinogradLargeTransposed", "add_patches"),
        ("WinogradLargeWeights", "weights_by_patches"),
    ],
)
def test_a_room_is_what_its_kernel_uses(outcomes: dict[str, list[str]], algorithm: str, kernel: str) -> None:
    whole, one_less, two_less = outcomes[algorithm]
    assert whole == "fine"
    # in rows, the last place has a vector behind it, as all have to keep them apart, that nobody uses
    short = two_less if algorithm == "WinogradRows" else one_less
    assert short.startswith(f"kernel {kernel}: scratch[")
