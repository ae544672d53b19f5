"""From linear maps about an image's centre to the numbers that the kernel `warp` takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def about_centre(
    row_row: Numbers, row_column: Numbers, column_row: Numbers, column_column: Numbers, shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Say where each target pixel comes from.

    With rows and columns counted from the centre of the image:

        source row    = row_row * row + row_column * column
        source column = column_row * row + column_column * column

    Parameters
    ----------
    row_row, row_column, column_row, column_column : ndarray (n,)
        One map per image.
    shape : tuple of int
        (channels, rows, columns).

    Returns
    -------
    ndarray (6 n,)
        float32: constant, factor of the row, factor of the column; for the source row, then for the source column.
    """
    middle, centre = (shape[1] - 1) / 2, (shape[2] - 1) / 2
    row = middle - row_row * middle - row_column * centre
    column = centre - column_row * middle - column_column * centre
    parts = (row, row_row, row_column, column, column_row, column_column)
    return np.stack(parts, axis=1).astype(np.float32).reshape(-1)
