"""Convolution with 3x3 or 5x5 filters, stride 1, by Winograd's minimal filtering (Lavin and Gray 2016).

A patch of 6x6 pixels contains all that 4x4 outputs of a 3x3 filter depend on, or 2x2 outputs of a 5x5 filter; a patch
of 8x8 pixels all for 4x4 outputs of a 5x5 filter. Tap by tap they take 144, 100 or 400 multiplications per pair of
channel and filter; with

    Y = At [ (G g Gt) * (Bt d B) ] A      (* element by element; t: transposed)

they take 36 or 64, one per place of the patch. The sums over channels happen between the transforms: for each place,
one product of a matrix of filters with a matrix of patches, in the same register tiles as everywhere. A transform is a
few additions and multiplications of lane vectors.

A NaN or infinity in the image makes NaN or infinity of the outputs of its patches, also of those that do not see it.

Letters, besides those of `kernels.convolution`
    d patch of pixels        g filter    Y square of outputs    M the sum over channels in brackets, by places
    n patch of the batch     p place in a patch: side row + column

Layout
    What is transformed lies by place: place p at `at + p * step`, and there as (patch, channel) side by side.

Sizes that only count as types come as dummy tuples (see `Sizes`). The steps, and the passes made of them:
    winograd_matrices    a column times each of the matrices, for patches of 6x6
    winograd_eight       and of 8x8
    winograd_filters     G g Gt
    winograd_images      Bt d B
    winograd_deltas      A delta At
    winograd_patches     Y: forward, or backward to the input as a full convolution; many patches at a time
    winograd_rows        the same, a row of one patch's places at a time
    winograd_input       backward to the input, by the transposed map
    winograd_weights     backward to the weights: sums of products
    winograd_gradients   and what becomes of these sums
"""

from __future__ import annotations

from typing import NamedTuple

from cnntrain.kernels.compiler.jit import kernel, shared
from cnntrain.kernels.geometry import Axis, Channels, Tiles
from cnntrain.kernels.lanes import load, store
from cnntrain.shape import LANES


class Patches(NamedTuple):
    """How the outputs are cut: `rows` x `columns` squares of an image, `stretch` squares of the batch at a time."""

    rows: int
    columns: int
    stretch: int


class Geometry(NamedTuple):
    """How everything lies: axes with stride, step and dilation 1, first 0 and three or five taps; one group."""

    rows: Axis
    columns: Axis
    channels: Channels
    patches: Patches
    tiles: Tiles  # how the filters are cut; in the gradients, the channels


class Sizes(NamedTuple):
    """Sizes that are part of a kernel's type: of each tuple only the length counts."""

    patch: tuple[int, ...]  # pixels of a patch's side: 6 or 8
    side: tuple[int, ...]  # outputs of a square's side: 4, or 2 for 5x5 taps and patches of 6x6
    vectors: tuple[int, ...]  # lane vectors side by side in a register tile: patches, or 16 filters each
    tall: tuple[int, ...]  # the two heights of tiles
    short: tuple[int, ...]


class Range(NamedTuple):
    """Patches or channels from `begin` to before `end`."""

    begin: int
    end: int


class Patch(NamedTuple):
    """A patch by its square: the block, and the row and column of the first output."""

    b: int
    i: int
    j: int


class Square(NamedTuple):
    """Where a square of outputs lies, of a filter: the next column `step` further, the next row `line` further.

    `down` rows and `right` columns, or more than a square has, are before the image's edge.
    """

    at: int
    step: int
    line: int
    down: int
    right: int


class Series(NamedTuple):
    """Where lane vectors lie at equal distances: number i at `at + i * step`."""

    at: int
    step: int


@shared
def places_of(patch):
    """Return how many places a patch has."""
    return len(patch) * len(patch)


@shared
def place_size(patches, channels):
    """Return the distance of two places in scratch memory: a line more than they need.

    Powers of two would put the places of a patch into the same few places of the cache.
    """
    return (patches * channels + 1) * LANES


@kernel
def geometry_of(plain):
    """Give names to what comes from Python."""
    rows, columns, channels, patches, tiles = plain
    return Geometry(Axis(*rows), Axis(*columns), Channels(*channels), Patches(*patches), Tiles(*tiles))


@kernel
def patch_of(n, patches, side):
    """Return patch n of the batch."""
    row = n // patches.columns
    return Patch(row // patches.rows, row % patches.rows * len(side), n % patches.columns * len(side))


@kernel
def square_of(patch, k, geometry):
    """Return where a patch's square of filter k lies, in the output or the delta."""
    rows, columns, width = geometry.rows, geometry.columns, geometry.channels.outputs * LANES
    at = ((patch.b * rows.count + patch.i) * columns.count + patch.j) * width + k * LANES
    return Square(at, width, columns.count * width, rows.count - patch.i, columns.count - patch.j)


@kernel
def pixel_at(geometry, b, row, column):
    """Return where the first channel of a pixel lies, in the image or its gradient."""
    rows, columns = geometry.rows, geometry.columns
    return ((b * rows.input_size + row) * columns.input_size + column) * geometry.channels.inputs * LANES


@kernel
def load_places(array, at, step, patch):
    """Return lane vectors `step` apart, as many as a patch has rows."""
    a, b, c = load(array, at), load(array, at + step), load(array, at + 2 * step)
    d, e, f = load(array, at + 3 * step), load(array, at + 4 * step), load(array, at + 5 * step)
    if len(patch) == 6:
        return a, b, c, d, e, f
    return a, b, c, d, e, f, load(array, at + 6 * step), load(array, at + 7 * step)


@kernel
def store_places(array, at, step, values):
    """Write lane vectors, `step` apart."""
    store(array, at, values[0])
    store(array, at + step, values[1])
    store(array, at + 2 * step, values[2])
    store(array, at + 3 * step, values[3])
    store(array, at + 4 * step, values[4])
    store(array, at + 5 * step, values[5])
    if len(values) == 8:
        store(array, at + 6 * step, values[6])
        store(array, at + 7 * step, values[7])
