"""The delta rule of the textbooks, in true convolutions: δ = δ ∗ ROT180(w) · σ'(z)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cnntrain import functional
from cnntrain.explain.agreement import agreed
from cnntrain.explain.differences import witnessed
from cnntrain.explain.document import Beside, Block, Cell, Formula, Heading, Sum, Table, Text, matrix
from cnntrain.explain.exercise import Exercise, Values, floats
from cnntrain.explain.figures import Names, backward_slide, forward_slide
from cnntrain.explain.letters import letter
from cnntrain.explain.setting import Defaults, Given, one_channel

TITLE = "True convolution: δ = δ ∗ ROT180(w) · σ'(z)"
DEFAULTS = Defaults(image=("0 1 -1; 2 0 1; -2 1 0",), delta=("1 -1; 2 1/2",), mode="convolution")
NAMES = Names("a", "z'", "C", "δ'")


@dataclass(frozen=True)
class _Layer:
    """z, a = σ(z), and the convolution over a."""

    z: NDArray[np.float64]
    a: Values
    over: Exercise

    def cost(self, z: NDArray[np.float64], w: NDArray[np.float64]) -> float:
        """Return C = Σ δ · z', whose derivative by z' is δ."""
        following = functional.conv2d(
            functional.sigmoid(z), w, float(self.over.biases[0]), convolution="direct", **self.over.settings
        )
        return float((floats(self.over.deltas[0][0]) * following).sum())


def lesson(given: Given) -> list[Block]:
    """Return the lesson's blocks."""
    layer = _layer(one_channel(given, DEFAULTS))
    over, gradient = layer.over, layer.over.grad_input()
    return [
        Text(
            "Textbooks write a network in true convolutions: ∗ rotates its second argument by 180°, and slides it. A "
            "layer holds z; the next one is z' = w ∗ σ(z) + b, with the sigmoid σ. C is the cost, and δ' = ∂C/∂z' "
            "comes back."
        ),
        Formula((
            "z' = w ∗ σ(z) + b",
            "δ = ∂C/∂z = δ' ∗ ROT180(w) ⊙ σ'(z)         (full)",
            "∂C/∂w = δ' ∗ σ(ROT180(z))                 (valid)",
            "σ(z) = 1 / (1 + exp(−z)),   σ'(z) = σ(z) · (1 − σ(z))",
        )),
        Text(
            "The chain rule, element by element: z'[i,j] = b + Σ w[a,b] · σ(z)[i−a,j−b]. The number z[m,n] enters "
            "z'[i,j] with w[i−m,j−n] · σ'(z[m,n]); as i grows so does the index of w, so w slides over δ' as it is. "
            "Said as a true convolution, which rotates what slides, that is a convolution with ROT180(w)."
        ),
        Heading("Forward"),
        Beside((
            matrix("z", layer.z, role="image"), "→", matrix("a = σ(z)", layer.a, role="image"),
        )),
        forward_slide(over, NAMES),
        Heading("Back: δ' ∗ ROT180(w)"),
        Text("A true convolution rotates ROT180(w) once more, so what slides over the padded δ' is w itself:"),
        backward_slide(over, NAMES),
        *_times_slope(layer, gradient),
        *_weights(layer),
        *_witness(layer, gradient),
    ]  # fmt: skip


def _layer(exercise: Exercise) -> _Layer:
    z = floats(exercise.images[0][0])
    a = functional.sigmoid(z)
    activated = [
        [agreed(letter("σ(z)", (i, j)), a[i, j], [(1 / (1 + math.exp(-float(z[i, j]))),)]) for j in range(z.shape[1])]
        for i in range(z.shape[0])
    ]
    over = Exercise([[activated]], exercise.filters, exercise.deltas, exercise.biases, exercise.law, exercise.settings)
    return _Layer(z, activated, over)


def _delta(layer: _Layer, gradient: Values) -> Values:
    """Return δ: what came back, times the slope of the sigmoid."""
    delta = functional.sigmoid_backward(gradient, layer.a)
    return [
        [
            agreed(letter("δ", (m, n)), delta[m, n], [(gradient[m][n], layer.a[m][n], 1 - layer.a[m][n])])
            for n in range(layer.z.shape[1])
        ]
        for m in range(layer.z.shape[0])
    ]


def _times_slope(layer: _Layer, gradient: Values) -> list[Block]:
    delta = _delta(layer, gradient)
    slope = [[a * (1 - a) for a in row] for row in layer.a]
    middle = (layer.z.shape[0] // 2, layer.z.shape[1] // 2)
    g, a = gradient[middle[0]][middle[1]], layer.a[middle[0]][middle[1]]
    return [
        Heading("⊙ σ'(z)"),
        Text("Each of these numbers times the slope of the sigmoid there:"),
        Beside((
            matrix("δ' ∗ ROT180(w)", gradient, role="gradient"), "⊙", matrix("σ'(z)", slope), "=",
            matrix("δ", delta, role="delta"),
        )),
        Sum(letter("δ", middle), ((g, a, 1 - a),), delta[middle[0]][middle[1]]),
    ]  # fmt: skip


def _weights(layer: _Layer) -> list[Block]:
    """Show ∂C/∂w, and that it is the valid true convolution of δ' with σ(ROT180(z))."""
    over, gradient = layer.over, layer.over.grad_weight()
    blocks: list[Block] = [Heading("∂C/∂w = δ' ∗ σ(ROT180(z))")]
    plain = all(
        axis.stride == axis.dilation == 1 and axis.padded == axis.size for axis in (over.law.rows, over.law.columns)
    )
    if plain and over.law.rotated:
        turned = functional.sigmoid(layer.z[::-1, ::-1])
        again = functional.conv2d(turned, floats(over.deltas[0][0]), mode="convolution", convolution="direct")
        for place in over.law.taps():
            agreed(letter("δ' ∗ σ(ROT180(z))", place), again[place], over.weight_terms(place))
        blocks += [
            Beside((
                matrix("σ(ROT180(z))", turned, role="image"), "∗",
                matrix("ROT180(δ')", floats(over.deltas[0][0])[::-1, ::-1], role="delta"), "=",
                matrix("∂C/∂w", gradient, role="gradient"),
            )),
        ]  # fmt: skip
    else:
        blocks += [matrix("∂C/∂w", gradient, role="gradient")]
    return [*blocks, Sum(letter("∂C/∂w", (0, 0)), tuple(over.weight_terms((0, 0))), gradient[0][0])]


def _witness(layer: _Layer, gradient: Values) -> list[Block]:
    """Return central differences of C beside the formulas."""
    w = floats(layer.over.filters[0][0])
    rows: list[tuple[Cell, ...]] = []
    for name, formula, cost, at in (
        ("δ", _delta(layer, gradient), lambda z: layer.cost(z, w), layer.z),
        ("∂C/∂w", layer.over.grad_weight(), lambda v: layer.cost(layer.z, v), w),
    ):
        for i, j in np.ndindex(at.shape):
            named = letter(name, (i, j))
            rows.append((named, formula[i][j], witnessed(named, formula[i][j], cost, at, (i, j))))
    return [
        Heading("Is it the derivative?"),
        Text(
            "Move one number by h = 0.0001 (or less) up and down, run the kernels forward, and divide the difference "
            "of C by 2 h:"
        ),
        Table(("", "formula", "difference"), tuple(rows)),
    ]
