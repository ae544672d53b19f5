"""Layers one after the other: the whole network, and what is inside layers that contain layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from cnntrain.layers.base import Layer, LayerRow, Timed
from cnntrain.layers.batch import Batch
from cnntrain.layers.context import LayerContext


@dataclass
class LayerSequence:
    """Layers one after the other; the backward pass walks them in reverse. Without layers it is the identity."""

    rows: list[LayerRow]
    paths: list[str]
    layers: list[Layer]

    @classmethod
    def build(cls, rows: Sequence[LayerRow], context: LayerContext) -> LayerSequence:
        """Build each row's layer; `context` is that of the first, but for what follows from its row."""
        layers: list[Layer] = []
        for row in rows:
            layer = row.layer(row, context.of(row.path, row.parameter_shapes))
            layers.append(layer)
            context = replace(
                context,
                needs_grad_input=context.needs_grad_input or layer.learns,
                overwrites=layer.output_is_free,
            )
        return cls(list(rows), [row.path for row in rows], layers)

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Pass x through all layers."""
        for path, layer in zip(self.paths, self.layers, strict=True):
            if batch.watch is not None:
                batch.watch(path, "input", x)
            x = layer.forward(x, batch)
            if batch.watch is not None:
                batch.watch(path, "output", x)
        return x

    def backward(
        self, gradient: NDArray[Any], batch: Batch, done: Callable[[int], None] | None = None
    ) -> NDArray[Any] | None:
        """Pass dL/d(output) back; stops where no layer before needs it.

        `done` is called with a layer's number when its gradients, and those of all behind it, are final.
        """
        passed: NDArray[Any] | None = gradient
        for number in reversed(range(len(self.layers))):
            path, layer = self.paths[number], self.layers[number]
            if passed is None:
                return None
            if batch.watch is not None:
                batch.watch(path, "grad_output", passed)
            passed = layer.backward(passed, batch)
            if batch.watch is not None and passed is not None:
                batch.watch(path, "grad_input", passed)
            if done is not None:
                done(number)
        return passed

    @property
    def output_is_free(self) -> bool:
        """As that of a layer; without layers, the output is the input, which others may need."""
        return bool(self.layers) and self.layers[-1].output_is_free

    @property
    def learns(self) -> bool:
        """One of the layers has parameters that change in training."""
        return any(layer.learns for layer in self.layers)

    def walk(self) -> Iterator[tuple[str, Layer]]:
        """Yield (path, layer) of every layer in the order in which they run; one that contains layers after those."""
        for path, layer in zip(self.paths, self.layers, strict=True):
            yield from layer.walk(path)

    def timed(self) -> Iterator[Timed]:
        """Yield what is worth timing, in the order of `walk`."""
        for path, layer in zip(self.paths, self.layers, strict=True):
            yield from layer.timed(path)
