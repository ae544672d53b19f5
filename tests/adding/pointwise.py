"""An algorithm of a convolution: `pointwise`, a product of matrices for filters of one tap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cnntrain.memory import line_aligned
from cnntrain.passes.algorithm import Correlation
from cnntrain.passes.problem import Problem
from cnntrain.shape import LANES

WORTH_MULTIPLYING = 2  # channels: of fewer, a call of NumPy takes longer than all that it computes


class Pointwise(Correlation):
    """Every pixel by itself, forward or backward to the input."""

    name = "pointwise"

    @classmethod
    def cannot(cls, problem: Problem) -> str | None:
        for axis in problem.forward_axes:
            if (axis.taps, axis.stride, axis.count) != (1, 1, axis.input_size):
                return "windows are more than a pixel of the image each, or leave some out"
        return None if problem.groups == 1 else f"{problem.groups} groups"

    @classmethod
    def slower(cls, problem: Problem) -> str | None:
        return f"only {problem.inputs} channels" if problem.inputs < WORTH_MULTIPLYING else None

    def __init__(self, problem: Problem) -> None:
        self._order = problem.order[0, :, :, 0, 0]
        self._matrix: NDArray = line_aligned(self._order.size, problem.dtype).reshape(self._order.shape)
        rows, columns = problem.forward_axes
        self._pixels = rows.count * columns.count

    def __call__(self, image: NDArray, weight: NDArray, bias: NDArray, output: NDArray, blocks: int) -> None:
        outputs, inputs = self._matrix.shape
        np.take(weight, self._order, out=self._matrix)
        pixels = blocks * self._pixels
        x = image[: pixels * inputs * LANES].reshape(pixels, inputs, LANES)
        z = output[: pixels * outputs * LANES].reshape(pixels, outputs, LANES)
        np.matmul(self._matrix, x, out=z)
        z += bias[:, None]
