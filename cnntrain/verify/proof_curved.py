"""Taylor's test of layers and losses that are not linear, in float64.

For a function f with the gradient g, f(x + h d) - f(x) - h <g, d> falls as h**2: the slope of its logarithm over that
of h is 2. With a wrong gradient it falls as h, slope 1. Where f is straight, as a rectifier is away from its corner,
nothing but rounding is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnntrain.layers import LayerRow
from cnntrain.losses import Loss
from cnntrain.settings import Choice
from cnntrain.shape import LANES, Shape
from cnntrain.verify.proof import PassProof
from cnntrain.verify.workbench import Workbench, enter, leave

STEPS = [2.0**-k for k in range(8, 21, 2)]
LOWEST = 1.9  # a slope from which the remainder falls as the square; a third power, 3, is as right
AWAY = 0.1  # of all corners at zero
DIRECTIONS = 8  # tried where the remainder happens to vanish, or a corner lies in between
NOISE = 16.0  # rounding errors of a sum, in units of its last places
TRIALS = 2  # a full batch and one with an incomplete block

Array = NDArray[np.float64]


class Slope(NamedTuple):
    """How a remainder falls: `slope` is None where nothing but rounding is left; `decided` False next to corners."""

    slope: float | None
    decided: bool = True

    @property
    def right(self) -> bool:
        """The gradient is right."""
        return self.decided and (self.slope is None or self.slope >= LOWEST)


def slope_of(difference: Callable[[float], tuple[float, float] | None], linear: float) -> Slope:
    """Return how the remainder of Taylor's theorem falls.

    Parameters
    ----------
    difference : callable
        Of a step h: f(x + h d) - f(x), and what rounding may do to it; None if a corner lies in between.
    linear : float
        <gradient, d>.
    """
    remainders = []
    for h in STEPS:
        found = difference(h)
        if found is not None:
            remainders.append((h, abs(found[0] - h * linear), found[1]))
    if len(remainders) < 2:
        return Slope(None, decided=False)
    if not all(math.isfinite(rest) for _, rest, _ in remainders):
        return Slope(math.nan)
    if all(rest <= noise for _, rest, noise in remainders):
        return Slope(None)
    seen = [(h, rest) for h, rest, noise in remainders if rest > 30 * noise]
    if len(seen) < 2:
        return Slope(None, decided=False)
    (h, rest), (half, less) = seen[-2:]
    return Slope(math.log(rest / less) / math.log(h / half))


def _best(attempt: Callable[[], Slope]) -> Slope:
    """Try further directions where one says nothing or too little: with a wrong gradient none gives 2."""
    found = Slope(None, decided=False)
    for _ in range(DIRECTIONS):
        found = attempt()
        if found.right:
            break
    return found


def _proof(path: str, name: str, algorithm: str, slopes: list[Slope], fault: str) -> PassProof:
    wrong = [found for found in slopes if found.decided and not found.right]
    if fault or wrong:
        why = fault or f"slope {wrong[0].slope:.2f}, not 2: the gradient is not that of the function"
        return PassProof(path, name, algorithm, "float64", len(slopes), "WRONG", None, why)
    if not all(found.decided for found in slopes):
        why = "corners everywhere: no direction without one was found"
        return PassProof(path, name, algorithm, "float64", len(slopes), "not tried", None, why)
    curved = [found.slope for found in slopes if found.slope is not None]
    if not curved:
        return PassProof(path, name, algorithm, "float64", len(slopes), "straight", None, "no remainder")
    return PassProof(path, name, algorithm, "float64", len(slopes), "smooth", None, f"slope {min(curved):.2f}")


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
    slopes: dict[str, list[Slope]] = {name: [] for name in names}
    faults = dict.fromkeys(names, "")
    for images, before in batches[:TRIALS]:
        _move(bench, generator)
        x = _away(generator.standard_normal((images, *row.input_shape)))
        bench.disturb(generator, before)
        y = bench.forward(x)
        weights = 0.5 + generator.standard_normal(y.shape)
        gradients = {"to input": bench.backward(weights)}
        faults["to input"] = faults["to input"] or bench.stray
        gradients |= {name: bench.gradient(name) for name in names[1:]}
        point = _Point(bench, x, y, weights)
        for name in names:
            slopes[name].append(_best(partial(point.slope, name, gradients[name], generator)))
    algorithm = "element by element" if not bench.parameters and _each_alone(row) else row.name
    return [_proof(row.path, name, algorithm, slopes[name], faults[name]) for name in names]


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
            if _other_piece(bench.decisions(), self._decisions):
                return None
            terms = self._weights * (y - self._y)
            size = self._weights * self._y
            return math.fsum(terms.ravel()), NOISE * _EPS * float(np.sqrt(np.square(size).sum()))

        try:
            return slope_of(difference, math.fsum((gradient * direction).ravel()))
        finally:
            if value is not None:
                bench.set(name, value)


_EPS = float(np.finfo(np.float64).eps)


def _move(bench: Workbench, generator: np.random.Generator) -> None:
    """Move parameters away from initial values, of which zeros and ones hide mistakes."""
    for parameter in bench.parameters.values():
        parameter.value += 0.2 * generator.standard_normal(parameter.value.shape)


def _away(x: Array) -> Array:
    return x + np.copysign(AWAY, x)


def _each_alone(row: LayerRow) -> bool:
    from cnntrain.layers.activations import Activation

    return issubclass(row.layer, Activation)


def prove_loss(loss: Choice, shape: Shape, batches: list[tuple[int, int]], seed: int) -> PassProof:
    """Test the gradient of a loss, and that it is zero where no image is.

    Parameters
    ----------
    loss : Choice
    shape : Shape
        Of the network's output.
    batches : list of (int, int)
        As for `prove_curved`.
    seed : int
        Of all numbers.
    """
    classes, generator = shape.size, np.random.default_rng([seed, 1])
    blocks = -(-max(map(max, batches)) // LANES)
    layer: Loss = loss.registered(loss.settings, classes, blocks, np.dtype(np.float64))
    lanes = np.zeros(blocks * classes * LANES)

    slopes, fault = [], ""
    for images, before in batches[:TRIALS]:
        _loss_of(layer, lanes, 3 * generator.standard_normal((before, classes)), generator.integers(0, classes, before))
        layer.gradient.fill(np.nan)
        slopes.append(_best(partial(_loss_slope, layer, lanes, images, generator)))
        used = layer.gradient[: layer.blocks * classes * LANES].reshape(-1, classes, LANES)
        if used.transpose(0, 2, 1).reshape(-1, classes)[images:].any():
            fault = "a gradient where the last block has no image"
    return _proof("loss", loss.name, "mean over the batch", slopes, fault)


def _loss_of(layer: Loss, lanes: Array, z: Array, labels: NDArray[np.int64]) -> float:
    enter(z[:, :, None, None], lanes, fill=0.0)
    return layer(lanes, labels)


def _loss_slope(layer: Loss, lanes: Array, images: int, generator: np.random.Generator) -> Slope:
    classes = layer.classes
    z, labels = 2 * generator.standard_normal((images, classes)), generator.integers(0, classes, images)
    value = _loss_of(layer, lanes, z, labels)
    gradient = leave(layer.gradient, images, Shape(classes, 1, 1))[:, :, 0, 0]
    made = layer.decisions()
    made = None if made is None else made.copy()
    direction = 0.5 + generator.standard_normal(z.shape)

    def difference(h: float) -> tuple[float, float] | None:
        moved = _loss_of(layer, lanes, z + h * direction, labels)
        return None if _other_piece(layer.decisions(), made) else (moved - value, NOISE * _EPS * max(1.0, abs(value)))

    return slope_of(difference, math.fsum((gradient * direction).ravel()))


def _other_piece(made: NDArray[Any] | None, before: NDArray[Any] | None) -> bool:
    """Tell whether decisions differ from those at the point itself."""
    return made is not None and before is not None and not np.array_equal(made, before)
