"""What layers that contain layers have in common at work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from cnntrain.layers.base import Layer, LayerRow, Timed
from cnntrain.layers.context import LayerContext
from cnntrain.layers.sequence import LayerSequence


class Container(Layer):
    """A layer that contains layers: it builds them.

    Attributes
    ----------
    parallel : bool
        The sequences see the same input and the same dL/d(output), which none of them may therefore overwrite.
    sequences : list of LayerSequence
        The layers inside this one, in the order in which they run.
    """

    parallel: ClassVar[bool] = True

    sequences: list[LayerSequence]

    def __init__(self, row: LayerRow, context: LayerContext) -> None:
        contexts = [context.inside(number) if self.parallel else context for number in range(len(row.parts))]
        self.sequences = [LayerSequence.build(part.rows, own) for part, own in zip(row.parts, contexts, strict=True)]

    @property
    def learns(self) -> bool:
        """One of the layers inside does, or this one."""
        return super().learns or any(sequence.learns for sequence in self.sequences)

    def walk(self, path: str) -> Iterator[tuple[str, Layer]]:
        """Yield the layers inside, then this one."""
        for sequence in self.sequences:
            yield from sequence.walk()
        yield path, self

    def timed(self, path: str) -> Iterator[Timed]:
        """Yield what the layers inside name, then this one's two passes."""
        for sequence in self.sequences:
            yield from sequence.timed()
        yield from super().timed(path)
