"""What every exporter takes: planned layers, tensors in canonical shapes, and how pixels become numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.data import Normalization
from cnntrain.errors import ExportError
from cnntrain.layers import LAYERS, Layer, LayerRow
from cnntrain.printable import printable
from cnntrain.shape import Shape

_DECODING = ("color", "resize", "fit", "background", "white")  # keys of `data:` that say how a file becomes pixels
_SHOWN = 10

Array = NDArray[Any]


@dataclass(frozen=True)
class Model:
    """A network as it leaves.

    Attributes
    ----------
    name : str
        Of the config.
    rows : sequence of LayerRow
        The layers as the config lists them, without fusions.
    tensors : mapping
        Learned arrays and statistics, in canonical shapes, by the network's own names.
    class_names : sequence of str
    image_type : str
        "uint8" or "float32": what images the network takes.
    normalization : Normalization
        For images of that type.
    decoding : mapping
        How picture files become images, as far as the config's `data:` says it.
    """

    name: str
    rows: Sequence[LayerRow]
    tensors: Mapping[str, Array]
    class_names: Sequence[str]
    image_type: str
    normalization: Normalization
    decoding: Mapping[str, Any] = field(default_factory=dict)

    @property
    def input_shape(self) -> Shape:
        """Of an image."""
        return self.rows[0].input_shape

    def of(self, row: LayerRow, tensor: str) -> Array | None:
        """Return a tensor of a layer, None where it has none of that name."""
        return self.tensors.get(f"{row.path}.{tensor}")

    def needed(self, row: LayerRow, tensor: str) -> Array:
        """Return a tensor that a layer always has."""
        return self.tensors[f"{row.path}.{tensor}"]

    def weights(self, row: LayerRow, norm: LayerRow | None = None) -> tuple[Array, Array | None]:
        """Return weight and bias of a convolution or dense layer, with a batch norm behind it as part of them."""
        weight, bias = self.needed(row, "weight"), self.of(row, "bias")
        if norm is None:
            return weight, bias
        factor, summand = self.affine(norm)
        weight = weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
        return weight, summand + (0.0 if bias is None else factor * bias)

    def affine(self, row: LayerRow) -> tuple[Array, Array]:
        """Return factor and summand per channel, float64, of a batch norm with its running statistics."""
        mean, variance = (self.needed(row, f"running_{name}").astype(np.float64) for name in ("mean", "variance"))
        scale, shift = self.of(row, "scale"), self.of(row, "shift")
        factor = 1 / np.sqrt(variance + row.settings.epsilon)
        if scale is not None:
            factor = factor * scale
        return factor, (0.0 if shift is None else shift) - mean * factor


def decoding_of(settings: Any) -> dict[str, Any]:
    """Return how picture files become images, from the settings `data:`."""
    found = {key: getattr(settings, key, None) for key in _DECODING}
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in found.items() if value is not None
    }


def walk(rows: Sequence[LayerRow]) -> Iterator[LayerRow]:
    """Yield all layers, those inside others behind them."""
    for row in rows:
        yield row
        for part in row.parts:
            yield from walk(part.rows)


def folding(rows: Sequence[LayerRow]) -> dict[str, LayerRow]:
    """Return the batch norms that follow weights directly, by the path of the layer with the weights."""
    weighted, norm = (LAYERS["conv2d"], LAYERS["dense"]), LAYERS["batch_norm2d"]
    return {one.path: other for one, other in pairwise(rows) if one.layer in weighted and other.layer is norm}


def check_layers(rows: Sequence[LayerRow], known: Collection[type[Layer]], target: str) -> None:
    """Raise `ExportError`, which names every layer that the format has no words for, before anything is written."""
    strange = [row for row in walk(rows) if row.layer not in known]
    if strange:
        names = [f"  {printable(row.path)}" for row in strange]
        shown = names[:_SHOWN] + ([f"  and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else [])
        raise ExportError(
            f"cannot be written as {target}: nobody has said how these layers are (layers of your own are not "
            "exported):\n" + "\n".join(shown)
        )


def rotated(row: LayerRow, weight: Array) -> Array:
    """Return the filters of a convolution as a cross-correlation takes them: what other programs compute."""
    return np.ascontiguousarray(weight[..., ::-1, ::-1]) if row.settings.mode == "convolution" else weight
