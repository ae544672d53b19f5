"""What layers that contain layers have in common at work."""

from __future__ import annotations

from cnntrain.layers.base import Layer, LayerContext, Shape
from cnntrain.layers.plan import ContainerSettings
from cnntrain.layers.sequence import LayerSequence


class Container(Layer):
    """A layer that contains layers: it builds them."""

    def __init__(self, settings: ContainerSettings, input_shape: Shape, context: LayerContext) -> None:
        parts = settings.plan(input_shape, context.path).parts
        self.sequences = [LayerSequence.build(part.rows, context) for part in parts]
