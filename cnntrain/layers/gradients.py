"""Where dL/d(input) is kept on its way back: two buffers in turn for a sequence of layers, not one for each layer."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.memory import line_aligned

Level = tuple[int, int]  # how deep a sequence is inside others, and its number among those of its layer


class _Turns:
    """The two buffers of a sequence: while a layer works, its dL/d(output) is in one of them at most."""

    def __init__(self, dtype: np.dtype) -> None:
        self.size = 0
        self._dtype = dtype
        self._buffers: list[NDArray[Any]] = []

    def other(self, gradient: NDArray[Any]) -> NDArray[Any]:
        """Return the buffer in which `gradient` is not."""
        if not self._buffers:  # by now every layer has said how much room it needs
            self._buffers = [line_aligned(self.size, self._dtype) for _ in range(2)]
        first, second = self._buffers
        return second if gradient.base is first else first

    def hold(self, gradient: NDArray[Any]) -> bool:
        """Tell whether `gradient` is in one of the buffers."""
        return any(gradient.base is buffer for buffer in self._buffers)


class GradInput:
    """Room for one layer's dL/d(input)."""

    def __init__(self, turns: _Turns, size: int) -> None:
        self._turns, self._size = turns, size
        turns.size = max(turns.size, size)

    def beside(self, grad_output: NDArray[Any]) -> NDArray[Any]:
        """Return a buffer that does not overlap `grad_output`; it holds the values of some other gradient."""
        return self._turns.other(grad_output)[: self._size]

    def over(self, grad_output: NDArray[Any]) -> NDArray[Any]:
        """Return the place of `grad_output` itself, for layers that go element by element, if nobody else needs it."""
        return grad_output if self._turns.hold(grad_output) else self.beside(grad_output)


class Handover:
    """Room for the gradient that layers which run as one hand to each other.

    Nobody else sees it, and it is used up before another layer runs: all such layers of a network share it.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self._size, self._dtype = 0, dtype
        self._buffer: NDArray[Any] | None = None

    def reserve(self, size: int) -> None:
        """Have room for `size` values; to be called while the network is built."""
        self._size = max(self._size, size)

    @property
    def buffer(self) -> NDArray[Any]:
        """The room; it overlaps no other gradient."""
        if self._buffer is None:  # by now every layer has said how much it needs
            self._buffer = line_aligned(self._size, self._dtype)
        return self._buffer


class GradientBuffers:
    """The buffers of a network. Sequences that never run at the same time share theirs.

    Attributes
    ----------
    handover : Handover
    """

    def __init__(self, dtype: np.dtype) -> None:
        self.handover = Handover(dtype)
        self._levels: defaultdict[Level, _Turns] = defaultdict(lambda: _Turns(dtype))

    def room(self, level: Level, size: int) -> GradInput:
        """Reserve room for `size` values of a layer of a sequence."""
        return GradInput(self._levels[level], size)
