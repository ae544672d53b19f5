"""The layers of a traced step, one line each: what they give, what is dead, what comes back, how far they move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnntrain.explain.account import largest
from cnntrain.explain.terms.activations import FUNCTIONS, Function
from cnntrain.explain.trace import Array, LayerTrace, ParameterTrace, Trace
from cnntrain.layers import LAYERS

DEAD = 0.01  # of the largest slope that the function has


@dataclass(frozen=True)
class Learned:
    """A learned array in a step.

    Attributes
    ----------
    name : str
    shape : tuple of int
    value, gradient, update : float
        Root mean squares; those of a frozen array's gradient are not computed: None.
    """

    name: str
    shape: tuple[int, ...]
    value: float
    gradient: float | None
    update: float

    @property
    def ratio(self) -> float | None:
        """The update against the values; None where these are all zero."""
        return self.update / self.value if self.value else None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "name": self.name, "shape": list(self.shape), "value": self.value, "gradient": self.gradient,
            "update": self.update, "ratio": self.ratio,
        }  # fmt: skip


@dataclass(frozen=True)
class StripRow:
    """A layer in a step.

    Attributes
    ----------
    path : str
    output_shape : str
        "6x28x28".
    low, high : float
        Of the output, over the images.
    dead : float or None
        Share of the channels whose slope is below a hundredth of the function's largest in all images and at all
        pixels: ReLUs that are 0, sigmoids that are saturated. They pass nothing back. None for layers of other kinds.
    delta : float or None
        Root mean square of dL/d(output).
    learned : tuple of Learned
    """

    path: str
    output_shape: str
    low: float
    high: float
    dead: float | None
    delta: float | None
    learned: tuple[Learned, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "layer": self.path, "output_shape": self.output_shape, "range": [self.low, self.high], "dead": self.dead,
            "delta": self.delta, "learned": [learned.as_dict() for learned in self.learned],
        }  # fmt: skip


def strip_of(trace: Trace) -> list[StripRow]:
    """Return a row for each layer; those inside a layer come before it, in the order in which they run."""
    return [_row(layer) for top in trace.layers for layer in _inside_first(top)]


def _inside_first(layer: LayerTrace) -> Iterator[LayerTrace]:
    for _, layers in layer.inside:
        for inner in layers:
            yield from _inside_first(inner)
    yield layer


def _row(layer: LayerTrace) -> StripRow:
    return StripRow(
        path=layer.path,
        output_shape=str(layer.row.output_shape),
        low=float(layer.output.min()),
        high=float(layer.output.max()),
        dead=_dead(layer),
        delta=None if layer.grad_output is None else rms(layer.grad_output),
        learned=tuple(map(_learned, layer.parameters.values())),
    )


def _learned(traced: ParameterTrace) -> Learned:
    gradient = None if traced.parameter.frozen else rms(traced.gradient)
    return Learned(traced.name, traced.value.shape, rms(traced.value), gradient, rms(traced.updated - traced.value))


def _dead(layer: LayerTrace) -> float | None:
    """Return the share of channels without a slope to speak of."""
    row = layer.row
    if row.name not in FUNCTIONS or LAYERS.get(row.name) is not row.layer:
        return None
    function = FUNCTIONS[row.name](row.settings)
    channels = layer.input.swapaxes(0, 1).reshape(row.input_shape.channels, -1)
    dead = [not any(_passes(function, z) for z in channel.tolist()) for channel in channels]  # most end at once
    return sum(dead) / len(dead)


def _passes(function: Function, z: float) -> bool:
    """Tell whether a function has a slope to speak of."""
    try:
        return not abs(function.slope(z)) < DEAD * function.top  # a NaN is not dead
    except OverflowError:
        return False


def rms(array: Array) -> float:
    """Return the root mean square; scaled, so that no square overflows or vanishes."""
    top = largest(array)
    if not np.isfinite(array).all():
        return float("nan")
    return top * float(np.sqrt(np.mean(np.square(array / top)))) if top else 0.0
