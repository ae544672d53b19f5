"""`batch_norm2d`: each channel is brought to mean 0 and variance 1 over the batch (Ioffe and Szegedy 2015)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.initializers import InitializerChoice
from cnntrain.layers.base import Layer, LayerRow
from cnntrain.layers.batch import Batch
from cnntrain.layers.context import LayerContext
from cnntrain.layers.settings import LayerSettings
from cnntrain.layers.weights import check_initializers
from cnntrain.settings import NonNegativeFloat, PositiveFloat
from cnntrain.shape import Shape


class BatchNorm2dSettings(LayerSettings):
    """YAML keys of `batch_norm2d`."""

    main = "momentum"
    momentum: Annotated[float, Field(ge=0, le=1)] = Field(
        0.1,
        description="Share of the batch in the running statistics, as in PyTorch: "
        "running = (1 - momentum) * running + momentum * batch. Keras's and Caffe's number is one minus it.",
    )
    epsilon: PositiveFloat = Field(1e-5, description="Added to the variance, so that nothing is divided by zero.")
    scale: bool = Field(True, description="Learn a factor for each channel (PyTorch: weight; Keras: gamma).")
    shift: bool = Field(True, description="Learn a summand for each channel (PyTorch: bias; Keras: beta).")
    scale_init: InitializerChoice = Field(
        {"constant": 1.0}, validate_default=True, description="Initial values of scale."
    )
    shift_init: InitializerChoice = Field("zeros", validate_default=True, description="Initial values of shift.")
    scale_learning_rate: NonNegativeFloat = Field(1.0, description="Factor on the optimiser's learning rate for scale.")
    shift_learning_rate: NonNegativeFloat = Field(1.0, description="Factor on the optimiser's learning rate for shift.")
    scale_decay: NonNegativeFloat = Field(1.0, description="Factor on the optimiser's weight decay for scale.")
    shift_decay: NonNegativeFloat = Field(1.0, description="Factor on the optimiser's weight decay for shift.")
    frozen: bool = Field(
        False, description="Keep everything as it is, and normalise with the running statistics in training too."
    )

    def output_shape(self, input_shape: Shape) -> Shape:
        """Unchanged."""
        return input_shape

    def parameter_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        """Scale and shift, one number per channel, where they are learned."""
        return {name: (input_shape.channels,) for name in ("scale", "shift") if getattr(self, name)}

    def check_parameters(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Ask the initialisers."""
        check_initializers(self, shapes)


class BatchNorm2d(Layer):
    """y = scale * (x - mean) / sqrt(variance + epsilon) + shift, channel by channel.

    Mean and variance are the batch's own in training, the running ones in evaluation (Ioffe and Szegedy 2015).

    The running variance is the unbiased one (divided by M - 1, M being the values per channel), the one that
    normalises is the biased one, as in PyTorch. Where M = 1 nothing is known of the variance: y is the shift alone,
    and the running statistics stay as they are.
    """

    name = "batch_norm2d"
    Settings = BatchNorm2dSettings
    output_is_free = True

    def __init__(self, row: LayerRow, context: LayerContext) -> None:
        from cnntrain.passes.batch_norm import BatchNormalization

        settings, (channels, rows, columns) = row.settings, row.input_shape
        self._pixels = rows * columns
        self._momentum, self._epsilon, self._frozen = settings.momentum, settings.epsilon, settings.frozen
        self._pass = BatchNormalization(channels, self._pixels, context.blocks, context.dtype)
        self._ones, self._zeros = np.ones(channels, context.dtype), np.zeros(channels, context.dtype)
        self._scale, self._shift = (
            context.parameter(
                name, getattr(settings, f"{name}_init"),
                learning_rate=getattr(settings, f"{name}_learning_rate"),
                weight_decay=getattr(settings, f"{name}_decay"), frozen=settings.frozen,
            )
            if name in row.parameter_shapes else None
            for name in ("scale", "shift")
        )  # fmt: skip
        self.parameters = [parameter for parameter in (self._scale, self._shift) if parameter is not None]
        self._running_mean = context.statistic("running_mean", self._zeros)
        self._running_variance = context.statistic("running_variance", self._ones)
        self.statistics = [self._running_mean, self._running_variance]
        self._x = np.empty(0, context.dtype)
        self._mean, self._deviation = self._zeros, self._ones  # those that the last forward used
        self.output = context.buffer(row.output_shape)
        self._grad_input = context.grad_input(row.input_shape)

    @property
    def _factor(self) -> NDArray[Any]:
        return (self._ones if self._scale is None else self._scale.value) / self._deviation

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Compute y = scale * (x - mean) / sqrt(variance + epsilon) + shift."""
        self._x, self._mean, variance = x, self._running_mean.value, self._running_variance.value
        if self._measures(batch):
            self._pass.measure(x, batch.images)
            self._mean, variance = self._pass.mean, self._pass.variance
            self._remember(batch.images * self._pixels)
        self._deviation = np.sqrt(variance + variance.dtype.type(self._epsilon))
        shift = self._zeros if self._shift is None else self._shift.value
        self._pass.forward(x, self.output, self._mean, self._factor, shift, batch.blocks)
        return self.output

    def _measures(self, batch: Batch) -> bool:
        """Tell whether a batch is normalised with its own statistics."""
        return batch.training and not self._frozen

    def _remember(self, count: int) -> None:
        """Move the running statistics towards those of the batch, which are of `count` values per channel."""
        if count > 1:
            unbiased = self._pass.variance * (count / (count - 1))
            for running, measured in ((self._running_mean, self._pass.mean), (self._running_variance, unbiased)):
                running.value[...] = (1 - self._momentum) * running.value + self._momentum * measured

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """dL/dscale, dL/dshift, and dL/dx with the mean and the variance as functions of x (constants in evaluation).

        dL/dx = scale / s * (g - sum g / M - (x - mean) / s**2 * sum g (x - mean) / M), s = sqrt(variance + epsilon).
        """
        total, product = self._pass.sums(grad_output, self._x, self._mean, batch.images)
        if self._shift is not None and not self._frozen:
            self._shift.gradient[...] = total
        if self._scale is not None and not self._frozen:
            self._scale.gradient[...] = product / self._deviation
        if self._grad_input is None:
            return None
        offset, slope = self._zeros, self._zeros
        if self._measures(batch):
            count = total.dtype.type(batch.images * self._pixels)
            offset, slope = total / count, product / (self._deviation * self._deviation * count)
        grad_input = self._grad_input.over(grad_output)
        self._pass.backward_input(
            grad_output, self._x, grad_input, self._mean, self._factor, offset, slope, batch.images
        )
        return grad_input
