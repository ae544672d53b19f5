"""Arrays that begin at a cache line."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import DTypeLike

from cnntrain.memory import LINE, line_aligned
from tests.layers.networks import batch, loss, network

LAYERS = """
- conv2d: {filters: 20, kernel_size: 3}
- batch_norm2d
- relu
- max_pool2d: 2
- flatten
- dense: 30
- tanh
- dense: 3
"""


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int64], ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("size", [0, 1, 15, 1000, 50_001, 5_000_003])
def test_arrays_begin_at_a_line_and_hold_zeros(size: int, dtype: DTypeLike) -> None:
    array = line_aligned(size, dtype)
    assert array.ctypes.data % LINE == 0
    assert array.shape == (size,)
    assert array.dtype == dtype
    assert not array.any()
    array[:] = 1  # all of it can be written
    assert array.sum() == size


def test_slices_know_the_array_that_they_are_part_of() -> None:
    array = line_aligned(60_000, np.float32)
    part = array[20_000:20_006].reshape(2, 3)
    assert part.base is array
    part[1, 2] = 7
    assert array[20_005] == 7


def test_an_array_outlives_what_it_was_made_of() -> None:
    arrays = [line_aligned(30_000, np.float32) for _ in range(20)]
    for number, array in enumerate(arrays):
        array.fill(number)
    assert [float(array.mean()) for array in arrays] == list(range(20))


def test_what_the_layers_of_a_network_exchange_begins_at_a_line() -> None:
    net = network(LAYERS, (3, 40, 40), images=40, dtype=np.float32)
    loss(net, *batch(net, 40))
    net.backward()
    outputs = [layer.output for _, layer in net.body.walk() if getattr(layer, "output", None) is not None]
    assert len(outputs) >= 4
    shared = net.parameters[0].value.base, net.parameters[0].gradient.base
    for array in (*outputs, net._input, net._grad_input, *shared):
        assert array is not None
        assert array.ctypes.data % LINE == 0
