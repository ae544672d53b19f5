"""Proof of layers that are not linear: their formula, and their gradients by Taylor's test."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cnntrain.layers import LayerRow
from cnntrain.verify.forward_forms import LAYER_FORMS
from cnntrain.verify.proof import PassProof
from cnntrain.verify.taylor import (
    EPS,
    NOISE,
    TRIALS,
    Slope,
    best_of,
    distance,
    other_piece,
    proof_of,
    proof_of_distance,
    slope_of,
)
from cnntrain.verify.workbench import Workbench

AWAY = 0.1  # of all corners at zero

Array = NDArray[np.float64]


def prove_curved(row: LayerRow, batches: list[tuple[int, int]], overwrites: bool, seed: int) -> list[PassProof]:
    """Test a layer's gradients by its input and by each of its parameters.

    Parameters
    ----------
    row : LayerRow
    batches : list of (int, int)
        Images in each trial, and in the batch before; the first `TRIALS` are used.
    overwrites : bool
        As for `Workbench`.
    seed : int
        Of all numbers.
    """
    dtype = np.dtype(np.float64)
    bench = Workbench(row, max(map(max, batches)), dtype, overwrites=overwrites)
    generator = np.random.default_rng([seed, *row.path.encode()])
    names = ["to input", *(name for name in bench.parameters if bench.learns(name))]
    forward = Compared(row)
    slopes: dict[str, list[Slope]] = {name: [] for name in names}
    faults = dict.fromkeys(names, "")
    for images, before in batches[:TRIALS]:
        _move(bench, generator)
        x = _away(generator.standard_normal((images, *row.input_shape)))
        bench.disturb(generator, before)
        y = bench.forward(x)
        forward.enter(x, y, bench)
        weights = 0.5 + generator.standard_normal(y.shape)
        gradients = {"to input": bench.backward(weights)}
        faults["to input"] = faults["to input"] or bench.stray
        gradients |= {name: bench.gradient(name) for name in names[1:]}
        point = _Point(bench, x, y, weights)
        for name in names:
            slopes[name].append(best_of(partial(point.slope, name, gradients[name], generator)))
    algorithm = "element by element" if not bench.parameters and _each_alone(row) else row.name
    return [
        *forward.proofs(row.path, algorithm),
        *(proof_of(row.path, name, algorithm, slopes[name], faults[name]) for name in names),
    ]


class Compared:
    """A layer's outputs beside those of the same formula in NumPy, where it is known."""

    def __init__(self, row: LayerRow) -> None:
        self._settings, self._form = row.settings, LAYER_FORMS.get(row.name)
        self._apart, self._trials = 0.0, 0

    def enter(self, x: Array, y: Array, bench: Workbench) -> None:
        """Compare a batch."""
        if self._form is None:
            return
        known = {name: parameter.canonical(parameter.value) for name, parameter in bench.parameters.items()}
        known |= {statistic.name.rpartition(".")[2]: statistic.value for statistic in bench.layer.statistics}
        right = self._form(x, self._settings, known)
        self._apart = max(self._apart, distance(y, right))
        self._trials += 1

    def proofs(self, path: str, algorithm: str) -> list[PassProof]:
        """Return what was found; nothing for a layer whose formula is not known here."""
        return [] if self._form is None else [proof_of_distance(path, "forward", algorithm, self._trials, self._apart)]


class _Point:
    """A layer at one input: sum of weights * output as a function of the way in a direction."""

    def __init__(self, bench: Workbench, x: Array, y: Array, weights: Array) -> None:
        self._bench, self._x, self._y, self._weights = bench, x, y, weights
        bench.forward(x)
        self._decisions = bench.decisions()

    def slope(self, name: str, gradient: Array, generator: np.random.Generator) -> Slope:
        bench = self._bench
        direction = 0.5 + generator.standard_normal(gradient.shape)
        value = None
        if name != "to input":
            parameter = bench.parameters[name]
            value = parameter.canonical(parameter.value)

        def difference(h: float) -> tuple[float, float] | None:
            if value is None:
                y = bench.forward(self._x + h * direction)
            else:
                bench.set(name, value + h * direction)
                y = bench.forward(self._x)
            if other_piece(bench.decisions(), self._decisions):
                return None
            terms = self._weights * (y - self._y)
            size = self._weights * self._y
            return math.fsum(terms.ravel()), NOISE * EPS * float(np.sqrt(np.square(size).sum()))

        try:
            return slope_of(difference, math.fsum((gradient * direction).ravel()))
        finally:
            if value is not None:
                bench.set(name, value)


def _move(bench: Workbench, generator: np.random.Generator) -> None:
    """Move parameters away from initial values, of which zeros and ones hide mistakes."""
    for parameter in bench.parameters.values():
        parameter.value += 0.2 * generator.standard_normal(parameter.value.shape)


def _away(x: Array) -> Array:
    return x + np.copysign(AWAY, x)


def _each_alone(row: LayerRow) -> bool:
    from cnntrain.layers.activations import Activation

    return issubclass(row.layer, Activation)
