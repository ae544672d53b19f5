"""What layers of one's own are made of: a file that a config names under `extensions:` imports from here alone.

An element-wise layer is a formula forward, one backward, and a class with a name:

    from cnntrain.extending import Activation, constant, elementwise

    @elementwise
    def cube(x):
        return x * x * x

    @elementwise
    def cube_backward(g, x):
        return g * constant(x, 3) * x * x

    class Cube(Activation):
        name = "cube"
        keeps_input = True  # backward takes x; without this line it takes y

        def kernels(self):
            return cube, cube_backward

    LAYERS = [Cube]

Each x is sixteen numbers, of sixteen images. Other layers derive from `Layer`: `examples/my_layers.py` has one.
`cnntrain gradcheck` compares backward with forward.

A layer
    `Layer`, or `Activation` where it goes element by element; `LayerRow` is what it was planned as (settings, shapes),
    `LayerContext` gives it arrays, parameters and random numbers, `Batch` says which images pass. `Parameter` and
    `Statistic` are what it keeps; `GradInput` is room for dL/d(input). `Kernel` is the type of a kernel.
Its YAML keys
    `LayerSettings` or `ActivationSettings`, with `Field`s of pydantic; `InitializerChoice` is the type of a key that
    chooses initial values. `Shape` is that of one image; `ShapeError` says that it does not fit.
Kernels
    `elementwise` as above. `parallel_kernel` compiles what Python calls, a loop over `prange`; `kernel` what such a
    loop calls. Arrays are flat: (block of 16 images, row, column, channel, lane). `UNITS` units of work take a `span`
    of elements each, or a `share` of other things; `used_lanes` of a block hold an image.
Lane vectors
    `load` and `store` them, `LANES` = 16 numbers at once; make them with `constant`, `splat`, `lane_numbers`; compute
    with + - * / and comparisons, `absolute`, `fma`, `select`, `is_nan`, `negate`, `round_even`, `exponential`,
    `exponential_minus_one`, `logarithm`, `logarithm_1p`, `power`, `logistic`, `hyperbolic_tangent`,
    `normal_distribution`; take them apart with `lane_of`, `sum_lanes`.
"""

from __future__ import annotations

from numba import prange
from pydantic import Field

from cnntrain.errors import ShapeError
from cnntrain.initializers import InitializerChoice
from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.elementwise import elementwise
from cnntrain.kernels.lanes import (
    absolute,
    constant,
    fma,
    is_nan,
    lane_numbers,
    lane_of,
    load,
    negate,
    round_even,
    select,
    splat,
    store,
    sum_lanes,
)
from cnntrain.kernels.lanes.exponential import exponential, exponential_minus_one, hyperbolic_tangent, logistic
from cnntrain.kernels.lanes.logarithm import logarithm, logarithm_1p, power
from cnntrain.kernels.lanes.normal import normal_distribution
from cnntrain.kernels.work import UNITS, share, span, used_lanes
from cnntrain.layers import (
    Activation,
    ActivationSettings,
    Batch,
    Kernel,
    Layer,
    LayerContext,
    LayerRow,
    LayerSettings,
)
from cnntrain.layers.gradients import GradInput
from cnntrain.parameters import Parameter, Statistic
from cnntrain.shape import LANES, Shape

__all__ = [
    "LANES",
    "UNITS",
    "Activation",
    "ActivationSettings",
    "Batch",
    "Field",
    "GradInput",
    "InitializerChoice",
    "Kernel",
    "Layer",
    "LayerContext",
    "LayerRow",
    "LayerSettings",
    "Parameter",
    "Shape",
    "ShapeError",
    "Statistic",
    "absolute",
    "constant",
    "elementwise",
    "exponential",
    "exponential_minus_one",
    "fma",
    "hyperbolic_tangent",
    "is_nan",
    "kernel",
    "lane_numbers",
    "lane_of",
    "load",
    "logarithm",
    "logarithm_1p",
    "logistic",
    "negate",
    "normal_distribution",
    "parallel_kernel",
    "power",
    "prange",
    "round_even",
    "select",
    "share",
    "span",
    "splat",
    "store",
    "sum_lanes",
    "used_lanes",
]
