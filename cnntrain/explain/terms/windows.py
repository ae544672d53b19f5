"""Windows over images, to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cnntrain.explain.account import Grid

Position = tuple[int, int] | None  # row and column in a map; None outside of it
REACH = 3  # pixels on each side of the one that a cut-out is about


def window(title: str, image: NDArray[np.float64], positions: Sequence[Sequence[Position]]) -> Grid:
    """Draw what a window sees of a map (rows, columns)."""
    rows = tuple(tuple(None if at is None else float(image[at]) for at in line) for line in positions)
    return Grid(title, rows)


def cut_out(title: str, image: NDArray[np.float64], row: int, column: int) -> Grid:
    """Draw a map (rows, columns) around one of its elements, which is marked."""
    top, left = max(row - REACH, 0), max(column - REACH, 0)
    values = image[top : row + REACH + 1, left : column + REACH + 1].tolist()
    where = f"{title}, rows {top}-{top + len(values) - 1}, columns {left}-{left + len(values[0]) - 1}"
    return Grid(where, tuple(map(tuple, values)), ((row - top, column - left),))


def span(positions: Sequence[Sequence[Position]], axis: int) -> str:
    """Say which rows (axis 0) or columns (1) of a map a window covers: "7-11", "0-8 by 2"."""
    found = sorted({at[axis] for line in positions for at in line if at is not None})
    if not found:
        return "none"
    step = found[1] - found[0] if len(found) > 1 else 1
    text = str(found[0]) if len(found) == 1 else f"{found[0]}-{found[-1]}"
    return text + (f" by {step}" if step > 1 else "")
