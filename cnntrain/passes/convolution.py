"""The three passes of a convolution layer, and the algorithms that may compute each: the first that does not refuse.

To add an algorithm: a file with its class, and its place in a list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnntrain.machine import Machine, this_machine
from cnntrain.passes.algorithm import Algorithm, Chosen, Correlation, WeightGradient, choose
from cnntrain.passes.depthwise import Depthwise, DepthwiseWeights
from cnntrain.passes.direct import Direct
from cnntrain.passes.problem import ConvolutionGeometry, Direction, Problem
from cnntrain.passes.weight_sums import BiasGradient
from cnntrain.passes.weights_by_lanes import WeightsByLanes
from cnntrain.passes.weights_by_positions import WeightsByPositions
from cnntrain.passes.winograd_patches import WinogradLarge, WinogradPatches
from cnntrain.passes.winograd_rows import WinogradRows
from cnntrain.passes.winograd_transposed import WinogradLargeTransposed, WinogradTransposed
from cnntrain.passes.winograd_weights import WinogradLargeWeights, WinogradWeights

FORWARD: list[type[Correlation]] = [Depthwise, WinogradLarge, WinogradRows, WinogradPatches, Direct]
TO_INPUT: list[type[Correlation]] = [
    Depthwise, WinogradLargeTransposed, WinogradLarge, WinogradTransposed, WinogradRows, WinogradPatches, Direct
]  # fmt: skip
TO_WEIGHTS: list[type[WeightGradient]] = [
    DepthwiseWeights, WinogradLargeWeights, WinogradWeights, WeightsByLanes, WeightsByPositions
]  # fmt: skip
ALGORITHMS: dict[Direction, Sequence[type[Algorithm]]] = {
    "forward": FORWARD,
    "to input": TO_INPUT,
    "to weights": TO_WEIGHTS,
}


class Convolution:
    """All passes of one convolution layer, for batches of up to `blocks` blocks.

    Parameters
    ----------
    geometry : ConvolutionGeometry
    blocks : int
        Blocks of 16 images that images and outputs hold: a `Machine.capacity`.
    dtype : float32 or float64
    machine : Machine or None
        What work is cut for; None is this one.
    only : mapping of str to str
        Algorithms to take whatever they cost, by direction: {"forward": "direct"}.
    direct : bool
        See `Problem`.

    Attributes
    ----------
    forward, weights
        The algorithms that compute the forward pass and the gradient of the weights.
    choices : Choices
        Which algorithms were chosen, and why others refused.

    Raises
    ------
    ValueError
        An algorithm of `only` is unknown, or cannot compute this convolution.
    """

    def __init__(
        self,
        geometry: ConvolutionGeometry,
        blocks: int,
        dtype: np.dtype,
        machine: Machine | None = None,
        only: Mapping[str, str] | None = None,
        direct: bool = False,
    ) -> None:
        self.geometry, self.blocks, self.dtype = geometry, blocks, dtype
        self.machine = this_machine() if machine is None else machine
        problems = problems_of(geometry, blocks, dtype, self.machine, direct)
        forward, to_input, to_weights = self.choices = choices_of(problems, only or {})
        self.forward = forward.algorithm(problems["forward"])
        self._full = to_input.algorithm(problems["to input"])
        self.weights = to_weights.algorithm(problems["to weights"])
        self._zeros = np.zeros(geometry.channels, dtype)
        self._biases = BiasGradient(geometry.filters, dtype)
        self._pixels = geometry.rows.output_size * geometry.columns.output_size

    @property
    def macs(self) -> int:
        """Multiply-adds per image of any one pass."""
        return self.geometry.macs

    @property
    def adds_biases(self) -> bool:
        """The gradient of the biases comes along with that of the weights, and costs next to nothing."""
        return self.weights.adds_biases

    def __str__(self) -> str:
        return str(self.geometry)

    def backward_input(self, delta: NDArray[Any], weight: NDArray[Any], grad_input: NDArray[Any], blocks: int) -> None:
        """Write the full convolution of `delta` with the filters rotated by 180°, summed over the filters."""
        self._full(delta, weight, self._zeros, grad_input, blocks)

    def backward_weight(
        self,
        image: NDArray[Any],
        delta: NDArray[Any],
        grad_weight: NDArray[Any],
        grad_bias: NDArray[Any] | None,
        blocks: int,
        *,
        begins: bool = True,
        ends: bool = True,
    ) -> None:
        """Write the valid correlation of `image` and `delta`, and the sum of `delta` per filter.

        A batch may come in slices: the first `begins` the sums of the correlation, the last `ends` them, and only then
        is `grad_weight` written. So is the bias's gradient, if `adds_biases`; else it is that of the slice alone.
        """
        with_biases = grad_bias is not None and self.weights.adds_biases
        self.weights.add(image, delta, blocks, fresh=begins, with_biases=with_biases)
        if ends:
            self.weights.write(grad_weight, grad_bias if with_biases else None)
        if grad_bias is not None and not with_biases:
            self.backward_bias(delta, grad_bias, blocks * self._pixels)

    def backward_bias(self, delta: NDArray[Any], grad_bias: NDArray[Any], pixels: int) -> None:
        """Write the sum per filter of `pixels` pixels, those of all blocks counted."""
        self._biases(delta, grad_bias, pixels)


def problems_of(
    geometry: ConvolutionGeometry, blocks: int, dtype: np.dtype, machine: Machine, direct: bool = False
) -> dict[Direction, Problem]:
    """Return a layer's three problems by direction."""
    return {direction: Problem(geometry, direction, blocks, dtype, machine, direct) for direction in ALGORITHMS}


class Choices(NamedTuple):
    """Which algorithm computes each pass of a convolution, and why others refused."""

    forward: Chosen[Correlation]
    to_input: Chosen[Correlation]
    to_weights: Chosen[WeightGradient]

    def by_direction(self) -> Iterator[tuple[Direction, Chosen[Any]]]:
        """Yield the directions with their choices, in the order of the fields."""
        yield from zip(ALGORITHMS, self, strict=True)


def choices_of(problems: Mapping[Direction, Problem], only: Mapping[str, str]) -> Choices:
    """Choose the algorithms of a layer's passes; raises `ValueError` as `choose` does."""
    return Choices(
        choose(FORWARD, problems["forward"], only.get("forward")),
        choose(TO_INPUT, problems["to input"], only.get("to input")),
        choose(TO_WEIGHTS, problems["to weights"], only.get("to weights")),
    )
