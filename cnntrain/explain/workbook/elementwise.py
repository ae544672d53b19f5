"""The sheets of the layers that work on each number alone: activations, `flatten`, `dropout`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cnntrain.explain.terms.merging import DropoutFormulas
from cnntrain.explain.workbook.arrays import Maps, maps
from cnntrain.explain.workbook.layer_sheet import LayerSheet
from cnntrain.explain.workbook.sheet import constant
from cnntrain.layers.elu import SELU_ALPHA, SELU_SCALE


class Curve(NamedTuple):
    """A function and its slope, as formulas of the cells of z and y; in letters too."""

    letters: str
    y: Callable[[str], str]
    slope: Callable[[str, str], str]


def _elu(scale: float, alpha: float) -> Curve:
    return Curve(
        f"{scale:.5g} z where z > 0, else {alpha:.5g} (exp z - 1)",
        lambda z: f"IF({z}>0,{constant(scale)}*{z},{constant(alpha)}*(EXP({z})-1))",
        lambda z, y: f"IF({z}>0,{constant(scale)},{y}+{constant(alpha)})",
    )


# NORMSDIST and the density of the normal distribution, for gelu
_DENSITY = constant(1 / math.sqrt(2 * math.pi))
_INNER = constant(2 * math.sqrt(2 / math.pi))

CURVES: Mapping[str, Callable[[Any], Curve]] = {
    "relu": lambda s: Curve("max(z, 0)", lambda z: f"MAX({z},0)", lambda z, y: f"IF({z}>0,1,0)"),
    "leaky_relu": lambda s: Curve(
        f"z where z > 0, else {s.slope:g} z",
        lambda z: f"IF({z}>0,{z},{constant(s.slope)}*{z})", lambda z, y: f"IF({z}>0,1,{constant(s.slope)})",
    ),
    "sigmoid": lambda s: Curve("1 / (1 + exp(-z))", lambda z: f"1/(1+EXP(-{z}))", lambda z, y: f"{y}*(1-{y})"),
    "tanh": lambda s: Curve("tanh z", lambda z: f"TANH({z})", lambda z, y: f"(1-{y}*{y})"),
    "elu": lambda s: _elu(1.0, s.alpha),
    "selu": lambda s: _elu(SELU_SCALE, SELU_SCALE * SELU_ALPHA),
    "silu": lambda s: Curve(
        "z / (1 + exp(-z))", lambda z: f"{z}/(1+EXP(-{z}))",
        lambda z, y: f"1/(1+EXP(-{z}))*(1+{z}*(1-1/(1+EXP(-{z}))))",
    ),
    "softplus": lambda s: Curve(
        f"log(1 + exp({s.beta:g} z)) / {s.beta:g}",
        lambda z: f"MAX({z},0)+LN(1+EXP(-{constant(s.beta)}*ABS({z})))/{constant(s.beta)}",
        lambda z, y: f"1/(1+EXP(-{constant(s.beta)}*{z}))",
    ),
    "gelu": lambda s: Curve(
        "z / (1 + exp(-2u)), u = √(2/π) (z + 0.044715 z³)",
        lambda z: f"{z}/(1+EXP(-{_INNER}*({z}+0.044715*{z}*{z}*{z})))",
        lambda z, y: f"(1/(1+EXP(-{_INNER}*({z}+0.044715*{z}*{z}*{z}))))"
        f"*(1+{z}*(1-1/(1+EXP(-{_INNER}*({z}+0.044715*{z}*{z}*{z}))))*{_INNER}*(1+0.134145*{z}*{z}))",
    ) if s.approximate == "tanh" else Curve(
        "z P(z), P the normal distribution", lambda z: f"{z}*NORMSDIST({z})",
        lambda z, y: f"NORMSDIST({z})+{z}*{_DENSITY}*EXP(-{z}*{z}/2)",
    ),
}  # fmt: skip


class ActivationSheet(LayerSheet):
    """Number by number."""

    words = "y = f(z);  dL/dz = δ f'(z)"

    def forward(self, x: Maps) -> Maps:
        self.curve, self.z = CURVES[self.traced.row.name](self.settings), x
        self.y = self.output(self.curve.letters, lambda c, i, j: self.curve.y(self.ref(x.at((c, i, j)))))
        return self.y

    def backward(self, delta: Maps) -> Maps:
        def dz(c: int, i: int, j: int) -> str:
            place = (c, i, j)
            slope = self.curve.slope(self.ref(self.z.at(place)), self.ref(self.y.at(place)))
            return f"{self.ref(delta.at(place))}*({slope})"

        return self.grad_input("δ f'(z)", dz)


class PassedOnSheet(LayerSheet):
    """The number itself."""

    words = "y = x;  dL/dx = δ"

    def forward(self, x: Maps) -> Maps:
        return self.output("x", lambda c, i, j: self.ref(x.at((c, i, j))))

    def backward(self, delta: Maps) -> Maps:
        return self.grad_input("δ", lambda c, i, j: self.ref(delta.at((c, i, j))))


class DropoutSheet(LayerSheet):
    """The mask is that of the step."""

    words = "y = x mask / (1 - rate);  dL/dx = δ mask / (1 - rate)"

    def forward(self, x: Maps) -> Maps:
        drawn, rate = DropoutFormulas(self.traced, self.step).mask[0], float(self.settings.rate)
        self.mask = maps(
            self.sheet, "mask / (1 - rate)", f"drawn for this step, with rate {rate:g}", self.inputs,
            lambda c, i, j: float(drawn[c, i, j]) / (1 - rate), "weight", is_input=True,
        )  # fmt: skip
        return self.output(
            "x mask / (1 - rate)", lambda c, i, j: f"{self.ref(x.at((c, i, j)))}*{self.ref(self.mask.at((c, i, j)))}"
        )

    def backward(self, delta: Maps) -> Maps:
        return self.grad_input(
            "δ mask / (1 - rate)",
            lambda c, i, j: f"{self.ref(delta.at((c, i, j)))}*{self.ref(self.mask.at((c, i, j)))}",
        )
