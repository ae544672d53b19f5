"""Calls of kernels from Python, of which a step of a small network makes dozens."""

from __future__ import annotations

import sys

import numpy as np
from numba.core import types
from numba.core.dispatcher import Dispatcher

from cnntrain.kernels.geometry import Axis, Channels, Tiles
from cnntrain.kernels.pooling import Pooled
from cnntrain.kernels.weight_gradient import Division
from cnntrain.kernels.winograd import Patches
from tests.layers.networks import batch, loss, network

LAYERS = """
- conv2d: {filters: 4, kernel_size: 3}
- max_pool2d: 2
- conv2d: {filters: 17, kernel_size: 3, stride: 2}
- max_pool2d: {kernel_size: 3, stride: 2}
- conv2d: {filters: 32, kernel_size: 3, padding: 1}
- tanh
- conv2d: {filters: 32, kernel_size: 3, padding: 1, groups: 32}
- max_pool2d: 2
- avg_pool2d: 2
- dense: 3
"""


def test_no_named_tuples_where_they_take_time() -> None:
    net = network(LAYERS, (1, 142, 142), images=20, dtype=np.float32)
    loss(net, *batch(net, 20))
    net.backward()
    called = set()
    for name, module in list(sys.modules.items()):
        for value in vars(module).values() if name.startswith("cnntrain.kernels.") else ():
            if isinstance(value, Dispatcher) and value.targetoptions.get("parallel") and value.signatures:
                called.add(value.py_func.__name__)
                for kind in (kind for signature in value.signatures for kind in signature):
                    named = getattr(kind, "instance_class", None) if isinstance(kind, types.BaseNamedTuple) else None
                    assert named not in {Axis, Channels, Tiles, Division, Patches, Pooled}, (
                        f"{value.py_func.__name__}: {kind}"
                    )
    assert {"correlate", "multiply", "by_lanes", "by_positions", "depthwise", "max_pool", "average_pool"} <= called
    assert {"weights_by_patches", "correlate_and_pool"} <= called
