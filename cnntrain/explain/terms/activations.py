"""The element-wise layers: y = f(z), and dL/dz = δ f'(z). Functions as in the layers' files, by Python's own `math`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cnntrain.explain.account import Derivation, Formulas, Line, Place, Term
from cnntrain.layers.elu import SELU_ALPHA, SELU_SCALE

_LINEAR, _CUBIC = math.sqrt(2 / math.pi), 0.044715


class Function(NamedTuple):
    """An activation with its derivative, in letters and in numbers.

    `top` is the largest size of the derivative: what is "saturated" or "dead" is judged by it.
    """

    formula: str
    f: Callable[[float], float]
    slope_formula: str
    slope: Callable[[float], float]
    top: float = 1.0


def _logistic(z: float) -> float:
    if z < 0:
        small = math.exp(z)
        return small / (1 + small)
    return 1 / (1 + math.exp(-z))


def _normal(z: float) -> float:
    return math.erfc(-z / math.sqrt(2)) / 2


def _rectifier(above: float, slope: float, letters: str, slope_letters: str) -> Function:
    return Function(
        letters, lambda z: above * z if z > 0 else slope * z,
        slope_letters, lambda z: above if z > 0 else slope, max(1.0, slope),
    )  # fmt: skip


def _exponential(scale: float, alpha: float, letters: str, slope_letters: str) -> Function:
    return Function(
        letters, lambda z: scale * z if z > 0 else alpha * math.expm1(z),
        slope_letters, lambda z: scale if z > 0 else alpha * math.exp(z), max(scale, alpha),
    )  # fmt: skip


def _gelu_tanh() -> Function:
    def inner(z: float) -> float:
        return 2 * _LINEAR * z * (1 + _CUBIC * z * z)

    def slope(z: float) -> float:
        s = _logistic(inner(z))
        return s + z * s * (1 - s) * 2 * _LINEAR * (1 + 3 * _CUBIC * z * z)

    return Function(
        "z/2 (1 + tanh u), u = √(2/π) (z + 0.044715 z³)", lambda z: z * _logistic(inner(z)),
        "(1 + tanh u)/2 + z (1 - tanh² u)/2 u'", slope, 1.13,
    )  # fmt: skip


def _softplus(beta: float) -> Function:
    return Function(
        f"log(1 + exp({beta:g} z)) / {beta:g}",
        lambda z: max(z, 0.0) + math.log1p(math.exp(-beta * abs(z))) / beta,
        f"1 / (1 + exp(-{beta:g} z))", lambda z: _logistic(beta * z),
    )  # fmt: skip


# By the layer's name: from its settings to the function.
FUNCTIONS: Mapping[str, Callable[[Any], Function]] = {
    "relu": lambda _: _rectifier(1.0, 0.0, "max(z, 0)", "1 where z > 0, else 0"),
    "leaky_relu": lambda s: _rectifier(
        1.0, s.slope, f"z where z > 0, else {s.slope:g} z", f"1 where z > 0, else {s.slope:g}"
    ),
    "sigmoid": lambda _: Function(
        "1 / (1 + exp(-z))", _logistic, "σ(z) (1 - σ(z))", lambda z: _logistic(z) * _logistic(-z), 0.25
    ),
    "tanh": lambda _: Function("tanh z", math.tanh, "1 - tanh² z", lambda z: 4 * _logistic(2 * z) * _logistic(-2 * z)),
    "elu": lambda s: _exponential(
        1.0, s.alpha, f"z where z > 0, else {s.alpha:g} (exp z - 1)", f"1 where z > 0, else {s.alpha:g} exp z"
    ),
    "selu": lambda _: _exponential(
        SELU_SCALE, SELU_SCALE * SELU_ALPHA,
        "1.0507 z where z > 0, else 1.7581 (exp z - 1)", "1.0507 where z > 0, else 1.7581 exp z",
    ),
    "gelu": lambda s: _gelu_tanh() if s.approximate == "tanh" else Function(
        "z P(z), P the normal distribution", lambda z: z * _normal(z), "P(z) + z p(z), p the normal density",
        lambda z: _normal(z) + z * math.exp(-z * z / 2) / math.sqrt(2 * math.pi), 1.13,
    ),
    "silu": lambda _: Function(
        "z σ(z) = z / (1 + exp(-z))", lambda z: z * _logistic(z),
        "σ(z) (1 + z (1 - σ(z)))", lambda z: _logistic(z) * (1 + z * _logistic(-z)), 1.1,
    ),
    "softplus": lambda s: _softplus(s.beta),
}  # fmt: skip


class ActivationFormulas(Formulas):
    """Every element by itself."""

    def value(self, place: Place) -> Derivation:
        function, z = self._function(place), float(self.x[place])
        given = Line(self.named("z", place), "the layer's input", given=z)
        line = self.line_of_value(place, function.formula, given=_finite(function.f, z))
        return Derivation("the function of one number", (given, line))

    def delta(self, place: Place) -> Derivation:
        function, z = self._function(place), float(self.x[place])
        given = Line(self.named("z", place), "the layer's input", given=z)
        slope = Line("f'(z)", function.slope_formula, given=_finite(function.slope, z))
        terms = [Term(f"{self.named('δ', place)} f'(z)", (float(self.delta_y[place]), slope.value))]
        return Derivation("the delta times the derivative", (given, slope, self.line_of_delta(place, "δ f'(z)", terms)))

    def _function(self, place: Place) -> Function:
        return FUNCTIONS[self.traced.row.name](self.settings)


class PreluFormulas(ActivationFormulas):
    """A rectifier with a learned slope for each channel, or one for all."""

    def _function(self, place: Place) -> Function:
        slope = self._slope(place[1])
        return _rectifier(1.0, slope, "z where z > 0, else slope z", "1 where z > 0, else slope")

    def _slope(self, channel: int) -> float:
        slopes = self.traced.parameters["slope"].value
        return float(slopes[channel if slopes.size > 1 else 0])

    def gradient(self, tensor: str, index: tuple[int, ...]) -> Derivation:
        shape, shared = self.traced.row.input_shape, self.settings.shared
        channels = range(shape.channels) if shared else [index[0]]
        terms = []
        for n in range(self.images):
            for c in channels:
                for i in range(shape.rows):
                    for j in range(shape.columns):
                        place = (n, c, i, j)
                        if not self.x[place] > 0:
                            label = f"{self.named('δ', place)} {self.named('z', place)}"
                            terms.append(Term(label, (float(self.delta_y[place]), float(self.x[place]))))
        line = self.line_of_gradient(tensor, index, "Σ δ z where z ≤ 0", terms)
        return Derivation("delta times input, where the slope is used", (line,))


def _finite(f: Callable[[float], float], z: float) -> float:
    """Return f(z); NaN for NaN, and where Python's function has no number."""
    try:
        return f(z)
    except (OverflowError, ValueError):
        return math.nan
