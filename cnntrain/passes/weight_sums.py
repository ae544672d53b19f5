"""What the direct ways to the gradient of the weights have in common: sums that are kept apart and then added up."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.geometry import Channels
from cnntrain.kernels.weight_gradient import Division, add_slots, bias_gradient
from cnntrain.memory import line_aligned
from cnntrain.passes.algorithm import WeightGradient
from cnntrain.passes.problem import Problem

UNITS = 16  # units of work to aim at: enough for many cores, whatever the number that this machine has
WORTH_SHARING = 8  # pixels whose sum takes as long as it takes to start other threads


class BiasGradient:
    """The gradient of the biases: the delta summed over everything but its channel."""

    def __init__(self, outputs: int, dtype: np.dtype) -> None:
        self._partial = line_aligned(UNITS * outputs, dtype)

    def __call__(self, delta: NDArray[Any], gradient: NDArray[Any], pixels: int) -> None:
        """Sum over `pixels` pixels, those of all blocks counted."""
        bias_gradient(delta, self._partial, gradient, pixels, max(min(UNITS, pixels // WORTH_SHARING), 1))


class SlottedWeights(WeightGradient):
    """The gradient of all weights of a convolution, and of the biases, by sums in slots.

    A filter's positions (r, s, c) make `runs` runs of `run` positions that lie side by side in an image.
    """

    sums_lanes: ClassVar[bool]  # the slots hold vectors whose lanes are still to be added

    def __init__(self, problem: Problem) -> None:
        self._dtype = problem.dtype
        self._runs, self._run = runs_of(problem)
        self._channels = Channels(problem.groups, problem.inputs, problem.outputs)
        # places count positions (r, s, c); in canonical order the channel comes first
        by_tap = problem.order.transpose(0, 1, 3, 4, 2)
        self._by_tap = by_tap.reshape(problem.groups, problem.outputs, self._runs * self._run)
        self._none = np.empty(0, problem.dtype)

    def _reserve(self, division: Division, scratch: int, places: NDArray[np.intp], size: int, unit: int) -> None:
        """Make arrays: `scratch` numbers for each unit of work, a group's `size` places of `unit` numbers in a slot."""
        groups, _, outputs = self._channels
        self._scratch = line_aligned(groups * division.bundles * division.slots * scratch, self._dtype)
        self._partial = line_aligned(division.slots * groups * size * unit, self._dtype)
        self._sums = line_aligned(division.slots * groups * outputs, self._dtype)
        self._slots, self._slot_size = division.slots, groups * size * unit
        self._canonical = np.full(groups * size, -1, np.int64)
        self._canonical[(np.arange(groups)[:, None, None] * size + places).ravel()] = self._by_tap.ravel()

    def write(self, gradient: NDArray[Any], grad_bias: NDArray[Any] | None = None) -> None:
        bias = self._none if grad_bias is None else grad_bias
        add_slots(
            self._partial, self._sums, self._slots, self._slot_size, self.sums_lanes, self._canonical, gradient, bias
        )  # fmt: skip


def runs_of(problem: Problem) -> tuple[int, int]:
    """Return how many runs of positions a filter has, and how many positions a run."""
    rows, columns = problem.forward_axes
    if columns.dilation == 1 and problem.groups == 1:
        return rows.taps, columns.taps * problem.inputs
    return rows.taps * columns.taps, problem.inputs
