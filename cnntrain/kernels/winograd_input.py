"""Backward to the input by Winograd's algorithm; letters and matrices as in `kernels.winograd`.

The outputs Y are linear in the patch d, so its gradient is the transposed map of the delta:

    dL/dd = B [ sum over filters of (G g Gt) * (A delta At) ] Bt

Patches overlap, and what they share is added. The full convolution of the delta is the same sum, and may be computed by
`kernels.winograd.correlate_patches`; but where images are not padded the delta is smaller than the image, so that here
fewer patches do: 16 instead of 36 for 5x5 filters on 12x12 pixels.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.geometry import Axis, Tiles
from cnntrain.kernels.lanes import constant, fma, load, store
from cnntrain.kernels.winograd import (
    PLACES,
    SIDE,
    Patches,
    corner_of,
    multiply_places,
    pixel,
    place_size,
    store_six,
)
from cnntrain.kernels.winograd_weights import delta_part
from cnntrain.shape import LANES


@kernel
def pixel_part(a, b, c, d, e, f):
    """Multiply B, the transpose of `patch_part`'s matrix, with a column."""
    more = constant(a, 1.5)
    v, w = b + c, b - c
    p = fma(more, a, fma(constant(a, 2), d, fma(constant(a, -0.5), e, w - f)))
    q = (a + d) + (e + fma(more, f, v))
    return a, constant(a, 0) - p, fma(more, w, constant(a, 0) - (q + a)), fma(more, v, p - f), q, f


@kernel
def delta_column(delta, at, step, down, inside, square):
    """Multiply A with a column of a square of the delta, of which `down` rows are in the image if it is `inside`."""
    a, b = pixel(delta, at, inside, (0,)), pixel(delta, at + step, inside and down > 1, (0,))
    if len(square) == 2:
        return delta_part(a, b, a, a, square)
    c, d = (
        pixel(delta, at + 2 * step, inside and down > 2, (0,)),
        pixel(delta, at + 3 * step, inside and down > 3, (0,)),
    )
    return delta_part(a, b, c, d, square)


@kernel
def transform_square(delta, n, rows, columns, patches, filters, scratch, at, place, square):
    """Write A delta At of all filters of square n; place p of the first filter goes to scratch[at + p * place]."""
    b, i, j = corner_of(n, patches, square)
    down, right = rows.count - i, columns.count - j
    width = filters * LANES
    step = columns.count * width
    x = ((b * rows.count + i) * columns.count + j) * width
    to = at
    for _ in range(filters):
        x0 = delta_column(delta, x, step, down, True, square)
        x1 = delta_column(delta, x + width, step, down, right > 1, square)
        x2 = x3 = x1
        if len(square) == 4:
            x2 = delta_column(delta, x + 2 * width, step, down, right > 2, square)
            x3 = delta_column(delta, x + 3 * width, step, down, right > 3, square)
        store_six(scratch, to, place, delta_part(x0[0], x1[0], x2[0], x3[0], square))
        store_six(scratch, to + 6 * place, place, delta_part(x0[1], x1[1], x2[1], x3[1], square))
        store_six(scratch, to + 12 * place, place, delta_part(x0[2], x1[2], x2[2], x3[2], square))
        store_six(scratch, to + 18 * place, place, delta_part(x0[3], x1[3], x2[3], x3[3], square))
        store_six(scratch, to + 24 * place, place, delta_part(x0[4], x1[4], x2[4], x3[4], square))
        store_six(scratch, to + 30 * place, place, delta_part(x0[5], x1[5], x2[5], x3[5], square))
        x += LANES
        to += LANES


@kernel
def add_pixel(grad_input, at, inside, value):
    """Add a lane vector to a pixel, if it is in the image."""
    if inside:
        store(grad_input, at, load(grad_input, at) + value)


@kernel
def add_row(grad_input, at, width, column, columns, values):
    """Add six lane vectors to six pixels side by side, where they are in the image."""
    size = columns.input_size
    add_pixel(grad_input, at, 0 <= column < size, values[0])
    add_pixel(grad_input, at + width, 0 <= column + 1 < size, values[1])
    add_pixel(grad_input, at + 2 * width, 0 <= column + 2 < size, values[2])
    add_pixel(grad_input, at + 3 * width, 0 <= column + 3 < size, values[3])
    add_pixel(grad_input, at + 4 * width, 0 <= column + 4 < size, values[4])
    add_pixel(grad_input, at + 5 * width, 0 <= column + 5 < size, values[5])


@kernel
def six_parts(scratch, at, step):
    """Load six lane vectors and multiply B with them."""
    return pixel_part(
        load(scratch, at), load(scratch, at + step), load(scratch, at + 2 * step), load(scratch, at + 3 * step),
        load(scratch, at + 4 * step), load(scratch, at + 5 * step),
    )  # fmt: skip


@kernel
def add_patch(scratch, at, place, room, grad_input, b, row, column, rows, columns, channels, c, count):
    """Add B M Bt of `count` channels from c on to the pixels of a patch."""
    line = SIDE * LANES
    for s in range(SIDE):
        for f in range(count):
            to = room + (f * PLACES + s) * LANES
            store_six(scratch, to, line, six_parts(scratch, at + s * place + f * LANES, SIDE * place))
    width = channels * LANES
    for r in range(SIDE):
        if 0 <= row + r < rows.input_size:
            to = ((b * rows.input_size + row + r) * columns.input_size + column) * width + c * LANES
            for f in range(count):
                values = six_parts(scratch, room + f * PLACES * LANES + r * line, LANES)
                add_row(grad_input, to + f * LANES, width, column, columns, values)


@kernel
def multiply_and_add(
    weights, grad_input, scratch, deltas_at, products_at, room, first, last, c, w, rows, columns, inputs, outputs,
    patches, square, pair, channels,
):  # fmt: skip
    """Do one tile of channels for a stretch of squares: the products of all places, then B M Bt."""
    place = place_size(len(pair), len(channels))
    delta_place = place_size(patches.stretch, outputs)
    for n in range(first, last, len(pair)):
        x = deltas_at + (n - first) * outputs * LANES
        multiply_places(scratch, x, delta_place, outputs, weights, w, products_at, pair, channels)
        for m in range(n, min(n + len(pair), last)):
            b, i, j = corner_of(m, patches, square)
            add_patch(
                scratch, products_at + (m - n) * len(channels) * LANES, place, room, grad_input,
                b, i + rows.offset, j + columns.offset, rows, columns, inputs, c, len(channels),
            )  # fmt: skip


@parallel_kernel
def add_patches(
    delta, weights, grad_input, scratch, workers, blocks, bundles, inputs, outputs, geometry, square, pair, tall, short
):
    """Write the gradient of the input of the first `blocks` blocks, with filters from `transform_filters`.

    Parameters
    ----------
    delta, grad_input : 1-D array, float32 or float64
    weights : 1-D array
        As (p, tile of channels, filter, channel in tile).
    scratch : 1-D array
        Room for a stretch of squares and of products per worker.
    workers, bundles : int
        Any numbers give the same bits. Each of the bundles of channels transforms the delta for itself.
    inputs, outputs : int
        Channels of the layer.
    geometry : tuple of (rows, columns, patches, tiles)
        Axis, Axis (of the forward pass), Patches and Tiles (how the layer's input channels are cut), each as a plain
        tuple.
    square, pair, tall, short : tuple of int
        Only their lengths count: outputs of a square's side, squares side by side in a register tile, and the two tile
        heights.
    """
    rows, columns = Axis(*geometry[0]), Axis(*geometry[1])
    patches, tiles = Patches(*geometry[2]), Tiles(*geometry[3])
    units = blocks * bundles
    cuts = tiles.tall + tiles.short
    image = patches.rows * patches.columns
    width = inputs * LANES
    for index in prange(workers):
        worker = np.intp(index)
        deltas_at = worker * (scratch.size // workers)
        delta_place = place_size(patches.stretch, outputs)
        products_at = deltas_at + PLACES * delta_place
        room = products_at + PLACES * place_size(len(pair), len(tall))
        for unit in range(worker * units // workers, (worker + 1) * units // workers):
            b, bundle = unit // bundles, unit % bundles
            cut0, cut1 = bundle * cuts // bundles, (bundle + 1) * cuts // bundles
            c0 = cut0 * len(tall) - max(cut0 - tiles.tall, 0)
            c1 = cut1 * len(tall) - max(cut1 - tiles.tall, 0)
            for n in range(b * rows.input_size * columns.input_size, (b + 1) * rows.input_size * columns.input_size):
                for c in range(c0, c1):
                    store(grad_input, n * width + c * LANES, constant(grad_input, 0))
            for first in range(b * image, (b + 1) * image, patches.stretch):
                last = min(first + patches.stretch, (b + 1) * image)
                for n in range(first, last):
                    transform_square(
                        delta, n, rows, columns, patches, outputs,
                        scratch, deltas_at + (n - first) * outputs * LANES, delta_place, square,
                    )  # fmt: skip
                c = c0
                for cut in range(cut0, cut1):
                    w = outputs * c
                    if cut < tiles.tall:
                        multiply_and_add(
                            weights, grad_input, scratch, deltas_at, products_at, room, first, last, c, w,
                            rows, columns, inputs, outputs, patches, square, pair, tall,
                        )  # fmt: skip
                        c += len(tall)
                    else:
                        multiply_and_add(
                            weights, grad_input, scratch, deltas_at, products_at, room, first, last, c, w,
                            rows, columns, inputs, outputs, patches, square, pair, short,
                        )  # fmt: skip
                        c += len(short)
