"""What Winograd's algorithms refuse, how they cut their work, and in which order they pack filters."""

from __future__ import annotations

import numpy as np
import pytest

from cnntrain.machine import AVX2, AVX512, Machine
from cnntrain.passes.problem import Direction, Problem
from cnntrain.passes.winograd_patches import WinogradLarge, WinogradPatches
from cnntrain.passes.winograd_rows import WinogradRows
from cnntrain.passes.winograd_transposed import WinogradLargeTransposed, WinogradTransposed
from cnntrain.passes.winograd_weights import WinogradLargeWeights, WinogradWeights
from tests.functional.arrays import Case
from tests.passes.convolutions import geometry_of

CAFFE = Case(64, 20, (12, 12), 50, (5, 5))  # the second layer of Caffe's LeNet
FLOAT32 = np.dtype(np.float32)


def problem(
    case: Case, direction: Direction = "forward", machine: Machine = AVX512, dtype: np.dtype = FLOAT32
) -> Problem:
    return Problem(geometry_of(case), direction, machine.capacity(case.images, dtype), dtype, machine)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (Case(2, 32, (16, 16), 32, (3, 3), stride=2, padding=1), "stride 2"),
        (Case(2, 32, (16, 16), 32, (3, 3), stride=(1, 3)), "stride 3"),
        (Case(2, 32, (16, 16), 32, (3, 3), dilation=2), "dilation 2"),
        (Case(2, 32, (16, 16), 32, (4, 4)), "4x4 taps, not 3x3 or 5x5"),
        (Case(2, 32, (16, 16), 32, (3, 5)), "3x5 taps, not 3x3 or 5x5"),
        (Case(2, 32, (16, 16), 32, (3, 3), groups=2), "2 groups"),
        (CAFFE, None),
    ],
    ids=str,
)
@pytest.mark.parametrize("machine", [AVX2, AVX512], ids=["avx2", "avx512"])
def test_what_cannot_be_computed(case: Case, reason: str | None, machine: Machine) -> None:
    for algorithm in (WinogradRows, WinogradPatches):
        assert algorithm.cannot(problem(case, "forward", machine)) == reason
        assert algorithm.cannot(problem(case, "to input", machine)) == reason
    assert WinogradTransposed.cannot(problem(case, "to input", machine)) == reason
    assert WinogradWeights.cannot(problem(case, "to weights", machine)) == reason


def test_why_others_are_faster() -> None:
    small, few = Case(2, 32, (6, 6), 8, (3, 3), padding=1), Case(2, 3, (32, 32), 32, (5, 5), padding=2)
    padded = Case(2, 32, (16, 16), 32, (3, 3), padding=1)
    assert WinogradRows.refuses(problem(CAFFE, machine=AVX2)) == "16 registers of 32 bytes are too few"
    assert WinogradPatches.refuses(problem(CAFFE)) == "rows suit this machine better"
    assert WinogradPatches.refuses(problem(few, machine=AVX2)) == "too few channels to pay for transforms: 3"
    # of 6 x 3 taps along an axis two lie on the padding
    assert (6 * 3 - 2) ** 2 * 32 * 8 == 65_536
    assert WinogradRows.refuses(problem(small)) == "65,536 multiply-adds per image, too few to be worth compiling it"
    assert WinogradTransposed.refuses(problem(padded, "to input")) == "the delta has 16 patches, the image 16"
    assert WinogradTransposed.refuses(problem(CAFFE, "to input")) is None
    assert WinogradWeights.refuses(problem(few, "to weights")) == "too few channels to pay for transforms: 3"
    twelve = Case(2, 32, (16, 16), 12, (3, 3), padding=1)
    assert WinogradWeights.refuses(problem(twelve, "to weights")) == "12 filters do not fill a vector of 16"
    # 3 x 3 patches for 9 x 9 outputs are computed as for 12 x 12; to the weights, 20 filters as 32
    hanging = Case(2, 16, (9, 9), 20, (3, 3), padding=1)
    macs = (9 * 3 - 2) ** 2 * 16 * 20
    time = 9 * (36 * 16 * 20 + 300 * 16 + 220 * 20)
    said = f"direct takes {macs / time:.2f} of the time, and 1.18 would be worth it"
    assert WinogradRows.refuses(problem(hanging)) == said
    time = 9 * (36 * 16 * 32 + 340 * 16 + 200 * 32)
    assert WinogradWeights.refuses(problem(hanging, "to weights")) == f"direct takes {macs / time:.2f} of the time"


@pytest.mark.parametrize(
    ("machine", "dtype", "vectors", "tiles", "heights"),
    [
        (AVX2, np.float32, 1, (5, 4), (6, 5)),
        (AVX512, np.float32, 2, (1, 6), (8, 7)),
        (AVX512, np.float64, 1, (1, 6), (8, 7)),
    ],
)
def test_many_patches_are_cut_for_the_registers_and_the_cache(
    machine: Machine, dtype: type, vectors: int, tiles: tuple[int, int], heights: tuple[int, int]
) -> None:
    """50 filters; 4 x 4 patches of 4 blocks, some for each of 16 workers, and no more than 256 KB of transforms."""
    plan = WinogradPatches(problem(CAFFE, "forward", machine, np.dtype(dtype))).plan
    assert plan.geometry.patches == (4, 4, 4 if dtype == np.float32 else 2)
    assert (plan.geometry.tiles, plan.geometry.channels) == (tiles, (1, 20, 50))
    assert tuple(map(len, plan.sizes)) == (6, 2, vectors, *heights)
    assert tiles[0] * heights[0] + tiles[1] * heights[1] == 50


@pytest.mark.parametrize("machine", [AVX2, AVX512], ids=["avx2", "avx512"])
def test_why_patches_of_8x8_are_not_taken(machine: Machine) -> None:
    def reason(case: Case, direction: Direction = "forward") -> str | None:
        algorithm = WinogradLargeWeights if direction == "to weights" else WinogradLarge
        return algorithm.refuses(problem(case, direction, machine))

    assert reason(CAFFE) is None
    assert reason(CAFFE, "to weights") is None
    assert reason(Case(2, 32, (16, 16), 32, (3, 3), padding=1)) == "3x3 taps, not 5x5"
    assert reason(Case(2, 32, (16, 16), 32, (5, 5), stride=2)) == "stride 2"
    assert reason(Case(2, 16, (16, 16), 32, (5, 5))) == "too few channels for its rounding errors: 16"
    assert reason(Case(2, 32, (16, 16), 12, (5, 5)), "to weights") == "12 filters do not fill a vector of 16"
    # 2 x 2 outputs are one square of either size, of 36 or 64 places
    small, large = 36 * 32 * 32 + 340 * 32 + 200 * 32, 64 * 32 * 32 + 550 * 32 + 330 * 32
    assert reason(Case(2, 32, (6, 6), 32, (5, 5))) == f"patches of 6x6 take {small / large:.2f} of the time"
    transposed = WinogradLargeTransposed.refuses
    assert transposed(problem(CAFFE, "to input", machine)) is None  # 4 squares of 4 x 4, the image 9
    padded = problem(Case(2, 32, (16, 16), 32, (5, 5), padding=2), "to input", machine)
    assert transposed(padded) == "the delta has 16 patches, the image 16"


def test_patches_of_8x8_are_cut_like_those_of_6x6() -> None:
    """2 x 2 patches of 4 blocks; one for each of 16 workers, filled up to a register tile of 2."""
    plan = WinogradLarge(problem(CAFFE)).plan
    assert plan.geometry.patches == (2, 2, 2)
    assert tuple(map(len, plan.sizes)) == (8, 4, 2, 6, 5)


def test_rows_are_cut_into_as_many_filters_as_six_places_leave_registers_for() -> None:
    rows = WinogradRows(problem(CAFFE))
    assert (rows.plan.geometry.tiles, tuple(map(len, rows.plan.sizes))) == ((11, 2), (6, 2, 1, 4, 3))
    assert rows.units == 4 * 16


def test_transposed_squares_are_cut_block_by_block() -> None:
    """20 channels; 16 patches of a block at most, and no more than 256 KB of transforms of 50 filters: 2."""
    plan = WinogradTransposed(problem(CAFFE, "to input")).plan
    assert plan.geometry.channels == (1, 20, 50)
    assert plan.geometry.patches == (4, 4, 2)
    # three tiles of up to 8 would need more than three short ones; four of 5 are exact
    assert (plan.geometry.tiles, tuple(map(len, plan.sizes))) == ((0, 4), (6, 2, 2, 6, 5))


@pytest.mark.parametrize(("machine", "vectors"), [(AVX2, 1), (AVX512, 2)], ids=["avx2", "avx512"])
def test_sums_of_weights_are_kept_in_slots_and_bundles(machine: Machine, vectors: int) -> None:
    """A slot for each 16 of 64 patches; with 64 channels, two bundles of 32 and four patches at a time."""
    weights = WinogradWeights(problem(CAFFE, "to weights", machine))
    assert (weights.slots, weights.bundles, weights.filled) == (4, 1, 64)
    assert len(weights.sizes.vectors) == vectors
    many = WinogradWeights(problem(CAFFE._replace(channels=64), "to weights", machine))
    assert (many.slots, many.bundles) == (4, 2)
    assert many.geometry.patches.stretch == 4


@pytest.mark.parametrize(
    ("algorithm", "direction", "mode"),
    [
        (WinogradPatches, "forward", "cross_correlation"),
        (WinogradPatches, "forward", "convolution"),
        (WinogradPatches, "to input", "cross_correlation"),
        (WinogradPatches, "to input", "convolution"),
        (WinogradTransposed, "to input", "cross_correlation"),
        (WinogradTransposed, "to input", "convolution"),
    ],
)
def test_filters_are_packed_in_the_order_in_which_products_read_them(
    algorithm: type[WinogradPatches | WinogradTransposed], direction: Direction, mode: str
) -> None:
    """(r, s), then (tile, input, output of the tile), filled up to whole vectors."""
    filters, channels, taps = 19, 5, 3
    case = Case(2, channels, (12, 12), filters, (taps, taps), mode=mode)
    made = algorithm(problem(case, direction, AVX2))
    numbers = np.arange(filters * channels * taps * taps).reshape(filters, channels, taps, taps)
    # a full convolution and a true convolution rotate the filter, each once
    if (direction == "to input" and algorithm is WinogradPatches) != (mode == "convolution"):
        numbers = numbers[..., ::-1, ::-1]
    if direction == "to input":
        numbers = numbers.swapaxes(0, 1)
    heights = [4, 4, 4, 4, 3] if direction == "forward" else [5]
    assert sum(heights) == len(numbers)
    expected = []
    for r in range(taps):
        for s in range(taps):
            first = 0
            for height in heights:
                expected.append(numbers[first : first + height, :, r, s].T.ravel())
                first += height
    packed = made.filters.order.reshape(taps * taps, 96)  # 95 numbers, filled up
    np.testing.assert_array_equal(packed[:, :95].ravel(), np.concatenate(expected))
