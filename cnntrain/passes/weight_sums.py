"""What the direct ways to the gradient of the weights have in common: sums that are kept apart and then added up."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cnntrain.kernels.geometry import Channels
from cnntrain.kernels.weight_gradient import Division, add_slots, bias_gradient, units_of
from cnntrain.memory import line_aligned
from cnntrain.passes.algorithm import WeightGradient
from cnntrain.passes.problem import Problem
from cnntrain.shape import LANES

ENOUGH_UNITS = 16  # units to aim at: enough for many cores, whatever the number that this machine has
WORTH_SHARING = 8  # pixels whose sum takes as long as it takes to start other threads (measured on Zen 3)


class BiasGradient:
    """The gradient of the biases: the delta summed over everything but its channel."""

    def __init__(self, outputs: int, dtype: np.dtype) -> None:
        self._partial = line_aligned(ENOUGH_UNITS * outputs, dtype)

    def __call__(self, delta: NDArray[Any], gradient: NDArray[Any], pixels: int) -> None:
        """Sum over `pixels` pixels, those of all blocks counted."""
        bias_gradient(delta, self._partial, gradient, pixels, max(min(ENOUGH_UNITS, pixels // WORTH_SHARING), 1))


class SlottedWeights(WeightGradient):
    """The gradient of all weights of a convolution, and of the biases, by sums in slots.

    Attributes
    ----------
    division : Division
        How the work is cut; it does not depend on the number of threads.
    """

    sums_lanes: ClassVar[bool]  # the slots hold vectors whose lanes are still to be added

    def __init__(self, problem: Problem) -> None:
        self._dtype = problem.dtype
        self._channels = Channels(problem.groups, problem.inputs, problem.outputs)
        # sums count positions (r, s, c); in canonical order the channel comes first
        self._by_tap = problem.order.transpose(0, 1, 3, 4, 2).reshape(problem.groups, problem.outputs, -1)

    def _reserve(self, division: Division, room: int, filter_size: int, places: NDArray[np.intp]) -> None:
        """Make arrays: `room` numbers of scratch memory for each unit, `filter_size` of sums for each filter and slot.

        `places` says where among the sums of a group, counted in numbers or in lane vectors, those of a filter's
        positions lie: (filter, position).
        """
        groups, _, outputs = self._channels
        self.division, slot_size = division, groups * outputs * filter_size
        self._scratch = line_aligned(units_of(division, groups) * room, self._dtype)
        self._partial = line_aligned(division.slots * slot_size, self._dtype)
        self._biases = line_aligned(division.slots * groups * outputs, self._dtype)
        self._nobody = np.empty(0, self._dtype)
        self._sums = {True: (self._partial, self._biases), False: (self._partial, self._nobody)}  # with biases or not
        self._slots, self._slot_size = division.slots, slot_size
        size = slot_size // (LANES if self.sums_lanes else 1)
        self._canonical = np.full(size, -1, np.int64)
        self._canonical[np.arange(groups)[:, None, None] * (size // groups) + places] = self._by_tap

    def write(self, gradient: NDArray[Any], grad_bias: NDArray[Any] | None = None) -> None:
        bias = self._nobody if grad_bias is None else grad_bias
        add_slots(
            self._partial, self._biases, self._slots, self._slot_size, self.sums_lanes, self._canonical, gradient, bias
        )  # fmt: skip
