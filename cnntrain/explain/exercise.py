"""A convolution of a few numbers: its sums by plain loops and exact fractions, its results from the kernels.

Whatever a lesson shows of a convolution comes through here: `z`, `grad_input`, `grad_weight`, `grad_bias` are of
`cnntrain.functional`, each compared with the sum of the terms that are printed beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain import functional
from cnntrain.explain.agreement import agreed
from cnntrain.explain.document import Place
from cnntrain.explain.letters import letter
from cnntrain.explain.numbers import Number
from cnntrain.explain.sliding import Sliding

ZERO = Fraction(0)
Plane = Sequence[Sequence[Number]]  # Fractions are multiplied exactly
Term = tuple[Number, Number]
Values = list[list[float]]


@dataclass(frozen=True)
class Exercise:
    """Images, filters and deltas, and how the filters slide.

    Attributes
    ----------
    images : sequence of images, each of channels
    filters : sequence of filters, each of channels
    deltas : for each image, for each filter, a plane of the output's size
    biases : one for each filter
    law : Sliding
    settings : dict
        stride, padding, dilation and mode for `cnntrain.functional`.
    """

    images: Sequence[Sequence[Plane]]
    filters: Sequence[Sequence[Plane]]
    deltas: Sequence[Sequence[Plane]]
    biases: Sequence[Number]
    law: Sliding
    settings: dict[str, Any]

    # ---- the sums, by the index law and nothing else

    def pixel(self, place: Place | None, image: int = 0, channel: int = 0) -> Number:
        """Return a pixel, 0 on the padding."""
        return ZERO if place is None else self.images[image][channel][place[0]][place[1]]

    def weight(self, tap: Place, filter_: int = 0, channel: int = 0) -> Number:
        """Return the weight that lies at a place of the sliding filter."""
        row, column = self.law.weight(tap)
        return self.filters[filter_][channel][row][column]

    def delta(self, output: Place, image: int = 0, filter_: int = 0) -> Number:
        """Return dL/dz of an output."""
        return self.deltas[image][filter_][output[0]][output[1]]

    def z_terms(self, output: Place, image: int = 0, filter_: int = 0, channel: int | None = None) -> list[Term]:
        """Return (weight, pixel) of each tap, of one channel or of all, the padding's zeros too."""
        channels = range(len(self.images[0])) if channel is None else [channel]
        return [
            (self.weight(tap, filter_, c), self.pixel(self.law.read(output, tap), image, c))
            for c in channels
            for tap in self.law.taps()
        ]

    def weight_terms(self, place: Place, filter_: int = 0, channel: int = 0, image: int | None = None) -> list[Term]:
        """Return (delta, pixel) of each output, for the weight at a place of the filter: of one image or of all."""
        images = range(len(self.images)) if image is None else [image]
        tap = self.law.weight(place)
        return [
            (self.delta(output, n, filter_), self.pixel(self.law.read(output, tap), n, channel))
            for n in images
            for output in self.law.outputs()
        ]

    def input_terms(self, pixel: Place, image: int = 0, channel: int = 0, filter_: int | None = None) -> list[Term]:
        """Return (weight, delta) of each output that read a pixel, through one filter or all."""
        filters = range(len(self.filters)) if filter_ is None else [filter_]
        return [
            (self.weight(tap, k, channel), self.delta(output, image, k))
            for k in filters
            for tap, output in self.law.reaching(pixel)
        ]

    # ---- the kernels' numbers, each compared with its sum

    @cached_property
    def _forward(self) -> NDArray[np.float64]:
        return functional.conv2d(
            floats(self.images), floats(self.filters), floats(self.biases), convolution="direct", **self.settings
        )

    @cached_property
    def _backward(self) -> tuple[NDArray[np.float64], ...]:
        return functional.conv2d_backward(
            floats(self.deltas), floats(self.images), floats(self.filters), convolution="direct", **self.settings
        )

    def z(self, image: int = 0, filter_: int = 0) -> Values:
        """Return an output of the kernels."""
        return [
            [
                agreed(
                    letter("z", (i, j)),
                    self._forward[image, filter_, i, j],
                    self.z_terms((i, j), image, filter_),
                    self.biases[filter_],
                )
                for j in range(self.law.columns.outputs)
            ]
            for i in range(self.law.rows.outputs)
        ]

    def grad_input(self, image: int = 0, channel: int = 0) -> Values:
        """Return dL/dx of the kernels."""
        return [
            [
                agreed(
                    letter("∂L/∂x", (m, n)),
                    self._backward[0][image, channel, m, n],
                    self.input_terms((m, n), image, channel),
                )
                for n in range(self.law.columns.size)
            ]
            for m in range(self.law.rows.size)
        ]

    def grad_weight(self, filter_: int = 0, channel: int = 0) -> Values:
        """Return dL/dw of the kernels, summed over the images."""
        return [
            [
                agreed(
                    letter("∂L/∂w", (r, s)),
                    self._backward[1][filter_, channel, r, s],
                    self.weight_terms((r, s), filter_, channel),
                )
                for s in range(self.law.columns.taps)
            ]
            for r in range(self.law.rows.taps)
        ]

    def grad_bias(self, filter_: int = 0) -> float:
        """Return dL/db of the kernels, summed over the images."""
        return agreed("∂L/∂b", self._backward[2][filter_], self.bias_terms(filter_))

    def bias_terms(self, filter_: int = 0) -> list[tuple[Number]]:
        """Return the delta of each output of each image."""
        return [(self.delta(output, n, filter_),) for n in range(len(self.images)) for output in self.law.outputs()]


def floats(values: Any) -> NDArray[np.float64]:
    """Return exact numbers, in lists of any depth, as float64."""
    return np.array(_floats(values), np.float64)


def _floats(values: Any) -> Any:
    return float(values) if isinstance(values, Fraction | int | float) else [_floats(each) for each in values]
