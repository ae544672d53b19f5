"""`local_response_norm`: each value is damped by its neighbours (Krizhevsky et al. 2012; Caffe's LRN)."""

from __future__ import annotations

from typing import Any, Literal

from numpy.typing import NDArray
from pydantic import Field, field_validator

from cnntrain.layers.base import Layer, LayerRow
from cnntrain.layers.batch import Batch
from cnntrain.layers.context import LayerContext
from cnntrain.layers.settings import LayerSettings
from cnntrain.settings import NonNegativeFloat, PositiveFloat, PositiveInt
from cnntrain.shape import LANES, Shape


class LocalResponseNormSettings(LayerSettings):
    """YAML keys of `local_response_norm`."""

    main = "size"
    size: PositiveInt = Field(
        5,
        description="Neighbours on a line, an odd number: n = size across channels, n = size * size within one. What "
        "lies outside the image counts as zero.",
    )
    alpha: NonNegativeFloat = Field(1e-4, description="Weight of the neighbours' mean square; divided by n.")
    beta: PositiveFloat = Field(0.75, description="Exponent.")
    k: PositiveFloat = Field(1.0, description="Summand; 1 in Caffe, 2 in Krizhevsky et al. 2012.")
    region: Literal["across_channels", "within_channel"] = Field(
        "across_channels", description="Neighbours: channels of the same pixel, or pixels of the same channel."
    )

    @field_validator("size")
    @classmethod
    def _is_odd(cls, size: int) -> int:
        if size % 2 == 0:
            raise ValueError("must be odd: as many neighbours on each side")
        return size

    def output_shape(self, input_shape: Shape) -> Shape:
        """Unchanged."""
        return input_shape


class LocalResponseNorm(Layer):
    """y = x / (k + alpha / n * sum of squares of n neighbours) ** beta (Krizhevsky et al. 2012)."""

    name = "local_response_norm"
    Settings = LocalResponseNormSettings

    def __init__(self, row: LayerRow, context: LayerContext) -> None:
        from cnntrain.kernels import local_response as kernels

        settings: LocalResponseNormSettings = row.settings
        reach, channels, rows, columns = settings.size // 2, *row.input_shape
        across = settings.region == "across_channels"
        self._kernels = kernels
        hood = kernels.Neighbourhood(rows, columns, channels, *((0, 0, reach) if across else (reach, reach, 0)))
        self._geometry = tuple(hood)
        self._share = settings.alpha / (settings.size if across else settings.size**2)
        self._beta, self._k = settings.beta, settings.k
        self._block = row.input_shape.size * LANES
        self._x = self._scale = context.buffer(row.input_shape)
        self.output = context.buffer(row.output_shape)
        self._grad_input = context.grad_input(row.input_shape)
        self._ratios = context.buffer(row.input_shape) if context.needs_grad_input else None

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Compute y = x * scale**-beta with scale = k + alpha / n * (sum of squares over the neighbourhood)."""
        self._x = x
        self._kernels.local_response(
            x, self.output, self._scale, batch.blocks, self._geometry, self._share, self._beta, self._k
        )
        return self.output

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """dL/dx = g * scale**-beta - 2 alpha beta / n * x * (sum of g y / scale over the neighbourhood)."""
        if self._grad_input is None or self._ratios is None:
            return None
        size = batch.blocks * self._block
        self._kernels.local_response_ratios(grad_output, self.output, self._scale, self._ratios, size)
        grad_input = self._grad_input.beside(grad_output)
        self._kernels.local_response_backward(
            grad_output, self._x, self._scale, self._ratios, grad_input,
            batch.blocks, self._geometry, self._share, self._beta,
        )  # fmt: skip
        return grad_input
