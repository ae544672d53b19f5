"""Backward through a dense layer with few images: lanes without an image are left out.

Letters and layout as in `kernels.dense`, for a single block; n image. Each sum has the order of the kernels for whole
blocks, `dense.multiply` and `weight_gradient_positions.by_positions`, which add zeros for the lanes left out: the same
bits.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, outer_kernel, parallel_kernel, shared
from cnntrain.kernels.lanes import (
    accumulate,
    constant,
    fma,
    load,
    memory,
    put,
    splat_at,
    store,
    sum_lanes,
    take,
    tile_store,
    tile_zero,
)
from cnntrain.kernels.work import share
from cnntrain.shape import LANES

STRIP = 4 * LANES  # numbers of a gradient that are computed at a time


@shared
def line_of(inputs):
    """Return from an image's inputs to the next's in scratch memory: whole lines, and an odd number of them."""
    return (inputs // LANES + 1 | 1) * LANES


@shared
def room(inputs, images):
    """Return the numbers of scratch memory that a unit needs."""
    return line_of(inputs) * images


@kernel
def products(arrays, k, at, scratch, images, inputs, strip):
    """gradient[k, j] = sum over n of delta[k, n] x[n, j], for all j; the last strip may overlap the one before."""
    _, delta, gradient, _, rows = arrays
    for strip_at in range(0, inputs, STRIP):
        j = min(strip_at, inputs - STRIP)
        tile = tile_zero(gradient, strip, (0,))
        for n in range(images):
            tile = accumulate(tile, rows, scratch + n * line_of(inputs) + j, LANES, delta, k * LANES + n, 0)
        tile_store(gradient, at + j, LANES, 0, tile)


@outer_kernel
def weights_of_some_units(unit, arrays, images, shape, division):
    """Compute the gradients of a share of the units."""
    image, delta, _, biases, rows = arrays
    inputs, outputs = shape
    scratch = unit * division[1]
    for n in range(images):
        for j in range(inputs):
            put(rows, scratch + n * line_of(inputs) + j, take(image, j * LANES + n))
    begin, end = share(unit, division[0], outputs)
    for k in range(begin, end):
        products(arrays, k, k * inputs, scratch, images, inputs, (0, 0, 0, 0))
    for k in range(begin, end if division[2] else begin):
        put(biases, k, sum_lanes(load(delta, k * LANES) + constant(delta, 0)))


@parallel_kernel
def weights_of_few(image, delta, sums, scratch, images, shape, division):
    """Write dL/dW[k, j] = sum over n of delta[k, n] x[j, n], and dL/db[k] = sum over the lanes of delta[k].

    Parameters
    ----------
    image, delta : 1-D array, float32 or float64
    sums : tuple of 1-D arrays
        dL/dW, (unit, input), and dL/db, which may be empty.
    scratch : 1-D array
        `room` for each unit of work.
    images : int
        At most 16.
    shape : tuple of (inputs, units)
        At least `STRIP` inputs.
    division : tuple of (units of work, room of each)
    """
    gradient, biases = sums
    for index in prange(division[0]):
        arrays = memory(image), memory(delta), memory(gradient), memory(biases), memory(scratch)
        work = division[0], division[1], min(biases.size, 1)
        weights_of_some_units(np.intp(index), arrays, images, shape, work)


@kernel
def add_rows(weights, delta, rows, k, images, begin, end, inputs):
    """rows[n, j] += sum of weights[k + i, j] delta[k + i, n] over four rows i, in their order, for begin <= j < end."""
    vectors = begin + (end - begin) // LANES * LANES
    w, d, line = k * inputs, k * LANES, line_of(inputs)
    for j in range(begin, vectors, LANES):
        w0, w1 = load(weights, w + j), load(weights, w + inputs + j)
        w2, w3 = load(weights, w + 2 * inputs + j), load(weights, w + 3 * inputs + j)
        for n in range(images):
            total = fma(w0, splat_at(delta, d + n), load(rows, n * line + j))
            total = fma(w1, splat_at(delta, d + LANES + n), total)
            total = fma(w2, splat_at(delta, d + 2 * LANES + n), total)
            store(rows, n * line + j, fma(w3, splat_at(delta, d + 3 * LANES + n), total))
    for i in range(4):
        add_rest(weights, delta, rows, k + i, images, vectors, end, inputs)


@kernel
def add_rest(weights, delta, rows, k, images, begin, end, inputs):
    """rows[n, j] += weights[k, j] delta[k, n], number by number."""
    for j in range(begin, end):
        for n in range(images):
            at = n * line_of(inputs) + j
            put(rows, at, take(rows, at) + take(weights, k * inputs + j) * take(delta, k * LANES + n))


@outer_kernel
def some_inputs(unit, arrays, images, shape, units):
    """Compute dL/dx of a share of the inputs, in whole vectors but for the last."""
    delta, weights, grad_input, rows = arrays
    inputs, outputs = shape
    first, last = share(unit, units, (inputs + LANES - 1) // LANES)
    begin, end = first * LANES, min(last * LANES, inputs)
    for n in range(images):
        for j in range(begin, end):
            put(rows, n * line_of(inputs) + j, 0)
    for k in range(0, outputs - 3, 4):
        add_rows(weights, delta, rows, k, images, begin, end, inputs)
    for k in range(outputs // 4 * 4, outputs):
        add_rest(weights, delta, rows, k, images, begin, end, inputs)
    for j in range(begin, end):
        store(grad_input, j * LANES, constant(grad_input, 0))
        for n in range(images):
            put(grad_input, j * LANES + n, take(rows, n * line_of(inputs) + j))


@parallel_kernel
def input_of_few(delta, weights, grad_input, scratch, images, shape, units):
    """Write dL/dx[j, n] = sum over k of W[k, j] delta[k, n], zero in lanes without an image.

    Parameters
    ----------
    delta, weights, grad_input : 1-D array, float32 or float64
    scratch : 1-D array
        `room` for all units of work together.
    images : int
        At most 16.
    shape : tuple of (inputs, units)
    units : int
        Of work.
    """
    for index in prange(units):
        arrays = memory(delta), memory(weights), memory(grad_input), memory(scratch)
        some_inputs(np.intp(index), arrays, images, shape, units)
