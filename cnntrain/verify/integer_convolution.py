"""Convolutions of whole numbers by hand: what forward passes are compared with.

Nothing here shares an index with the kernels; only the numbers of the geometry (sizes, strides, padding) are the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from cnntrain.layers import LayerRow
from cnntrain.layers.dense import Dense
from cnntrain.passes.problem import ConvolutionGeometry, Window
from cnntrain.verify.whole_numbers import Whole, draw

SAMPLES = 4  # outputs of a trial whose sums are written out one by one


def geometry_of(row: LayerRow) -> ConvolutionGeometry:
    """Return the numbers of a convolution, or those of the convolution that a dense layer is."""
    if row.layer is Dense:
        channels, rows, columns = row.input_shape
        return ConvolutionGeometry(channels, row.output_shape.channels, Window(rows, rows), Window(columns, columns))
    geometry: ConvolutionGeometry = row.settings.geometry(row.input_shape)
    return geometry


def by_hand(image: Whole, weight: Whole, geometry: ConvolutionGeometry) -> Whole:
    """Correlate one image with one filter that covers all its channels: (rows, columns) of whole numbers.

    Written for itself: it shares no index with the kernels, only the numbers of the geometry.
    """
    rows, columns = geometry.rows, geometry.columns
    if geometry.rotated:
        weight = weight[:, ::-1, ::-1]
    padded = np.pad(image, ((0, 0), (rows.before, rows.after), (columns.before, columns.after)))
    y = np.zeros((rows.output_size, columns.output_size), np.int64)
    for r in range(rows.taps):
        down = padded[:, r * rows.dilation :: rows.stride][:, : rows.output_size]
        for s in range(columns.taps):
            seen = down[:, :, s * columns.dilation :: columns.stride][:, :, : columns.output_size]
            y += np.tensordot(weight[:, r, s], seen, axes=1)
    return y


@dataclass(frozen=True)
class Drawn:
    """The numbers of a trial: images, canonical weights, biases."""

    x: Whole
    weight: Whole
    bias: Whole


def mixed_fault(
    y: Whole, drawn: Drawn, geometry: ConvolutionGeometry, largest: int, generator: np.random.Generator
) -> str:
    """Compare random combinations of all outputs with one convolution by hand (Freivalds 1977).

    Parameters
    ----------
    y : ndarray of int64, (images, filters, rows, columns)
    drawn : Drawn
    geometry : ConvolutionGeometry
    largest : int
        The largest factor of an image or a filter in a combination.
    generator : Generator
        Of the combination.

    Returns
    -------
    str
        The first output that is wrong; empty if none is.
    """
    g = geometry
    u, v = draw(generator, largest, len(y)), draw(generator, largest, g.filters)
    found = np.tensordot(v, np.tensordot(u, y, axes=1), axes=1)
    own = (v[:, None, None, None] * drawn.weight).reshape(g.groups, g.filters // g.groups, *drawn.weight.shape[1:])
    mixed = own.sum(axis=1).reshape(g.channels, *drawn.weight.shape[2:])
    right = by_hand(np.tensordot(u, drawn.x, axes=1), mixed, g) + int(u.sum()) * int((v * drawn.bias).sum())
    for pixel in np.argwhere(found != right)[:1].tolist():
        places = ((image, k, *pixel) for image in range(len(y)) for k in range(g.filters))
        return _first_wrong(y, drawn, g, places) or f"outputs at pixel {pixel} are wrong"
    return ""


def sampled_fault(y: Whole, drawn: Drawn, geometry: ConvolutionGeometry, generator: np.random.Generator) -> str:
    """Compare some outputs with sums that are written out, two corners among them; parameters as for `mixed_fault`."""
    places = [(len(y) - 1, geometry.filters - 1, 0, 0), (0, 0, y.shape[2] - 1, y.shape[3] - 1)]
    places += [tuple(int(generator.integers(size)) for size in y.shape) for _ in range(SAMPLES - 2)]  # type: ignore[misc]
    return _first_wrong(y, drawn, geometry, places)


def _first_wrong(y: Whole, drawn: Drawn, g: ConvolutionGeometry, places: Iterable[tuple[int, ...]]) -> str:
    for image, k, i, j in places:
        right = sum_of_products(drawn, g, image, k, i, j)
        if y[image, k, i, j] != right:
            return f"output [{image},{k},{i},{j}] is {y[image, k, i, j]}, the sum of the integers {right}"
    return ""


def sum_of_products(drawn: Drawn, g: ConvolutionGeometry, image: int, k: int, i: int, j: int) -> int:
    """Return output (i, j) of filter k for an image, as it stands in docs/mathematics.md."""
    total = int(drawn.bias[k])
    first = k // (g.filters // g.groups) * (g.channels // g.groups)
    seen = drawn.x[image, first : first + drawn.weight.shape[1]]
    for r in range(g.rows.taps):
        row = i * g.rows.stride - g.rows.before + r * g.rows.dilation
        for s in range(g.columns.taps):
            column = j * g.columns.stride - g.columns.before + s * g.columns.dilation
            if 0 <= row < g.rows.input_size and 0 <= column < g.columns.input_size:
                tap = (g.rows.taps - 1 - r, g.columns.taps - 1 - s) if g.rotated else (r, s)
                total += int(seen[:, row, column] @ drawn.weight[k, :, tap[0], tap[1]])
    return total
