"""Dense layers forward and backward to the input: one kernel, `multiply`.

A dense layer is a convolution whose filter covers its whole input. Letters and layout as in `kernels.convolution`;
inputs are counted in the order in which they lie in memory, (row, column, channel). The weights (unit, input) are used
as they are: forward, a tile walks along rows of the matrix, eight at a time; backward to the input it walks down
columns, that is, it multiplies by the transposed matrix.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.geometry import Tiles
from cnntrain.kernels.lanes import accumulate, tile_splat, tile_store
from cnntrain.shape import LANES


@kernel
def multiply_tile(image, weights, bias, output, blocks, k, sums, outputs, output_step, sum_step, pair, columns):
    """Compute `len(columns)` outputs from k for all blocks: their weights stay in the L1 cache while blocks pass."""
    for b in range(0, blocks, len(pair)):
        tile = tile_splat(bias, k, pair, columns)
        x = b * sums * LANES
        at = k * output_step
        for _ in range(sums):
            tile = accumulate(tile, image, x, sums * LANES, weights, at, output_step)
            x += LANES
            at += sum_step
        tile_store(output, (b * outputs + k) * LANES, outputs * LANES, LANES, tile)


@parallel_kernel
def multiply(image, weights, bias, output, blocks, sums, outputs, output_step, sum_step, cuts, pair, tall, short):
    """output[b, k, lane] = bias[k] + sum over j < sums of weights[k * output_step + j * sum_step] * image[b, j, lane].

    Forward: sums = inputs, output_step = inputs, sum_step = 1. To the input: sums = units, output_step = 1,
    sum_step = inputs. Blocks are rounded up to whole register tiles. `cuts` is Tiles as a plain tuple; of pair, tall
    and short only the lengths count.
    """
    tiles = Tiles(*cuts)
    for index in prange(tiles.tall + tiles.short):
        t = np.intp(index)
        if t < tiles.tall:
            multiply_tile(
                image, weights, bias, output, blocks, t * len(tall), sums, outputs, output_step, sum_step, pair, tall
            )
        else:
            k = tiles.tall * len(tall) + (t - tiles.tall) * len(short)
            multiply_tile(image, weights, bias, output, blocks, k, sums, outputs, output_step, sum_step, pair, short)
