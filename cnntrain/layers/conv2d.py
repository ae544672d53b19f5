"""`conv2d`: learned filters slide over the image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, WithJsonSchema

from cnntrain.errors import ShapeError
from cnntrain.layers.base import Conditions, Layer, LayerRow, PassChoice, Timed
from cnntrain.layers.batch import Batch
from cnntrain.layers.context import LayerContext
from cnntrain.layers.weights import WeightSettings
from cnntrain.parameters import Parameter
from cnntrain.passes.problem import ConvolutionGeometry, Window
from cnntrain.settings import NonNegativeInt, PositiveInt, PositivePair
from cnntrain.shape import Shape

if TYPE_CHECKING:
    from cnntrain.passes.convolution import Choices, Convolution


def _padding(value: object) -> object:
    """Accept a number, a pair, "same" or "valid"."""
    if value in ("same", "valid"):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return (value, value)
    if isinstance(value, list | tuple) and len(value) == 2:
        return tuple(value)
    raise ValueError('must be a whole number, a pair [rows, columns], "same" or "valid"')


_SIZE = {"type": "integer", "minimum": 0}
_PADDINGS = [{"enum": ["same", "valid"]}, _SIZE, {"type": "array", "items": _SIZE, "minItems": 2, "maxItems": 2}]
Padding = Annotated[
    Literal["same", "valid"] | tuple[NonNegativeInt, NonNegativeInt],
    BeforeValidator(_padding),
    WithJsonSchema({"anyOf": _PADDINGS}),
]


class Conv2dSettings(WeightSettings):
    """YAML keys of `conv2d`."""

    main = "filters"
    filters: PositiveInt = Field(description="Number of filters: channels of the output.")
    kernel_size: PositivePair = Field(description="Rows and columns of a filter.")
    stride: PositivePair = Field((1, 1), description="Pixels from one position of the window to the next.")
    padding: Padding = Field(
        (0, 0),
        description="Zeros around the image. same: as many as keep its size, with stride 1 (an odd number of rows or "
        "columns goes behind the image). valid: none.",
    )
    dilation: PositivePair = Field((1, 1), description="Pixels from one tap of a filter to the next.")
    groups: PositiveInt = Field(
        1,
        description="Channels and filters are divided into so many groups that do not see each other; as many groups "
        "as channels make a depthwise convolution.",
    )
    mode: Literal["cross_correlation", "convolution"] = Field(
        "cross_correlation",
        description="cross_correlation: filters as they are, what most programs call convolution. convolution: filters "
        "rotated by 180°.",
    )

    def geometry(self, input_shape: Shape) -> ConvolutionGeometry:
        """Return the geometry on images of a shape; raises `ShapeError` when it does not fit."""
        channels, *sizes = input_shape
        for number, what in ((channels, "channels"), (self.filters, "filters")):
            if number % self.groups:
                raise ShapeError(f"groups {self.groups} does not divide the {number} {what}", "groups")
        windows = rows, columns = self._window(0, sizes[0]), self._window(1, sizes[1])
        if min(window.output_size for window in windows) < 1:
            reach = [(w.taps - 1) * w.dilation + 1 for w in windows]
            padded = [w.before + w.input_size + w.after for w in windows]
            note = f" (with dilation {self.dilation[0]}x{self.dilation[1]})" if max(self.dilation) > 1 else ""
            image = "image" if padded == list(sizes) else "padded image"
            raise ShapeError(
                f"kernel_size {reach[0]}x{reach[1]}{note} on a {padded[0]}x{padded[1]} {image}", "kernel_size"
            )
        return ConvolutionGeometry(channels, self.filters, rows, columns, self.groups, self.mode == "convolution")

    def _window(self, axis: int, size: int) -> Window:
        taps, stride, dilation = self.kernel_size[axis], self.stride[axis], self.dilation[axis]
        if self.padding == "same":
            if stride != 1:
                raise ShapeError(f"padding: same needs stride 1, not {stride}: give the padding as numbers", "padding")
            total = (taps - 1) * dilation
            return Window(size, taps, stride, total // 2, total - total // 2, dilation)
        padding = 0 if self.padding == "valid" else int(self.padding[axis])
        return Window(size, taps, stride, padding, padding, dilation)

    def output_shape(self, input_shape: Shape) -> Shape:
        """(filters, window positions along the rows, along the columns)."""
        geometry = self.geometry(input_shape)
        return Shape(self.filters, geometry.rows.output_size, geometry.columns.output_size)

    def parameter_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        """Weight (filters, channels / groups, rows, columns) and bias (filters,)."""
        shapes: dict[str, tuple[int, ...]] = {"weight": self.geometry(input_shape).weight_shape}
        return shapes | {"bias": (self.filters,)} if self.bias else shapes

    def check_parameters(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Ask the initialisers; one that computes filters from the images takes windows without gaps."""
        super().check_parameters(shapes)
        if self.weight_init.registered.needs_images:
            for key, plain in (("groups", 1), ("dilation", (1, 1))):
                if getattr(self, key) != plain:
                    raise ShapeError(f"{self.weight_init.name} needs {key} 1", key)

    def macs(self, input_shape: Shape) -> int:
        """One multiply-add per output and tap."""
        return self.output_shape(input_shape).size * math.prod(self.geometry(input_shape).weight_shape[1:])


class Conv2d(Layer):
    """z = b + the sum of w x over each window: learned filters slide over the image.

    Attributes
    ----------
    geometry : ConvolutionGeometry
    passes : Convolution
    weight : Parameter
    bias : Parameter or None
    """

    name = "conv2d"
    Settings = Conv2dSettings
    output_is_free = True

    geometry: ConvolutionGeometry
    passes: Convolution
    weight: Parameter
    bias: Parameter | None

    def __init__(self, row: LayerRow, context: LayerContext) -> None:
        from cnntrain.passes.convolution import Convolution

        self.geometry = row.settings.geometry(row.input_shape)
        self.passes = Convolution(self.geometry, context.blocks, context.dtype, direct=context.direct)
        self.weight, self.bias = row.settings.create(context)
        self.parameters = [self.weight] if self.bias is None else [self.weight, self.bias]
        self._no_bias = np.zeros(self.geometry.filters, context.dtype)
        self._x = np.empty(0, context.dtype)
        self.output = context.buffer(row.output_shape)
        self._grad_input = context.grad_input(row.input_shape)

    @classmethod
    def choices(cls, row: LayerRow, conditions: Conditions) -> Choices:
        """Return which algorithms the passes of a planned layer take, as `Convolution` does."""
        from cnntrain.passes.convolution import choices_of, problems_of

        return choices_of(problems_of(row.settings.geometry(row.input_shape), *conditions), {})

    @classmethod
    def explain(cls, row: LayerRow, conditions: Conditions) -> Iterator[PassChoice]:
        """Yield the three passes."""
        shape = str(row.settings.geometry(row.input_shape))
        for name, chosen in cls.choices(row, conditions).by_direction():
            yield PassChoice(row.path, shape, name, chosen.algorithm.name, chosen.refusals)

    @property
    def bias_values(self) -> NDArray[Any]:
        """One number per filter: zero without a bias."""
        return self._no_bias if self.bias is None else self.bias.value

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """z = b + sum w x over each window."""
        self._x = x
        self.passes.forward(x, self.weight.value.reshape(-1), self.bias_values, self.output, batch.blocks)
        return self.output

    def backward(self, grad_output: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """Valid correlation of x and delta to the weights; full convolution with the rotated filter to the input."""
        if not self.weight.frozen:
            grad_bias = None if self.bias is None else self.bias.gradient
            grad_weight = self.weight.gradient.reshape(-1)
            self.passes.backward_weight(self._x, grad_output, grad_weight, grad_bias, batch.blocks)
        if self._grad_input is None:
            return None
        grad_input = self._grad_input.beside(grad_output)
        self.passes.backward_input(grad_output, self.weight.value.reshape(-1), grad_input, batch.blocks)
        return grad_input

    def timed(self, path: str) -> Iterator[Timed]:
        """Yield the three passes."""
        about = str(self.geometry), self.geometry.macs
        yield Timed(path, "forward", self, "forward", *about)
        yield Timed(path, "to input", self.passes, "backward_input", *about)
        yield Timed(path, "to weights", self.passes, "backward_weight", *about)
