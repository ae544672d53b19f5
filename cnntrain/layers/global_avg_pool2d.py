"""`global_avg_pool2d`: the mean of each channel, whatever the image's size (Lin, Chen and Yan 2014, section 3.2)."""

from __future__ import annotations

from typing import ClassVar

from cnntrain.layers.avg_pool2d import AvgPool2d, AvgPool2dSettings
from cnntrain.layers.base import LayerContext, LayerSettings
from cnntrain.shape import Shape


class GlobalAvgPool2dSettings(LayerSettings):
    """`global_avg_pool2d` has no YAML keys."""

    def output_shape(self, input_shape: Shape) -> Shape:
        """One value per channel."""
        return Shape(input_shape.channels, 1, 1)


class GlobalAvgPool2d(AvgPool2d):
    """Average-pooling with one window as large as the image."""

    name = "global_avg_pool2d"
    Settings: ClassVar[type[LayerSettings]] = GlobalAvgPool2dSettings

    def __init__(self, settings: GlobalAvgPool2dSettings, input_shape: Shape, context: LayerContext) -> None:
        window = AvgPool2dSettings(kernel_size=(input_shape.rows, input_shape.columns))
        super().__init__(window, input_shape, context)
