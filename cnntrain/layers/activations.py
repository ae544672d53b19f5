"""`relu`, `leaky_relu`, `sigmoid`, `tanh`: the element-wise layers, one small class each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.layers.base import Layer, LayerRow
from cnntrain.layers.batch import Batch
from cnntrain.layers.context import LayerContext
from cnntrain.layers.settings import LayerSettings
from cnntrain.settings import PositiveFloat
from cnntrain.shape import LANES, Shape


class ActivationSettings(LayerSettings):
    """Activations keep the shape; most have no YAML keys."""

    def output_shape(self, input_shape: Shape) -> Shape:
        """Unchanged."""
        return input_shape


class LeakyReluSettings(ActivationSettings):
    """YAML keys of `leaky_relu`."""

    main = "slope"
    slope: PositiveFloat = Field(0.01, description="The slope for negative inputs.")


Kernel = Callable[..., None]


class Activation(Layer):
    """y = f(z), with a derivative that needs y alone, or z alone where `keeps_input` says so.

    Attributes
    ----------
    settings : LayerSettings
    """

    Settings: ClassVar[type[LayerSettings]] = ActivationSettings
    keeps_input: ClassVar[bool] = False

    settings: Any

    def __init__(self, row: LayerRow, context: LayerContext) -> None:
        self.settings = row.settings
        self._forward, self._backward = self.kernels()
        self._numbers = self.numbers()
        self._block = row.input_shape.size * LANES
        self._overwrites = context.overwrites and not self.keeps_input
        self.output_is_free = self.keeps_input
        self.output = np.empty(0, context.dtype) if self._overwrites else context.buffer(row.output_shape)
        self._kept = self.output
        self._grad_input = context.grad_input(row.input_shape)

    @abstractmethod
    def kernels(self) -> tuple[Kernel, Kernel]:
        """Return the kernels forward, (z, y, size, *numbers), and backward, (dL/dy, y or z, dL/dz, size, *numbers)."""

    def numbers(self) -> tuple[float, ...]:
        """Return what the kernels take after the arrays: the settings, in their order."""
        return tuple(getattr(self.settings, key) for key in type(self.settings).model_fields)

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Compute y = f(z)."""
        if self.keeps_input:
            self._kept = x
        elif self._overwrites:
            self._kept = self.output = x
        self._forward(x, self.output, batch.blocks * self._block, *self._numbers)
        return self.output

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """dL/dz = dL/dy * f'(z)."""
        if self._grad_input is None:
            return None
        grad_input = self._grad_input.over(grad_output)
        self._backward(grad_output, self._kept, grad_input, batch.blocks * self._block, *self._numbers)
        return grad_input


class Rectifier(Activation):
    """Two straight pieces that meet at z = 0; y > 0 where z > 0."""

    def decisions(self, blocks: int) -> NDArray[np.bool_]:
        """Return where z > 0."""
        positive: NDArray[np.bool_] = self.output[: blocks * self._block] > 0
        return positive


class Relu(Rectifier):
    """y = max(z, 0)."""

    name = "relu"
    monotone = True

    def kernels(self) -> tuple[Kernel, Kernel]:
        from cnntrain.kernels.activations import relu, relu_backward

        return relu, relu_backward


class LeakyRelu(Rectifier):
    """y = z where z > 0, slope * z elsewhere."""

    name = "leaky_relu"
    Settings = LeakyReluSettings
    monotone = True

    def kernels(self) -> tuple[Kernel, Kernel]:
        from cnntrain.kernels.activations import leaky_relu, leaky_relu_backward

        return leaky_relu, leaky_relu_backward


class Sigmoid(Activation):
    """y = 1 / (1 + exp(-z))."""

    name = "sigmoid"
    monotone = True

    def kernels(self) -> tuple[Kernel, Kernel]:
        from cnntrain.kernels.activations import sigmoid, sigmoid_backward

        return sigmoid, sigmoid_backward


class Tanh(Activation):
    """y = tanh(z)."""

    name = "tanh"
    monotone = True

    def kernels(self) -> tuple[Kernel, Kernel]:
        from cnntrain.kernels.activations import tanh, tanh_backward

        return tanh, tanh_backward
