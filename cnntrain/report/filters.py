"""What a network looks for first, and what it makes of one image: filters, and the maps of the first layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.data import Split
from cnntrain.evaluation.restored import Restored, normalization_for
from cnntrain.layers.base import LayerRow
from cnntrain.layers.fusion import fuse
from cnntrain.report.pictures import diverging, picture_of, signed_rgb
from cnntrain.shape import LANES, Shape

MOST_FILTERS, MOST_MAPS, MOST_LAYERS = 64, 16, 4


@dataclass(frozen=True)
class Tiles:
    """Pictures of one kind.

    Attributes
    ----------
    title : str
        What they are.
    pictures : sequence of str
        As data: addresses.
    names : sequence of str
        What each is, for who cannot see it.
    left_out : int
        How many others there are.
    """

    title: str
    pictures: Sequence[str]
    names: Sequence[str]
    left_out: int = 0


def every_row(rows: Sequence[LayerRow]) -> Iterator[LayerRow]:
    """Yield planned layers; behind each those inside it, and those that a fusion put it in the place of."""
    for row in rows:
        yield row
        for inside in (*(part.rows for part in row.parts), row.stands_for):
            yield from every_row(inside)


def first_filters(rows: Sequence[LayerRow], tensors: Mapping[str, NDArray[Any]], image: Shape) -> Tiles | None:
    """Return the filters of the first convolution, or what the units of a dense first layer weigh each pixel with.

    Parameters
    ----------
    rows : sequence of LayerRow
        The planned network.
    tensors : mapping
        The network's state, by name.
    image : Shape
        Of the network's input.
    """
    for row in every_row(rows):
        weight = tensors.get(f"{row.path}.weight")
        if row.name == "conv2d" and weight is not None and weight.ndim == 4:
            return _tiles(f"{row.path}: {len(weight)} filters of {_sizes(weight.shape[1:])}", weight, "filter")
        if row.name == "dense" and weight is not None and weight.ndim == 2 and weight.shape[1] == image.size:
            return _tiles(f"{row.path}: {len(weight)} units", weight.reshape(-1, *image), "unit")
    return None


def _tiles(title: str, weight: NDArray[Any], word: str) -> Tiles:
    shown = weight[:MOST_FILTERS]
    if weight.shape[1] == 3:
        pictures = [signed_rgb(one) for one in shown]
        title += "; grey is zero"
    else:  # of many channels the first one
        largest = float(np.abs(np.nan_to_num(shown[:, 0])).max(initial=0.0))
        pictures = [diverging(one[0], largest) for one in shown]
        title += "" if weight.shape[1] == 1 else "; the first channel of each"
    names = [f"{word} {number}: {one.min():.3g} to {one.max():.3g}" for number, one in enumerate(shown)]
    return Tiles(title, pictures, names, len(weight) - len(shown))


def first_maps(restored: Restored, rows: Sequence[LayerRow], split: Split, index: int) -> list[Tiles]:
    """Return one image, and what the first layers that have rows and columns make of it, as they run.

    Parameters
    ----------
    restored : Restored
    rows : sequence of LayerRow
        Its planned layers.
    split : Split
    index : int
        Which image.
    """
    chosen = np.array([index])
    image, network = split.images[chosen], restored.network
    network.load(image, np.zeros(1, np.int64), normalization_for(restored, image.dtype))
    network.forward()
    shapes = {row.path: row for row in every_row(fuse(rows))}
    found = [Tiles("the image", [picture_of(image[0])], ["the image"])]

    def seen(path: str, values: NDArray[Any]) -> None:
        row = shapes.get(path)
        if row is None or len(found) > MOST_LAYERS or row.output_shape[1] * row.output_shape[2] <= 1:
            return
        channels, height, width = row.output_shape
        maps = values.reshape(-1, height, width, channels, LANES)[0, ..., 0].transpose(2, 0, 1)[:MOST_MAPS]
        pictures = [diverging(one) for one in maps]
        names = [f"map {number}: {one.min():.3g} to {one.max():.3g}" for number, one in enumerate(maps)]
        found.append(Tiles(f"after {path}: {row.output_shape}", pictures, names, channels - len(maps)))

    network.watch(seen)
    return found


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
