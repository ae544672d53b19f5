"""Checked kernels, in processes of their own: how kernels are compiled is decided when they are imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json
import numpy as np
from numba import prange
from cnntrain.kernels.compiler.checked import AddressError
from cnntrain.kernels.compiler.jit import parallel_kernel
from cnntrain.kernels.lanes import accumulate, load, store, tile_load, tile_store


@parallel_kernel
def shift(x, y, size, by):
    for index in prange(4):
        part = np.intp(index)
        for i in range(part * size // 4, (part + 1) * size // 4, 16):
            store(y, i, load(x, i + by))


@parallel_kernel
def tiles(x, y, weights):
    for index in prange(1):
        at = np.intp(index)
        tile = tile_load(x, at, 16, 32, (0, 0), (0, 0))
        tile_store(y, at, 16, 32, accumulate(tile, x, at, 16, weights, at, 1))


@parallel_kernel
def one_by_one(x, places, y):
    for index in prange(places[0].size):
        i = np.intp(index)
        y[places[0][i]] = x[np.uintp(places[0][i])]


def outcome(kernel, *arguments):
    try:
        kernel(*arguments)
    except AddressError as fault:
        return str(fault)
    return "fine"


x, y = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
places = np.arange(64)
print(json.dumps([
    outcome(shift, x, y, 64, 0), y.tolist() == x.tolist(),
    outcome(shift, x, y, 64, 16), outcome(shift, x, y, 64, -1), outcome(shift, x, y[:48], 64, 0),
    outcome(tiles, x, y, x), outcome(tiles, x, y, x[:1]), outcome(tiles, x, y[:63], x),
    outcome(one_by_one, x, (places,), y), outcome(one_by_one, x[:60], (places,), y),
    outcome(one_by_one, x, (places,), y[:9]), outcome(one_by_one, x, (places - 65,), y),
]))
"""


def run(folder: Path, **environment: str) -> list[str | bool]:
    program = folder / "kernels.py"
    program.write_text(PROGRAM)
    own = {"NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, program], env=os.environ | own | environment, capture_output=True, text=True, check=True
    )
    outcomes: list[str | bool] = json.loads(done.stdout)
    return outcomes


@pytest.mark.parametrize("time", ["compiled", "loaded"])
def test_every_access_outside_an_array_is_named(tmp_path_factory: pytest.TempPathFactory, time: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "checked"  # the second finds what the first compiled
    folder.mkdir(exist_ok=True)
    fine, same, behind, before, short, tiles, weight, tile, numbers, read, written, negative = run(
        folder, CNNTRAIN_CHECKED="1"
    )
    assert (fine, same, tiles, numbers) == ("fine", True, "fine", "fine")
    assert behind == "kernel shift: x[64:80] of 64 numbers"
    assert before == "kernel shift: x[-1:15] of 64 numbers"
    assert short == "kernel shift: y[48:64] of 48 numbers"
    assert weight == "kernel tiles: weights[1:2] of 1 numbers"
    assert tile == "kernel tiles: y[48:64] of 63 numbers"
    assert str(read).startswith("kernel one_by_one: x[60:61] of 60 numbers; x[61:62]")
    assert str(written).startswith("kernel one_by_one: y[9:10] of 9 numbers")
    assert str(negative).startswith(("kernel one_by_one: x[-65:-64] of 64", "kernel one_by_one: y[-1:0] of 64"))


def test_checked_code_has_a_cache_of_its_own(tmp_path: Path) -> None:
    run(tmp_path, CNNTRAIN_CHECKED="1")
    checked = {path.name for path in (tmp_path / "cache").rglob("*.nb?")}
    assert len(checked) == 6
    assert all(".checked." in name for name in checked)
