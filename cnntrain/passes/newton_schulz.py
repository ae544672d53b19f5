"""The orthogonal matrix near a matrix, by the iteration of Newton and Schulz: products of matrices alone.

X = U S V^T goes to U p(p(...p(S))) V^T, p(s) = a s + b s^3 + c s^5. With the coefficients of Jordan et al. 2024 the
slope at 0 is large, so that few steps bring all singular values near 1; not to 1, which does no harm (ibid.).

The products are a dense layer's: with the columns of X as its images, its forward pass multiplies them with a matrix,
and its pass to the weights is X X^T. So they run at its speed, and give the same bits for any number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.layout import from_lanes, to_lanes
from cnntrain.machine import this_machine
from cnntrain.memory import line_aligned
from cnntrain.passes.dense import Dense
from cnntrain.shape import LANES

A, B, C = 3.4445, -4.7750, 2.0315
EPS = 1e-7  # beside the norm that the matrix is divided by first: a matrix of zeros stays one


class NewtonSchulz:
    """The iteration for matrices of one shape.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns).
    dtype : float32 or float64
    steps : int
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, steps: int = 5) -> None:
        self.shape, self._dtype, self._steps = shape, dtype, steps
        self._size, self._long = min(shape), max(shape)
        self._columns = _Lanes(self._long, self._size, dtype)
        self._gram = _Lanes(self._size, self._size, dtype)
        self._layers = [Dense(self._size, self._size, lanes.room, dtype) for lanes in (self._columns, self._gram)]
        self._no_bias = np.zeros(self._size, dtype)
        self._unused = np.zeros(self._size, dtype)

    def __call__(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """Return the matrix with its singular values brought near 1.

        Parameters
        ----------
        matrix : ndarray, `shape`
            NaN or infinity in it make everything NaN.
        """
        norm = float(np.sqrt(np.square(matrix, dtype=np.float64).sum()))
        upright = matrix.shape[0] > matrix.shape[1]
        columns = (matrix if upright else matrix.T) / self._dtype.type(norm + EPS)
        x = self._columns.enter(np.ascontiguousarray(columns))
        for _ in range(self._steps):
            x = self._step(x)
        found = self._columns.leave(x)
        return found if upright else np.ascontiguousarray(found.T)

    def _step(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return (a + b G + c G^2) X, G = X X^T; x holds the columns of X as images."""
        a, b, c = map(self._dtype.type, (A, B, C))
        of_columns, of_gram = self._layers
        gram = np.empty(self._size * self._size, self._dtype)
        of_columns.backward_weight(x, x, gram, self._unused, self._columns.blocks)
        square = line_aligned(self._gram.numbers, self._dtype)
        of_gram.forward(
            self._gram.enter(gram.reshape(self._size, self._size)), gram, self._no_bias, square, self._gram.blocks
        )
        factor = b * gram + c * self._gram.leave(square).reshape(-1)
        result = line_aligned(self._columns.numbers, self._dtype)
        of_columns.forward(x, factor, self._no_bias, result, self._columns.blocks)
        result += a * x
        return result


class _Lanes:
    """Rows of a matrix as images, side by side in lanes."""

    def __init__(self, rows: int, columns: int, dtype: np.dtype) -> None:
        self._rows, self._columns, self._dtype = rows, columns, dtype
        self.blocks = -(-rows // LANES)
        self.room = this_machine().capacity(rows, dtype)
        self.numbers = self.room * columns * LANES
        self._one, self._zero = np.ones(columns, dtype), np.zeros(columns, dtype)
        self._numbers = np.arange(rows, dtype=np.int64)

    def enter(self, matrix: NDArray[Any]) -> NDArray[Any]:
        lanes = line_aligned(self.numbers, self._dtype)
        to_lanes(matrix.reshape(-1), self._numbers, self._one, self._zero, lanes, self._columns, 1, 1)
        return lanes

    def leave(self, lanes: NDArray[Any]) -> NDArray[Any]:
        matrix = np.empty((self._rows, self._columns), self._dtype)
        from_lanes(lanes, matrix.reshape(-1), self._rows, self._columns, 1, 1)
        return matrix
