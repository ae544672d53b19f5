"""Layers one after the other: the whole network, and what is inside layers that contain layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from cnntrain.layers.base import Batch, Layer, LayerContext
from cnntrain.layers.plan import LayerRow
from cnntrain.layers.pooled_convolution import PooledConvolution
from cnntrain.layers.registry import layer_class
from cnntrain.shape import Shape


@dataclass
class LayerSequence:
    """Layers one after the other; the backward pass walks them in reverse. Without layers it is the identity."""

    paths: list[str]
    layers: list[Layer]
    input_shapes: list[Shape]

    @classmethod
    def build(cls, rows: Sequence[LayerRow], context: LayerContext) -> LayerSequence:
        """Build the layers; `context` is that of the first, but for its path."""
        paths, layers, input_shapes = [], [], []
        needs_grad_input = context.needs_grad_input
        overwrites = context.overwrites
        ordered = _pooled_first(rows)
        while ordered:
            row = ordered[0]
            together = 2 if PooledConvolution.fits(ordered[:2]) else 1
            own = replace(context, path=row.path, needs_grad_input=needs_grad_input, overwrites=overwrites)
            layer: Layer
            if together == 2:
                layer = PooledConvolution(ordered[:2], own)
            else:
                layer = layer_class(row.name)(row.settings, row.input_shape, own)
            needs_grad_input = needs_grad_input or learns(layer)
            overwrites = layer.output_is_free
            paths.append(ordered[together - 1].path)
            layers.append(layer)
            input_shapes.append(row.input_shape)
            ordered = ordered[together:]
        return cls(paths, layers, input_shapes)

    def forward(self, x: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Pass x through all layers."""
        for path, layer in zip(self.paths, self.layers, strict=True):
            x = layer.forward(x, batch)
            if batch.watch is not None:
                batch.watch(path, x)
        return x

    def backward(self, gradient: NDArray[Any], batch: Batch) -> NDArray[Any] | None:
        """Pass dL/d(output) back; stops where no layer before needs it."""
        passed: NDArray[Any] | None = gradient
        for layer in reversed(self.layers):
            if passed is None:
                return None
            passed = layer.backward(passed, batch)
        return passed

    @property
    def output_is_free(self) -> bool:
        """As that of a layer; without layers, the output is the input, which others may need."""
        return bool(self.layers) and self.layers[-1].output_is_free

    def walk(self) -> Iterator[tuple[str, Layer]]:
        """Yield (path, layer) of every layer in the order in which they run; one that contains layers after those."""
        for path, layer in zip(self.paths, self.layers, strict=True):
            yield from layer.walk(path)


def learns(layer: Layer) -> bool:
    """Tell whether a layer, or one inside it, has parameters that change in training."""
    return not all(parameter.frozen for parameter in layer.parameters) or any(
        learns(inner) for sequence in layer.sequences for inner in sequence.layers
    )


def _pooled_first(rows: Sequence[LayerRow]) -> list[LayerRow]:
    """Let max-pooling run before activations that it follows, where that gives the same in less time.

    A function f that never falls commutes with the maximum: max f(z) = f(max z). After pooling there are fewer values
    to compute it of. The gradient takes the same way back; only where f rounds different z to the same value, or is
    flat, may the winner be another of them.
    """
    ordered = list(rows)
    for i in range(1, len(ordered)):
        j = i
        while j and layer_class(ordered[j].name).takes_maximum and layer_class(ordered[j - 1].name).monotone:
            pooling, activation = ordered[j], ordered[j - 1]
            shape = pooling.output_shape
            ordered[j - 1 : j + 1] = pooling, replace(activation, input_shape=shape, output_shape=shape)
            j -= 1
    return ordered
