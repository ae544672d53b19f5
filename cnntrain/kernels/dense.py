"""Dense layers forward and backward to the input: one kernel, `multiply`.

A dense layer is a convolution whose filter covers its whole input. Letters and layout as in `kernels.convolution`;
inputs are counted in the order in which they lie in memory, (row, column, channel). The weights (unit, input) are used
as they are: forward, a tile walks along rows of the matrix, eight at a time; backward to the input it walks down
columns, that is, it multiplies by the transposed matrix.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, outer_kernel, parallel_kernel
from cnntrain.kernels.convolution import Arrays
from cnntrain.kernels.geometry import Tiles
from cnntrain.kernels.lanes import accumulate, memory, tile_splat, tile_store
from cnntrain.kernels.work import some_tiles
from cnntrain.shape import LANES


class Matrix(NamedTuple):
    """How weights are read: output k is the sum over j < sums of weights[k * output_step + j * sum_step] x[j].

    Forward: sums = inputs, output_step = inputs, sum_step = 1. To the input: sums = units, output_step = 1,
    sum_step = inputs.
    """

    sums: int
    outputs: int
    output_step: int
    sum_step: int


@kernel
def multiply_tile(state, k, heights):
    """Compute `len(heights)` outputs from k for all blocks: their weights stay in the L1 cache while blocks pass."""
    arrays, matrix, blocks, pair = state
    sums, outputs = matrix.sums, matrix.outputs
    for b in range(0, blocks, len(pair)):
        tile = tile_splat(arrays.bias, k, pair, heights)
        x = b * sums * LANES
        w = k * matrix.output_step
        for _ in range(sums):
            tile = accumulate(tile, arrays.image, x, sums * LANES, arrays.weights, w, matrix.output_step)
            x += LANES
            w += matrix.sum_step
        tile_store(arrays.output, (b * outputs + k) * LANES, outputs * LANES, LANES, tile)


@outer_kernel
def multiply_unit(tile, arrays, blocks, plain_matrix, plain_tiles, sizes):
    """Give the plain tuples names, and compute the outputs of one tile."""
    pair, tall, short = sizes
    state = (arrays, Matrix(*plain_matrix), blocks, pair)
    some_tiles(multiply_tile, state, tile, tile + 1, Tiles(*plain_tiles), tall, short)


@parallel_kernel
def multiply(image, weights, bias, output, blocks, geometry, sizes):
    """output[b, k, lane] = bias[k] + sum over j < sums of weights[k * output_step + j * sum_step] * image[b, j, lane].

    Parameters
    ----------
    image, output : 1-D array, float32 or float64
    weights, bias : 1-D array
    blocks : int
        They are rounded up to whole register tiles.
    geometry : tuple of (matrix, tiles)
        Matrix and Tiles, each as a plain tuple.
    sizes : tuple of (pair, tall, short)
        Dummy tuples: blocks side by side in a register tile, and the two tile heights.
    """
    matrix, tiles = geometry  # apart: tuples in tuples do not enter a parallel loop
    pair, tall, short = sizes
    for index in prange(tiles[0] + tiles[1]):
        arrays = Arrays(memory(image), memory(weights), memory(bias), memory(output))
        multiply_unit(np.intp(index), arrays, blocks, matrix, tiles, (pair, tall, short))
