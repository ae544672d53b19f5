"""`@elementwise`: the loop over whole arrays, around functions whose results NumPy gives too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cnntrain.kernels.elementwise import elementwise
from cnntrain.kernels.lanes import constant, select
from cnntrain.kernels.work import UNITS, blocks_of, share, span, used_lanes

SIZES = [0, 16, 16 * (UNITS - 1), 16 * UNITS, 16 * (2 * UNITS + 1)]


@elementwise
def negative(x):  # type: ignore[no-untyped-def]
    """y = -x."""
    return constant(x, 0) - x


@elementwise(numbers=2)
def between(g, x, low, high):  # type: ignore[no-untyped-def]
    """y = g where low < x < high, zero elsewhere."""
    inside = (x > constant(x, low)) & (x < constant(x, high))
    return select(inside, g, constant(g, 0))


@elementwise
def product(a, b, c):  # type: ignore[no-untyped-def]
    """y = a b c."""
    return a * b * c


def draw(size: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9, 9, size).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_every_element_once_and_none_behind_them(size: int) -> None:
    a, b, c, result = (draw(size + 16, seed) for seed in range(4))
    behind = result[size:].copy()
    negative(a, result, size)
    np.testing.assert_array_equal(result[:size], -a[:size])
    between(a, b, result, size, -2.5, 3)
    np.testing.assert_array_equal(result[:size], np.where((b > -2.5) & (b < 3), a, 0)[:size])
    product(a, b, c, result, size)
    np.testing.assert_array_equal(result[:size], (a * b * c)[:size])
    np.testing.assert_array_equal(result[size:], behind)


def test_the_result_may_be_what_is_read() -> None:
    a, b, c = (draw(160, seed) for seed in range(3))
    expected = a * b * c
    product(a, b, c, b, 160)
    np.testing.assert_array_equal(b, expected)


def test_the_kernel_is_called_like_the_function() -> None:
    assert between.__name__ == "between"
    assert between.__doc__ == "y = g where low < x < high, zero elsewhere."


PROGRAM = """
import numpy as np
from cnntrain.kernels.elementwise import elementwise
from cnntrain.kernels.lanes import constant

@elementwise(numbers=1)
def raised(x, by):
    return x + constant(x, by)

@elementwise
def doubled(x):
    return x + x

y = np.zeros(16, np.float32)
raised(np.ones(16, np.float32), y, 16, 2)
doubled(y, y, 16)
print(y[0], *(sum(kernel.stats.cache_hits.values()) for kernel in (raised, doubled)))
"""


def test_its_machine_code_is_kept(tmp_path: Path) -> None:
    """Beside that of the function's own file, under the function's own name."""
    program = tmp_path / "mine.py"
    program.write_text(PROGRAM)
    printed = [
        subprocess.run(
            [sys.executable, program], check=True, capture_output=True, text=True,
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout.split()
        for _ in range(2)
    ]  # fmt: skip
    assert printed == [["6.0", "0", "0"], ["6.0", "1", "1"]]
    kept = {path.name.partition("-")[0] for path in (tmp_path / "cache").rglob("*.nbi")}
    assert kept == {"mine.raised", "mine.doubled"}


# ---- how work is cut ----


@pytest.mark.parametrize("size", SIZES)
def test_spans_are_whole_vectors_one_behind_the_other(size: int) -> None:
    spans = [span(unit, size) for unit in range(UNITS)]
    assert [begin for begin, _ in spans] == [0, *(end for _, end in spans[:-1])]
    assert spans[-1][1] == size
    assert all(begin % 16 == 0 for begin, _ in spans)


@pytest.mark.parametrize(("units", "size"), [(1, 5), (5, 5), (7, 5), (64, 1000)])
def test_shares_differ_by_one_at_most(units: int, size: int) -> None:
    shares = [share(unit, units, size) for unit in range(units)]
    assert [thing for begin, end in shares for thing in range(begin, end)] == list(range(size))
    sizes = {end - begin for begin, end in shares}
    assert max(sizes) - min(sizes) <= 1


def test_images_fill_blocks_from_the_first_lane() -> None:
    assert [blocks_of(images) for images in (0, 1, 16, 17)] == [0, 1, 1, 2]
    assert [used_lanes(block, 33) for block in range(3)] == [16, 16, 1]
