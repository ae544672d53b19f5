"""`relu`, `leaky_relu`, `sigmoid`, `tanh`: the element-wise layers, one small class each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.kernels import activations as kernels
from cnntrain.layers.base import Batch, Layer, LayerContext, LayerSettings
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


class Activation(Layer):
    """y = f(z), with a derivative that needs y alone, or z alone where `keeps_input` says so."""

    Settings: ClassVar[type[LayerSettings]] = ActivationSettings
    kernel: ClassVar[Callable[..., None]]
    backward_kernel: ClassVar[Callable[..., None]]
    keeps_input: ClassVar[bool] = False

    def __init__(self, settings: LayerSettings, input_shape: Shape, context: LayerContext) -> None:
        self._numbers = self._numbers_of(settings)
        self._forward, self._backward = self._kernels_of(settings)
        self._block = input_shape.size * LANES
        self._overwrites = context.overwrites and not self.keeps_input
        self.output_is_free = self.keeps_input
        self._kept = self.output = np.empty(0, context.dtype) if self._overwrites else context.buffer(input_shape)
        self._grad_input = context.grad_input(input_shape)

    def _kernels_of(self, settings: LayerSettings) -> tuple[Callable[..., None], Callable[..., None]]:
        """Return the kernels forward and backward."""
        return self.kernel, self.backward_kernel

    def _numbers_of(self, settings: LayerSettings) -> tuple[float, ...]:
        """Return what the kernels take after the arrays: the settings, in their order."""
        return tuple(getattr(settings, key) for key in type(settings).model_fields)

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
    kernel, backward_kernel = staticmethod(kernels.relu), staticmethod(kernels.relu_backward)


class LeakyRelu(Rectifier):
    """y = z where z > 0, slope * z elsewhere."""

    name = "leaky_relu"
    Settings = LeakyReluSettings
    monotone = True
    kernel, backward_kernel = staticmethod(kernels.leaky_relu), staticmethod(kernels.leaky_relu_backward)


class Sigmoid(Activation):
    """y = 1 / (1 + exp(-z))."""

    name = "sigmoid"
    monotone = True
    kernel, backward_kernel = staticmethod(kernels.sigmoid), staticmethod(kernels.sigmoid_backward)


class Tanh(Activation):
    """y = tanh(z)."""

    name = "tanh"
    monotone = True
    kernel, backward_kernel = staticmethod(kernels.tanh), staticmethod(kernels.tanh_backward)
