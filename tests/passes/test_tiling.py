"""How numbers are cut into tiles, and in which order weights are packed for them; expectations by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cnntrain.kernels.geometry import Tiles
from cnntrain.passes.tiling import cut, packed_order, used_heights


@pytest.mark.parametrize(
    ("total", "largest", "tiles", "heights"),
    [
        (12, 6, (2, 0), (6, 5)),
        (16, 6, (1, 2), (6, 5)),  # 6 + 5 + 5
        (10, 6, (0, 2), (6, 5)),
        (5, 6, (0, 1), (6, 5)),
        (7, 6, (1, 1), (4, 3)),  # two tiles of 6 would be 5 too many
        (13, 6, (1, 3), (4, 3)),
        (3, 6, (0, 1), (4, 3)),
        (2, 6, (0, 1), (3, 2)),
        (1, 6, (0, 1), (2, 1)),
        (9, 8, (0, 3), (4, 3)),
        (40, 8, (5, 0), (8, 7)),
        (10, 5, (1, 2), (4, 3)),  # 5 is odd
        (10, 3, (2, 2), (3, 2)),
        (4, 1, (4, 0), (1, 0)),
    ],
)
def test_cut(total: int, largest: int, tiles: tuple[int, int], heights: tuple[int, int]) -> None:
    found, tall, short = cut(total, largest)
    assert (found, (len(tall), len(short))) == (Tiles(*tiles), heights)


@pytest.mark.parametrize("largest", range(1, 25))
def test_tiles_cover_everything_once_with_two_heights(largest: int) -> None:
    for total in range(1, 200):
        tiles, tall, short = cut(total, largest)
        assert tiles.tall * len(tall) + tiles.short * len(short) == total
        assert len(short) == len(tall) - 1 < largest
        assert len(tall) < 4 or len(tall) % 2 == 0


def test_tiles_of_no_height() -> None:
    with pytest.raises(ValueError, match="nothing to cut: 3 in tiles of at most 0"):
        cut(3, 0)


def test_a_height_that_no_tile_has_is_not_compiled() -> None:
    six, five = (0,) * 6, (0,) * 5
    assert used_heights(Tiles(1, 2), six, five) == (six, five)
    assert used_heights(Tiles(3, 0), six, five) == (six, six)
    assert used_heights(Tiles(0, 3), six, five) == (five, five)


def test_packed_order_by_hand() -> None:
    """Three outputs of two inputs and 1x2 taps: index 4 output + 2 input + s. A tile of two outputs, one of one."""
    indices = np.arange(12).reshape(3, 2, 1, 2)
    first = [0, 4, 2, 6, 1, 5, 3, 7]  # (s, input, output): s = 0 has the inputs 0 and 1 of both outputs, then s = 1
    second = [8, 10, 9, 11]
    assert packed_order(indices, Tiles(1, 1), 2).tolist() == first + second


def test_packed_order_goes_through_rows_before_columns() -> None:
    indices = np.arange(8).reshape(2, 1, 2, 2)
    assert packed_order(indices, Tiles(1, 0), 2).tolist() == [0, 4, 1, 5, 2, 6, 3, 7]
    assert packed_order(indices, Tiles(2, 0), 1).tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
