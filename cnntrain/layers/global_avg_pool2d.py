"""`global_avg_pool2d`: the mean of each channel, whatever the image's size (Lin, Chen and Yan 2014, section 3.2)."""

from __future__ import annotations

from typing import ClassVar

from cnntrain.kernels.geometry import Axis
from cnntrain.layers.avg_pool2d import AvgPool2d
from cnntrain.layers.settings import LayerSettings
from cnntrain.passes.problem import pooling_axis
from cnntrain.shape import Shape


class GlobalAvgPool2dSettings(LayerSettings):
    """`global_avg_pool2d` has no YAML keys."""

    count_padding: ClassVar[bool] = True  # there is none

    def axes(self, input_shape: Shape) -> tuple[Axis, Axis]:
        """Return the only window, along rows and columns."""
        rows, columns = (pooling_axis(size, size, size, 0, False) for size in input_shape[1:])
        return rows, columns

    def output_shape(self, input_shape: Shape) -> Shape:
        """One value per channel."""
        return Shape(input_shape.channels, 1, 1)


class GlobalAvgPool2d(AvgPool2d):
    """Average-pooling with one window as large as the image."""

    name = "global_avg_pool2d"
    Settings: ClassVar[type[LayerSettings]] = GlobalAvgPool2dSettings
