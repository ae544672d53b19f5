"""What the YAML says about the windows of a pooling layer, and the shape rule that follows."""

from __future__ import annotations

from pydantic import Field

from cnntrain.errors import ShapeError
from cnntrain.kernels.geometry import Axis
from cnntrain.layers.settings import LayerSettings
from cnntrain.passes.problem import pooling_axis
from cnntrain.settings import NonNegativePair, PositivePair
from cnntrain.shape import Shape


class PoolingSettings(LayerSettings):
    """YAML keys of a pooling layer's windows."""

    main = "kernel_size"
    kernel_size: PositivePair = Field(description="Rows and columns of the window.")
    stride: PositivePair | None = Field(
        None, description="Pixels from one position of the window to the next; the kernel_size unless given."
    )
    padding: NonNegativePair = Field((0, 0), description="Pixels around the image; at most half the window.")
    ceil_mode: bool = Field(False, description="Round the output's size up: the last window may end outside.")

    def axes(self, input_shape: Shape) -> tuple[Axis, Axis]:
        """Return the windows along rows and columns; raises `ShapeError` when they do not fit."""
        strides = self.stride or self.kernel_size
        for taps, padding in zip(self.kernel_size, self.padding, strict=True):
            if padding > taps // 2:
                raise ShapeError(f"padding {padding} is more than half of kernel_size {taps}", "padding")
        sizes = (input_shape.rows, input_shape.columns)
        rows, columns = (
            pooling_axis(sizes[i], self.kernel_size[i], strides[i], self.padding[i], self.ceil_mode) for i in (0, 1)
        )
        if min(rows.count, columns.count) < 1:
            size = "x".join(map(str, self.kernel_size))
            raise ShapeError(f"kernel_size {size} on a {sizes[0]}x{sizes[1]} image", "kernel_size")
        return rows, columns

    def output_shape(self, input_shape: Shape) -> Shape:
        """As many channels, one pixel per window."""
        rows, columns = self.axes(input_shape)
        return Shape(input_shape.channels, rows.count, columns.count)
