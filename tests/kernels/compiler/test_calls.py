"""Calls of kernels from Python, of which a step of a small network makes dozens."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numba.core import types
from numba.core.dispatcher import Dispatcher

from tests.layers.networks import batch, loss, network

LAYERS = """
- conv2d: {filters: 4, kernel_size: 3}
- max_pool2d: 2
- conv2d: {filters: 6, kernel_size: 3, stride: 2}
- max_pool2d: {kernel_size: 3, stride: 2}
- conv2d: {filters: 32, kernel_size: 3, padding: 1}
- tanh
- conv2d: {filters: 32, kernel_size: 3, padding: 1, groups: 32}
- max_pool2d: 2
- avg_pool2d: 2
- batch_norm2d
- prelu
- local_response_norm
- residual: {body: [max_pool2d: {kernel_size: 2, stride: 2}], shortcut: zero_padded}
- branches: [[], [leaky_relu]]
- dense: 3
"""


def has_name(kind: Any) -> bool:
    """Tell whether a type is a named tuple, or a tuple with one inside."""
    return isinstance(kind, types.BaseNamedTuple) or any(map(has_name, getattr(kind, "types", ())))


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
                    assert not has_name(kind), f"{value.py_func.__name__}: {kind}"
    assert {"correlate", "multiply", "by_lanes", "by_positions", "depthwise", "max_pool", "average_pool"} <= called
    assert {
        "normalize_backward",
        "prelu_backward",
        "local_response_backward",
        "add_subsampled",
        "copy_channels",
    } <= called
    assert {"weights_by_patches", "correlate_and_pool"} <= called
