"""One layer on its own, on NCHW arrays, with hostile values wherever no image is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnntrain.functional.arrays import enter, leave
from cnntrain.layers import LAYERS, Batch, Layer, LayerContext
from cnntrain.layers.gradients import GradientBuffers
from cnntrain.layers.plan import plan_layer
from cnntrain.machine import this_machine
from cnntrain.settings import Choice
from cnntrain.shape import LANES, Shape
from tests.functional.arrays import Array
from tests.naive import numeric_gradient

GARBAGE = 1e3  # in lanes without an image: whatever it does to sums would be seen
CLOSE: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-8}  # for central differences, see tests/functional/test_gradients.py


@dataclass
class Single:
    """A layer with room for `images` images of a shape."""

    layer: Layer
    input_shape: Shape
    output_shape: Shape
    images: int
    grad_input_lanes: Array = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def build(
        cls, name: str, settings: Mapping[str, Any], x: Array, *, path: str = "0.layer", images: int = 0, seed: int = 1
    ) -> Single:
        """Make the layer for arrays like x, or for more images."""
        choice = Choice(name, LAYERS[name].Settings.model_validate(dict(settings)), LAYERS[name])
        return cls.of(choice, x, path=path, images=images, seed=seed)

    @classmethod
    def of(cls, choice: Choice, x: Array, *, path: str = "0.layer", images: int = 0, seed: int = 1) -> Single:
        """Make the layer that a config chose."""
        shape = Shape(*x.shape[1:])
        images = max(len(x), images)
        row = plan_layer(choice, shape, path)
        context = LayerContext(
            blocks=this_machine().capacity(images, x.dtype),
            dtype=x.dtype,
            generator=lambda *_: np.random.default_rng(5),
            needs_grad_input=True,
            seed=seed,
            gradients=GradientBuffers(x.dtype),
        )
        layer = row.layer(row, context.of(path, row.parameter_shapes))
        return cls(layer, shape, row.output_shape, images)

    def forward(self, x: Array, *, training: bool = True, step: int = 0) -> Array:
        """Run forward on at most `images` images."""
        self.batch = Batch(len(x), training, step)
        lanes = np.full(this_machine().capacity(self.images, x.dtype) * self.input_shape.size * LANES, GARBAGE, x.dtype)
        used = enter(x)
        if len(x) % LANES:
            used.reshape(-1, self.input_shape.size, LANES)[self.batch.blocks - 1, :, len(x) % LANES :] = GARBAGE
        lanes[: used.size] = used
        output = self.layer.forward(lanes, self.batch)
        return leave(output, (len(x), *self.output_shape))

    def backward(self, grad_output: Array) -> Array:
        """Run backward; the lanes without an image must have got zeros."""
        result = self.layer.backward(enter(grad_output), self.batch)
        assert result is not None
        blocks, rest = self.batch.blocks, len(grad_output) % LANES
        if rest:
            last = result.reshape(-1, self.input_shape.size, LANES)[blocks - 1]
            assert not last[:, rest:].any(), "gradients in lanes without an image"
        return leave(result, (len(grad_output), *self.input_shape))

    def value(self, tensor: str) -> Array:
        """The layer's own array, to be read or changed."""
        arrays = {p.name: p.value for p in self.layer.parameters} | {s.name: s.value for s in self.layer.statistics}
        return arrays[f"0.layer.{tensor}"]

    def gradient(self, tensor: str) -> Array:
        """A copy of a parameter's gradient."""
        return next(p.gradient.copy() for p in self.layer.parameters if p.name == f"0.layer.{tensor}")


def check_gradients(single: Single, x: Array, *, seed: int = 1, **how: Any) -> None:
    """Compare backward with central differences, for the input and all parameters, in float64."""
    grad_output = np.random.default_rng(seed).standard_normal(single.forward(x, **how).shape)
    grad_input = single.backward(grad_output)
    gradients = {p.name: p.gradient.copy() for p in single.layer.parameters}

    def loss(value: Array) -> float:
        return float((grad_output * single.forward(value, **how)).sum())

    np.testing.assert_allclose(grad_input, numeric_gradient(loss, x), **CLOSE)
    for parameter in single.layer.parameters:
        numeric = numeric_gradient(_of(parameter.value, lambda: loss(x)), parameter.value)
        np.testing.assert_allclose(gradients[parameter.name], numeric, err_msg=parameter.name, **CLOSE)


def _of(array: Array, function: Callable[[], float]) -> Callable[[Array], float]:
    """Make of a function that reads `array` one that is told what to find there."""

    def with_value(value: Array) -> float:
        kept = array.copy()
        array[...] = value
        result = function()
        array[...] = kept
        return result

    return with_value
