"""Central differences of the loss of a traced step: for any learned number, and for any number inside the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.explain.trace import LayerTrace, ParameterTrace, Trace
from cnntrain.network import AsTheyAre, Network
from cnntrain.shape import LANES, Shape

STEPS = 1e-5, 1e-6, 1e-7  # times max(1, |value|); a smaller one where a larger one meets a kink, or a curve
ROUNDING = 8.0  # of the loss, in units of the last place of the largest number near it, as in `verify.probe`
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Difference:
    """A gradient by differences.

    Attributes
    ----------
    value : float or None
        (L(v + h) - L(v - h)) / 2h; None at a kink: within h the network decides otherwise (a ReLU, the winner of a
        pooling window), so that the difference says nothing about the gradient.
    step : float
        h.
    agrees : bool
        As far as rounding and the curvature of the loss let one see.
    """

    value: float | None
    step: float
    agrees: bool

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"value": self.value, "step": self.step, "agrees": self.agrees}


class Differences:
    """Repeats a traced step's forward pass with a number moved.

    Parameters
    ----------
    network : Network
        The one that was traced.
    trace : Trace
    """

    def __init__(self, network: Network, trace: Trace) -> None:
        self._network, self._trace = network, trace
        self._indices = np.arange(len(trace.images), dtype=np.int64)
        self._as_they_are = AsTheyAre(trace.images.shape[1])
        scale = max(1.0, abs(trace.loss), float(np.abs(trace.logits).max()))
        self._noise = ROUNDING * float(np.finfo(np.float64).eps) * scale
        self._loss(None)
        self._decisions = [made for _, made in network.decisions()]

    def of_parameter(self, parameter: ParameterTrace, index: tuple[int, ...]) -> Difference:
        """Move a learned number."""
        kept = parameter.parameter.value.copy()

        def loss(step: float) -> float:
            moved = parameter.value.copy()
            moved[index] += step
            parameter.parameter.assign(parameter.parameter.value, moved)
            try:
                return self._loss(None)
            finally:
                parameter.parameter.value[...] = kept

        return self._difference(loss, float(parameter.value[index]), float(parameter.gradient[index]))

    def of_input(self, layer: LayerTrace, place: tuple[int, ...]) -> Difference:
        """Move a number that reaches a layer, for this layer alone: on other ways it stays as it is."""
        assert layer.grad_input is not None  # networks of traces pass it all the way back
        at = _in_lanes(place, layer.row.input_shape)
        analytic = float(layer.grad_input[place])
        return self._difference(lambda step: self._loss((layer.path, at, step)), float(layer.input[place]), analytic)

    def of_logit(self, image: int, k: int) -> Difference:
        """Move an output of the network."""
        path, shape = self._network.body.rows[-1].path, self._network.output_shape
        at = _in_lanes((image, *map(int, np.unravel_index(k, shape))), shape)
        analytic = float(self._trace.grad_logits[image, k])
        moved: Callable[[float], float] = lambda step: self._loss((path, at, step), "output")  # noqa: E731
        return self._difference(moved, float(self._trace.logits[image, k]), analytic)

    def _difference(self, loss: Callable[[float], float], value: float, analytic: float) -> Difference:
        best = Difference(None, STEPS[-1] * max(1.0, abs(value)), False)
        for factor in STEPS:
            step = factor * max(1.0, abs(value))
            above, smooth = loss(step), self._decides_as_before()
            below, smooth = loss(-step), smooth and self._decides_as_before()
            if not smooth:
                continue
            numeric = (above - below) / ((value + step) - (value - step))
            floor = self._noise / step / TOLERANCE
            error = abs(numeric - analytic) / max(abs(numeric), abs(analytic), floor)
            if error <= TOLERANCE:
                return Difference(numeric, step, True)
            if best.value is None or abs(numeric - analytic) < abs(best.value - analytic):
                best = Difference(numeric, step, False)
        return best

    def _loss(self, moved: tuple[str, int, float] | None, which: str = "input") -> float:
        """Run forward as in the step, with one number of a layer's input or output moved."""
        network = self._network
        statistics = [statistic.value.copy() for statistic in network.statistics]
        network.load(self._trace.images, self._indices, self._as_they_are)
        network.forward(training=True, step=self._trace.step)
        if moved is not None:
            network.loss(self._trace.labels)  # the way back, which nobody looks at, begins with its gradient
            network.watch_step(_mover(*moved, which))
        for statistic, value in zip(network.statistics, statistics, strict=True):
            statistic.value[...] = value
        return network.loss(self._trace.labels)

    def _decides_as_before(self) -> bool:
        made = (decisions for _, decisions in self._network.decisions())
        return all(np.array_equal(before, now) for before, now in zip(self._decisions, made, strict=True))


def _mover(path: str, at: int, step: float, which: str) -> Callable[[str, str, NDArray[Any]], None]:
    """Return what moves a number as a layer takes it, and puts it back afterwards: others may read it too.

    Where the layer passes its input on, that is as soon as a later layer has made an output of its own.
    """
    kept: list[tuple[NDArray[Any], float]] = []
    done = False  # the layer itself has run

    def seen(layer: str, name: str, array: NDArray[Any]) -> None:
        nonlocal done
        if layer == path and name == which:
            kept.append((array, float(array[at])))
            array[at] += step
        if name != "output" or which == "output":
            return
        done = done or layer == path
        if done and kept and not np.shares_memory(kept[0][0], array):
            taken, value = kept.pop()
            taken[at] = value

    return seen


def _in_lanes(place: tuple[int, ...], shape: Shape) -> int:
    """Return where an element (image, channel, row, column) lies in the layout (block, row, column, channel, lane)."""
    n, c, i, j = place
    block, lane = divmod(n, LANES)
    return (((block * shape.rows + i) * shape.columns + j) * shape.channels + c) * LANES + lane
