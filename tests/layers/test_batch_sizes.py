"""Batches of different sizes through the same network, one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from tests.layers.networks import batch, loss, network


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ("- conv2d: {filters: 22, kernel_size: 1}", (20, 1, 1)),  # few rows in a batch: most sums stay empty
        ("- conv2d: {filters: 22, kernel_size: 3, padding: 1}", (20, 1, 2)),
        ("- conv2d: {filters: 6, kernel_size: 3, padding: 1}", (5, 2, 3)),
        ("- conv2d: {filters: 22, kernel_size: 1}\n- max_pool2d: [1, 3]", (20, 1, 6)),
        ("- conv2d: {filters: 4, kernel_size: [1, 3]}\n- max_pool2d: [1, 3]", (1, 1, 11)),
        ("- dense: 9", (40, 1, 1)),
    ],
)
def test_nothing_of_a_larger_batch_is_left(layers: str, shape: tuple[int, int, int]) -> None:
    used, new = (network(f"{layers}\n- dense: classes", shape, images=70, dtype=np.float32) for _ in range(2))
    for net, sizes in ((used, (70, 5)), (new, (5,))):
        for images in sizes:
            loss(net, *batch(net, images))
            net.backward()
    for received, expected in zip(used.parameters, new.parameters, strict=True):
        assert expected.gradient.any()
        np.testing.assert_array_equal(received.gradient, expected.gradient)
    np.testing.assert_array_equal(used.grad_input, new.grad_input)
