"""How windows, channels and tiles lie: what kernels and those who plan them have in common. Needs no Numba.

Parallel kernels are called with plain tuples in the place of these classes, and name the fields themselves
(`Axis(*geometry[0])`): of each named tuple in a call from Python Numba reads the names of all fields, for up to a
microsecond. Between kernels they are passed as they are.
"""

from __future__ import annotations

from typing import NamedTuple


class Axis(NamedTuple):
    """One axis (rows or columns) of one correlation: tap t of output i reads input i * stride + offset + t * dilation.

    Outputs first, first + step, ... are computed, `count` of them.
    """

    input_size: int
    output_size: int
    first: int
    step: int
    count: int  # type: ignore[assignment]  # hides the method of tuple, which nobody calls here
    stride: int
    offset: int
    taps: int
    dilation: int


class Channels(NamedTuple):
    """Groups, and how many channels each group reads and writes."""

    groups: int
    inputs: int
    outputs: int


class Tiles(NamedTuple):
    """How the filters of a group are cut: `tall` tiles of one height, then `short` tiles one filter lower."""

    tall: int
    short: int


class Subsampling(NamedTuple):
    """From an image (in_channels, in_rows, in_columns) every row_stride-th row and column_stride-th column is taken.

    There are rows = ceil(in_rows / row_stride) of them, and columns likewise; channels in_channels ... channels - 1 of
    the result are zero.
    """

    channels: int
    rows: int
    columns: int
    in_channels: int
    in_rows: int
    in_columns: int
    row_stride: int
    column_stride: int


class ChannelCopy(NamedTuple):
    """Channels first ... first + copied - 1 of a source go to the channels from target_first on of a target."""

    copied: int
    channels: int
    first: int
    target_channels: int
    target_first: int


def plain(*named: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return named tuples as parallel kernels are called with them."""
    return tuple(map(tuple, named))


def length(number: int) -> tuple[int, ...]:
    """Return a dummy tuple: kernels read sizes of register tiles from the types of their arguments."""
    return (0,) * number
