"""Mutants of a convolution's geometry: axes, phases, taps, and which weight is taken where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnntrain.passes.depthwise import Depthwise, DepthwiseWeights
from cnntrain.passes.problem import ConvolutionGeometry, Phase, Problem, Window
from cnntrain.passes.winograd import TransformedFilters
from cnntrain.passes.winograd_weights import WinogradWeights
from cnntrain.verify.mutant import How, Mutant, Patch, after, instead


def way_back(change: Callable[[Window, Phase], Phase]) -> How:
    """Change every phase of the full convolution."""

    def make(function: Any) -> Any:
        return lambda self: [change(self, phase) for phase in function(self)]

    return instead(Window, "backward", make)


def way_forward(**changes: int) -> How:
    """Change the axis of the forward pass, which the weights' gradient goes along too."""
    return after(Window, "forward", lambda self, axis: axis._replace(**changes))


def order_of(change: Callable[[Any], Any], *directions: str) -> How:
    """Change which weights a pass takes, (group, output, input, r, s); in all directions unless some are named."""

    def how(patch: Patch) -> None:
        right = Problem.__dict__["order"].func

        def order(self: Problem) -> Any:
            return change(right(self)) if not directions or self.direction in directions else right(self)

        patch.set(Problem, "order", property(order))

    return how


def without_last_tap(self: Window, phase: Phase) -> Phase:
    """Leave out the last tap of a phase."""
    axis, taps = phase
    return Phase(axis._replace(taps=len(taps) - 1), taps[:-1]) if len(taps) > 1 else phase


def rolled(attribute: str, change: Callable[[Any, Any], Any], kind: Any) -> How:
    """Change an array of an algorithm once it is made: `change(array, problem)`."""

    def spoil(self: Any, _: None, problem: Problem, *others: Any) -> None:
        setattr(self, attribute, change(getattr(self, attribute), problem))

    return after(kind, "__init__", spoil)


def next_channel(order: Any, problem: Problem) -> Any:
    """Take for each channel the filter of the next."""
    return np.roll(order.reshape(-1, problem.groups), 1, axis=1).ravel()


def transposed_taps(order: Any, problem: Problem) -> Any:
    """Exchange rows and columns of taps, (r, s, ...)."""
    rows, columns = problem.forward_axes
    return order.reshape(rows.taps, columns.taps, -1).swapaxes(0, 1).ravel()


MUTANTS = [
    Mutant("full convolution without rotation", "convolution", way_back(lambda _, p: Phase(p.axis, p.taps[::-1]))),
    Mutant("full convolution with a tap too few", "convolution", way_back(without_last_tap)),
    Mutant(
        "full convolution without padding",
        "convolution",
        way_back(lambda w, p: Phase(p.axis._replace(offset=p.axis.offset - w.before), p.taps)),
    ),
    Mutant(
        "phase of the stride off by one",
        "stride",
        way_back(lambda _, p: Phase(p.axis._replace(offset=p.axis.offset + 1), p.taps)),
    ),
    Mutant(
        "phases exchanged", "stride", way_back(lambda _, p: p._replace(axis=p.axis._replace(first=1 - p.axis.first)))
    ),
    Mutant(
        "dilation ignored on the way back",
        "dilation",
        way_back(lambda _, p: Phase(p.axis._replace(dilation=1), p.taps)),
    ),
    Mutant("dilation ignored forward", "dilation", way_forward(dilation=1)),
    Mutant("stride ignored forward", "stride", way_forward(stride=1)),
    Mutant("padding ignored forward", "convolution", way_forward(offset=0)),
    Mutant("a tap too few forward", "convolution", instead(Problem, "_phases", lambda right: _too_few(right))),
    Mutant(
        "mode: convolution ignored",
        "mode: convolution",
        consistent=True,
        how=instead(ConvolutionGeometry, "weight_indices", lambda right: lambda self: _never_rotated(self)),
    ),
    Mutant("all filters rotated", "convolution", order_of(lambda order: order[..., ::-1, ::-1]), consistent=True),
    Mutant("all filters transposed", "convolution", order_of(lambda order: order.swapaxes(3, 4)), consistent=True),
    Mutant("groups mixed on the way back", "groups", order_of(lambda order: np.roll(order, 1, axis=0), "to input")),
    Mutant("groups mixed everywhere", "groups", order_of(lambda order: np.roll(order, 1, axis=0)), consistent=True),
    Mutant("channels and filters not exchanged", "groups", order_of(lambda order: order.swapaxes(1, 2), "to input")),
    Mutant(
        "gradient of the weights transposed", "convolution", order_of(lambda order: order.swapaxes(3, 4), "to weights")
    ),
    Mutant(
        "gradient of the weights not rotated",
        "mode: convolution",
        order_of(lambda order: order[..., ::-1, ::-1], "to weights"),
    ),
    Mutant("filters of the next channel", "depthwise", rolled("_order", next_channel, Depthwise)),
    Mutant("gradient to the next channel", "depthwise", rolled("_order", next_channel, DepthwiseWeights)),
    Mutant(
        "transforms of transposed filters",
        "winograd",
        after(TransformedFilters, "__init__", lambda self, _, problem, *o: _transposed_transform(self)),
    ),
    Mutant("transform of the gradient transposed", "winograd", rolled("_canonical", transposed_taps, WinogradWeights)),
]


def _too_few(right: Any) -> Any:
    def phases(self: Problem, window: Window) -> list[Phase]:
        found = right(self, window)
        return [without_last_tap(window, phase) for phase in found] if self.direction == "forward" else found

    return phases


def _never_rotated(geometry: ConvolutionGeometry) -> Any:
    filters, channels, rows, columns = geometry.weight_shape
    indices = np.arange(filters * channels * rows * columns, dtype=np.intp)
    return indices.reshape(geometry.groups, filters // geometry.groups, channels, rows, columns)


def _transposed_transform(filters: Any) -> None:
    taps = len(filters._patch) + 1 - len(filters._side)
    filters.order = filters.order.reshape(taps, taps, -1).swapaxes(0, 1).ravel()
