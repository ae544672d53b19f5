"""The language that kernels are written in: vectors of 16 images, and tiles of such vectors.

`types` says what the two are, `vectors` and `tiles` what can be done with them; `exponential`, `logarithm` and `normal`
are functions made of that.
"""

from __future__ import annotations

from cnntrain.kernels.lanes.tiles import (
    accumulate,
    accumulate_lanes,
    accumulate_pairs,
    accumulate_shifted,
    narrow_tile_load,
    store_transposed,
    tile_load,
    tile_splat,
    tile_store,
    tile_zero,
)
from cnntrain.kernels.lanes.types import Lanes, Memory, Tile
from cnntrain.kernels.lanes.vectors import (
    absolute,
    constant,
    convert,
    exponent_of,
    fma,
    is_nan,
    lane_numbers,
    lane_of,
    load,
    mantissa_of,
    memory,
    negate,
    power_of_two,
    round_even,
    select,
    splat,
    splat_at,
    store,
    sum_lanes,
)

__all__ = [
    "Lanes",
    "Memory",
    "Tile",
    "absolute",
    "accumulate",
    "accumulate_lanes",
    "accumulate_pairs",
    "accumulate_shifted",
    "constant",
    "convert",
    "exponent_of",
    "fma",
    "is_nan",
    "lane_numbers",
    "lane_of",
    "load",
    "mantissa_of",
    "memory",
    "narrow_tile_load",
    "negate",
    "power_of_two",
    "round_even",
    "select",
    "splat",
    "splat_at",
    "store",
    "store_transposed",
    "sum_lanes",
    "tile_load",
    "tile_splat",
    "tile_store",
    "tile_zero",
]
