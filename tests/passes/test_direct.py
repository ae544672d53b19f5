"""Convolutions tap by tap and depthwise ones, as they are cut for each machine, against the naive loops.

All cases have numbers of filters and channels that are cut into tiles of 6 and 5, so that few forms are compiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnntrain.machine import AVX2, AVX512, NEON, Machine
from cnntrain.passes.convolution import problems_of
from cnntrain.passes.direct import Direct
from tests.functional.arrays import Case
from tests.passes.convolutions import Passes, compare_with_naive, geometry_of

FLOAT = np.dtype(np.float32)
DIRECT = {"forward": "direct", "to input": "direct", "to weights": "by positions"}
CASES = [
    Case(33, 6, (7, 6), 11, (3, 3), padding=1),  # three blocks: with two side by side the last has none beside it
    Case(17, 12, (8, 7), 10, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2, mode="convolution"),
    Case(3, 11, (9, 8), 6, (2, 3), stride=(3, 2), dilation=2),
]
DEPTHWISE = [
    Case(33, 11, (7, 6), 11, (3, 3), padding=1, groups=11),
    Case(17, 11, (8, 9), 11, (2, 3), stride=(2, 3), padding=(0, 2), dilation=2, groups=11, mode="convolution"),
]


@pytest.mark.parametrize("machine", [AVX2, AVX512], ids=["avx2", "avx512"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_tap_by_tap(case: Case, machine: Machine) -> None:
    compare_with_naive(Passes(case, DIRECT, machine))


@pytest.mark.parametrize("machine", [AVX2, AVX512], ids=["avx2", "avx512"])
@pytest.mark.parametrize("case", DEPTHWISE, ids=str)
def test_depthwise(case: Case, machine: Machine) -> None:
    passes = Passes(case, {}, machine)
    assert [chosen.algorithm.name for chosen in passes.made(FLOAT).choices] == 3 * ["depthwise"]
    compare_with_naive(passes)


def lengths(case: Case, machine: Machine, direction: str = "forward", blocks: int = 2) -> list[int]:
    """Blocks side by side, heights of tall and short tiles, and a run of known length (or 0)."""
    problems = {str(name): found for name, found in problems_of(geometry_of(case), blocks, FLOAT, machine).items()}
    return [len(size) for size in Direct(problems[direction]).sizes]


def test_tiles_of_each_machine() -> None:
    case = Case(2, 1, (9, 9), 20, (5, 5))
    assert lengths(case, AVX2) == lengths(case, NEON) == lengths(case, AVX512, blocks=1) == [1, 6, 5, 5]
    assert lengths(case, AVX512) == [2, 6, 5, 5]
    assert lengths(case, AVX2, "to input") == [1, 2, 1, 0]  # runs of 5 taps of 20 filters
    assert lengths(case._replace(filters=3), AVX2, "to input") == [1, 2, 1, 15]


@pytest.mark.parametrize("changes", [{"dilation": 2}, {"groups": 2}, {"kernel_size": (3, 8)}])
def test_runs_of_no_known_length(changes: dict[str, Any]) -> None:
    """Taps apart, groups of channels, or 16 lane vectors and more."""
    case = Case(2, 2, (20, 20), 20, (3, 3))
    assert lengths(case, AVX2) == [1, 6, 5, 6]
    assert lengths(case._replace(**changes), AVX2)[3] == 0
    strided = case._replace(stride=2)
    assert (lengths(strided, AVX2)[3], lengths(strided, AVX2, "to input")[3]) == (6, 0)
