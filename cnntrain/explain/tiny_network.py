"""A whole network of a few numbers: image, convolution, ReLU, max-pooling, dense layer, softmax and cross-entropy.

Forward and backward are calls of `cnntrain.functional`; two functions compare every number with its formula.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnntrain import functional
from cnntrain.explain.agreement import agreed
from cnntrain.explain.differences import STEPS
from cnntrain.explain.document import Place
from cnntrain.explain.letters import letter

Array = NDArray[np.float64]
WINDOW = 2


class Parameters(NamedTuple):
    """What the loss depends on."""

    x: Array  # (rows, columns)
    w: Array  # (rows, columns)
    b: Array  # (1,)
    v: Array  # (classes, inputs), of the dense layer
    c: Array  # (classes,)


@dataclass(frozen=True)
class Forward:
    """Every result on the way to the loss, and the first gradient on the way back."""

    z: Array
    a: Array
    p: Array  # pooled
    mask: NDArray[np.int64]
    y: Array  # logits
    loss: float
    grad_y: Array


class Backward(NamedTuple):
    """The gradients of the loss, by the names of what they belong to."""

    p: Array
    v: Array
    c: Array
    a: Array
    z: Array
    x: Array
    w: Array
    b: float


def forward(parameters: Parameters, label: int) -> Forward:
    """Run the kernels forward."""
    x, w, b, v, c = parameters
    z = functional.conv2d(x, w, b[0], convolution="direct")
    a = functional.relu(z)
    p, mask = functional.max_pool2d(a, WINDOW, stride=1)
    y = functional.dense(p.ravel(), v, c)
    loss, grad_y = functional.cross_entropy(y, label)
    return Forward(z, a, p, mask, y, loss, grad_y)


def backward(parameters: Parameters, done: Forward) -> Backward:
    """Run the kernels backward."""
    grad_p, grad_v, grad_c = functional.dense_backward(done.grad_y, done.p.ravel(), parameters.v)
    pooled = grad_p.reshape(done.p.shape)
    grad_a = functional.max_pool2d_backward(pooled, done.mask, done.a.shape, WINDOW, stride=1)
    grad_z = functional.relu_backward(grad_a, done.a)
    grad_x, grad_w, grad_b = functional.conv2d_backward(grad_z, parameters.x, parameters.w, convolution="direct")
    return Backward(pooled, grad_v, grad_c, grad_a, grad_z, grad_x, grad_w, float(grad_b))


def windows(a: Array, output: Place) -> list[Place]:
    """Return the places under a pooling window."""
    return [(output[0] + r, output[1] + s) for r in range(WINDOW) for s in range(WINDOW)]


def winner(done: Forward, output: Place) -> Place:
    """Return the first place with the largest number under a window."""
    return max(windows(done.a, output), key=lambda place: (done.a[place], -place[0], -place[1]))


def at_a_corner(parameters: Parameters, done: Forward) -> bool:
    """Tell whether the loss has no derivative: a ReLU at 0, or two numbers above 0 that tie in a window.

    Or so nearly that the smallest difference moves one over the other.
    """
    near = 4 * STEPS[-1] * max(1.0, float(np.abs(parameters.x).max()))
    gaps = []
    for output in places(done.p):
        second, first = sorted(float(done.a[place]) for place in windows(done.a, output))[-2:]
        gaps.append(first - second if first > 0 else 1.0)
    return min(gaps) <= near or float(np.abs(done.z).min()) <= near


def check_backward(parameters: Parameters, done: Forward, back: Backward) -> None:
    """Compare every gradient with its formula, by plain loops; raises `MismatchError`."""
    x, w, _, v, _ = parameters
    inputs = done.p.ravel()
    for j, value in enumerate(back.p.ravel()):
        agreed(f"∂L/∂p, number {j + 1}", value, [(v[i, j], done.grad_y[i]) for i in range(len(v))])
    for i, j in places(v):
        agreed(letter("∂L/∂v", (i, j)), back.v[i, j], [(done.grad_y[i], inputs[j])])
        agreed(f"∂L/∂c, number {i + 1}", back.c[i], [(done.grad_y[i],)])
    won = {output: winner(done, output) for output in places(done.p)}
    for place in places(done.a):
        agreed(letter("∂L/∂a", place), back.a[place], [(back.p[o],) for o, winner_ in won.items() if winner_ == place])
        agreed(letter("∂L/∂z", place), back.z[place], [(back.a[place], 1 if done.a[place] > 0 else 0)])
    for place in places(x):
        reached = [(w[tap], back.z[output]) for output, tap in _meetings(done.z, w, place)]
        agreed(letter("∂L/∂x", place), back.x[place], reached)
    for r, s in places(w):
        patch = [(back.z[i, j], x[i + r, j + s]) for i, j in places(done.z)]
        agreed(letter("∂L/∂w", (r, s)), back.w[r, s], patch)
    agreed("∂L/∂b", back.b, [(value,) for value in back.z.ravel()])


def _meetings(z: Array, w: Array, pixel: Place) -> list[tuple[Place, Place]]:
    """Return (output, tap) of all outputs that read a pixel."""
    return [
        ((i, j), (pixel[0] - i, pixel[1] - j))
        for i, j in places(z)
        if 0 <= pixel[0] - i < w.shape[0] and 0 <= pixel[1] - j < w.shape[1]
    ]


def check_forward(parameters: Parameters, done: Forward, label: int) -> None:
    """Compare every number of the forward pass, and the loss's gradient, with their formulas."""
    x, w, b, v, c = parameters
    for i, j in places(done.z):
        terms = [(w[r, s], x[i + r, j + s]) for r, s in places(w)]
        agreed(letter("z", (i, j)), done.z[i, j], terms, float(b[0]))
        agreed(letter("a", (i, j)), done.a[i, j], [(max(float(done.z[i, j]), 0.0),)])
    for output in places(done.p):
        best = winner(done, output)
        agreed(letter("p", output), done.p[output], [(done.a[best],)])
        agreed(letter("mask", output), done.mask[output], [(best[0] * done.a.shape[1] + best[1],)])
    for i, weights in enumerate(v):
        agreed(f"y, number {i + 1}", done.y[i], list(zip(weights, done.p.ravel(), strict=True)), float(c[i]))
    for i, share in enumerate(softmax(done.y)):
        agreed(f"∂L/∂y, number {i + 1}", done.grad_y[i], [(share,)], -1.0 if i == label else 0.0)
    largest = float(done.y.max())
    total = math.log(sum(math.exp(float(value) - largest) for value in done.y))
    agreed("L", done.loss, [(total,), (largest,), (-float(done.y[label]),)])


def places(array: NDArray[Any]) -> list[Place]:
    """Return all places of a matrix, rows first."""
    return [(i, j) for i in range(array.shape[0]) for j in range(array.shape[1])]


def softmax(y: Array) -> list[float]:
    """Return exp(y) / Σ exp(y), by plain arithmetic."""
    powers = [math.exp(float(value) - float(y.max())) for value in y]
    return [power / sum(powers) for power in powers]
