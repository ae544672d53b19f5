"""What can be said about a layer without building it: YAML keys, shapes, learned arrays, cost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from cnntrain.settings import Settings
from cnntrain.shape import Shape


class LayerSettings(Settings, ABC):
    """YAML keys of a layer, and everything about it that can be said without buffers."""

    def resolve(self, classes: int) -> LayerSettings:
        """Replace words that depend on the data (`dense: classes`) by numbers."""
        return self

    @abstractmethod
    def output_shape(self, input_shape: Shape) -> Shape:
        """Shape after the layer; raises `ShapeError` when it does not fit."""

    def parameter_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        """Names and canonical shapes of the learned arrays."""
        return {}

    def check_parameters(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raise `ShapeError` where learned arrays of these shapes cannot be made."""
        return

    def macs(self, input_shape: Shape) -> int:
        """Multiply-adds of one image's forward pass (taps on the padding included, as is usual)."""
        return 0
