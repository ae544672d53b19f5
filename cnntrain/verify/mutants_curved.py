"""Mutants of activations, normalisations and losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from cnntrain.layers.activations import LeakyRelu, Relu, Sigmoid, Tanh
from cnntrain.layers.batch_norm2d import BatchNorm2d
from cnntrain.layers.elu import Elu
from cnntrain.layers.local_response_norm import LocalResponseNorm
from cnntrain.layers.prelu import Prelu
from cnntrain.layers.silu import Silu
from cnntrain.layers.softplus import Softplus
from cnntrain.losses.cross_entropy import CrossEntropy
from cnntrain.losses.hinge import Hinge
from cnntrain.losses.mse import Mse
from cnntrain.passes.batch_norm import BatchNormalization
from cnntrain.shape import LANES
from cnntrain.verify.mutant import How, Mutant, after, before, instead, with_attribute


def derivative(kind: Any, change: Callable[[Any], Any]) -> How:
    """Give an activation another backward kernel, made of the right one."""

    def make(function: Any) -> Any:
        def kernels(self: Any) -> Any:
            forward, backward = function(self)
            return forward, change(backward)

        return kernels

    return instead(kind, "kernels", make)


def passed_on(right: Any) -> Any:
    """Forget the derivative."""

    def backward(grad_output: Any, y: Any, grad_input: Any, size: int, *numbers: float) -> None:
        grad_input[:size] = grad_output[:size]

    return backward


def times(factor: float) -> Callable[[Any], Any]:
    """Multiply the derivative."""

    def make(right: Any) -> Any:
        def backward(grad_output: Any, y: Any, grad_input: Any, size: int, *numbers: float) -> None:
            right(grad_output, y, grad_input, size, *numbers)
            grad_input[:size] *= factor

        return backward

    return make


def with_numbers(change: Callable[..., tuple[float, ...]]) -> Callable[[Any], Any]:
    """Call the backward kernel with other settings than the forward one."""
    return lambda right: lambda g, y, grad, size, *numbers: right(g, y, grad, size, *change(*numbers))


def of_sigmoid(right: Any) -> Any:
    """Take y (1 - y) in the place of 1 - y**2."""
    from cnntrain.kernels.activations import sigmoid_backward

    return sigmoid_backward


def norm_without(**numbers: float) -> How:
    """Replace terms of batch norm's dL/dx: `offset` is the mean's, `slope` the variance's."""

    def change(
        self: Any, g: Any, x: Any, grad: Any, mean: Any, factor: Any, offset: Any, slope: Any, images: int
    ) -> Any:
        terms = {"offset": offset, "slope": slope}
        offset, slope = (terms[name] * numbers.get(name, 1) for name in terms)
        return g, x, grad, mean, factor, offset, slope, images

    return before(BatchNormalization, "backward_input", change)


def full_lanes(self: Any, grad_output: Any, batch: Any) -> tuple[Any, ...]:
    """Count images in lanes that have none."""
    return grad_output, batch._replace(images=batch.blocks * LANES)


def scale_of_deviations(self: Any, result: Any, grad_output: Any, batch: Any) -> None:
    """Forget to divide dL/dscale by the deviation."""
    if self._scale is not None:
        self._scale.gradient *= self._deviation


def without_epsilon(self: Any, output: Any, *_: Any) -> None:
    """Let the way back know the variance without epsilon."""
    self._deviation = np.sqrt(np.square(self._deviation) - self._epsilon)


def without_beta() -> How:
    """Let softplus be that of beta = 1."""
    return instead(Softplus, "numbers", lambda right: lambda self: (1.0,))


def no_epsilon() -> How:
    """Divide by the deviation alone, forward and backward."""
    return after(BatchNorm2d, "__init__", lambda self, *_: setattr(self, "_epsilon", 0.0))


def first_block_alone(self: Any, grad_output: Any, batch: Any) -> tuple[Any, ...]:
    """Leave out all blocks but the first."""
    return grad_output, batch._replace(images=min(batch.images, LANES))


def no_ratios(right: Any) -> Any:
    """Local response norm's kernels without the second term on the way back."""
    from types import SimpleNamespace

    def none(grad_output: Any, y: Any, scale: Any, ratios: Any, size: int) -> None:
        ratios[:size] = 0

    return SimpleNamespace(local_response_ratios=none, local_response_backward=right.local_response_backward)


def wider(geometry: Any) -> Any:
    """Another neighbourhood than the forward pass saw."""
    return (*geometry[:-1], geometry[-1] + 1)


def summed(kind: Any) -> How:
    """The gradient of the sum over the images."""
    return scaled_gradient(kind, lambda self: self._images)


def scaled_gradient(kind: Any, factor: Callable[[Any], float]) -> How:
    """Multiply a loss's gradient."""

    def spoil(self: Any, _: None, outputs: Any, labels: Any, blocks: int) -> None:
        self.gradient *= factor(self)

    return after(kind, "compute", spoil)


def nobody(self: Any, _: None, outputs: Any, labels: Any, blocks: int) -> None:
    """Leave a gradient in the last lane."""
    self.gradient[blocks * self.classes * LANES - 1] = 1


TABLE = [
    Mutant("derivative of sigmoid for tanh", "activations", derivative(Tanh, of_sigmoid)),
    Mutant("derivative of sigmoid forgotten", "activations", derivative(Sigmoid, passed_on)),
    Mutant("derivative of tanh too large by 1e-4", "activations", derivative(Tanh, times(1 + 1e-4))),
    Mutant("derivative of tanh too large by 1e-5", "activations", derivative(Tanh, times(1 + 1e-5))),
    Mutant("derivative of relu forgotten", "rectifiers", derivative(Relu, passed_on)),
    Mutant("slope of leaky relu squared", "rectifiers", derivative(LeakyRelu, with_numbers(lambda slope: (slope**2,)))),
    Mutant(
        "derivative of silu from its output",
        "smooth rectifiers",
        after(Silu, "forward", lambda self, output, *_: setattr(self, "_kept", output)),
    ),
    Mutant("beta of softplus ignored", "smooth rectifiers", derivative(Softplus, with_numbers(lambda beta: (1.0,)))),
    Mutant(
        "alpha of elu ignored", "smooth rectifiers", derivative(Elu, with_numbers(lambda scale, alpha: (scale, 1.0)))
    ),
    Mutant("slope's gradient of one block", "prelu", before(Prelu, "backward", first_block_alone)),
    Mutant(
        "slope's gradient halved",
        "prelu",
        after(Prelu, "backward", lambda self, *_: np.copyto(self._slope.gradient, self._slope.gradient / 2)),
    ),
    Mutant("term of the mean forgotten", "batch norm", norm_without(offset=0)),
    Mutant("term of the variance forgotten", "batch norm", norm_without(slope=0)),
    Mutant("images counted where none are", "batch norm", before(BatchNorm2d, "backward", full_lanes)),
    Mutant("scale's gradient not divided", "batch norm", after(BatchNorm2d, "backward", scale_of_deviations)),
    Mutant("epsilon forgotten on the way back", "batch norm", after(BatchNorm2d, "forward", without_epsilon)),
    Mutant(
        "running mean on the way back",
        "batch norm",
        with_attribute(BatchNorm2d, "backward", "_mean", lambda mean: mean * 0),
    ),
    Mutant(
        "frozen as if measured",
        "frozen batch norm",
        with_attribute(BatchNorm2d, "backward", "_frozen", lambda _: False),
    ),
    Mutant(
        "neighbours forgotten", "local response", with_attribute(LocalResponseNorm, "backward", "_kernels", no_ratios)
    ),
    Mutant("other neighbours", "local response", with_attribute(LocalResponseNorm, "backward", "_geometry", wider)),
    Mutant("beta of softplus ignored everywhere", "smooth rectifiers", without_beta(), consistent=True),
    Mutant("epsilon of batch norm ignored", "batch norm", no_epsilon(), consistent=True),
    Mutant("1/N missing", "label smoothing", summed(CrossEntropy)),
    Mutant(
        "smoothing forgotten",
        "label smoothing",
        consistent=True,
        how=with_attribute(CrossEntropy, "compute", "_spread", lambda spread: spread * 0),
    ),
    Mutant(
        "N in the place of the weights' sum",
        "class weights",
        scaled_gradient(CrossEntropy, lambda self: self.weight / self._images),
    ),
    Mutant("a loss's gradient where no image is", "class weights", after(CrossEntropy, "compute", nobody)),
    Mutant("twice the gradient", "mse", scaled_gradient(Mse, lambda self: 2)),
    Mutant("1/N missing from mse", "mse", summed(Mse)),
    Mutant("sign of the margin", "hinge", scaled_gradient(Hinge, lambda self: -1)),
]


MUTANTS = [replace(mutant, linear=False) for mutant in TABLE]
