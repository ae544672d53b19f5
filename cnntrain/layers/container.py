"""What layers that contain layers have in common at work."""

from __future__ import annotations

from typing import ClassVar

from cnntrain.layers.base import Layer, LayerContext
from cnntrain.layers.plan import ContainerSettings
from cnntrain.layers.sequence import LayerSequence
from cnntrain.shape import Shape


class Container(Layer):
    """A layer that contains layers: it builds them.

    Attributes
    ----------
    parallel : bool
        The sequences see the same input and the same dL/d(output), which none of them may therefore overwrite.
    """

    parallel: ClassVar[bool] = True

    def __init__(self, settings: ContainerSettings, input_shape: Shape, context: LayerContext) -> None:
        parts = settings.plan(input_shape, context.path).parts
        contexts = [context.inside(number) if self.parallel else context for number in range(len(parts))]
        self.sequences = [LayerSequence.build(part.rows, own) for part, own in zip(parts, contexts, strict=True)]
