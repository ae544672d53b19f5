"""What pooling is compared with, against the naive loops; sums, concatenation and dropout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnntrain.verify.proof_network import batches_of, prove_layer, running
from cnntrain.verify.proof_pooling import first_maxima, routed, windows_of
from tests import naive
from tests.verify.test_proof_linear import FLOAT32, FLOAT64, proofs_of, rows_of

POOLINGS: list[tuple[dict[str, Any], tuple[int, int, int]]] = [
    ({"kernel_size": 2}, (2, 4, 6)),
    ({"kernel_size": 3, "stride": 1}, (2, 5, 6)),
    ({"kernel_size": [3, 2], "stride": 2, "padding": 1, "ceil_mode": True}, (2, 6, 5)),
]


@pytest.mark.parametrize(("settings", "shape"), POOLINGS, ids=str)
def test_maxima_and_routes_are_those_of_the_naive_loops(settings: dict[str, Any], shape: tuple[int, int, int]) -> None:
    row = rows_of(str([{"max_pool2d": settings}]), shape)[0]
    rows, columns = windows_of(row)
    generator = np.random.default_rng(1)
    x = generator.integers(-2, 3, (3, *shape))  # many ties
    maxima, mask = first_maxima(x, rows, columns)
    right, places = naive.max_pool2d(x, **settings)
    np.testing.assert_array_equal(maxima, right)
    i, j = np.arange(rows.windows)[:, None], np.arange(columns.windows)
    row_of = i * rows.stride - rows.padding + mask // columns.taps
    column_of = j * columns.stride - columns.padding + mask % columns.taps
    np.testing.assert_array_equal(row_of * shape[2] + column_of, places)
    delta = generator.integers(-9, 10, right.shape)
    np.testing.assert_array_equal(
        routed(delta, mask, x.shape, rows, columns), naive.max_pool2d_backward(delta, places, x.shape)
    )


@pytest.mark.parametrize(
    "layer",
    [
        "max_pool2d: {kernel_size: 3, stride: 2, padding: 1, ceil_mode: true}",
        "avg_pool2d: {kernel_size: 3, stride: 2, padding: 1, ceil_mode: true}",
        "avg_pool2d: {kernel_size: [2, 3], stride: 2, padding: 1, count_padding: false}",
        "global_avg_pool2d",
        "dropout: 0.4",
        "residual: [tanh]",
        "residual: {body: [conv2d: {filters: 3, kernel_size: 1, stride: 2}], shortcut: zero_padded}",
        "branches: [[tanh], [], [sigmoid]]",
        "branches: {sequences: [[tanh], [], [sigmoid]], merge: add}",
    ],
)
def test_right_layers(layer: str) -> None:
    row = running(rows_of(f"[{layer}]", (2, 6, 5)))[-1].row
    for dtype in (FLOAT64, FLOAT32):
        found = prove_layer(row, batches_of(20, 3), types=[dtype])
        assert len(found) == 2
        assert {proof.verdict for proof in found} <= {"exact", "rounded"}


def test_means_of_numbers_that_are_too_large_for_float32_are_not_tried() -> None:
    row = rows_of("[avg_pool2d: {kernel_size: 11, padding: 5, stride: 1, count_padding: false}]", (1, 11, 11))[0]
    [found] = prove_layer(row, batches_of(4, 1), types=[FLOAT32])
    assert found.verdict == "not tried"
    assert found.note.endswith("are too large for float32")


def test_numbers_of_a_mean_are_multiples_of_the_windows() -> None:
    found = proofs_of("[global_avg_pool2d]", (2, 4, 3))
    assert found["forward"].numbers == "float64 ±1000 x 12"


def test_layers_that_do_nothing_have_no_proof() -> None:
    assert proofs_of("[flatten]", (2, 3, 2)) == {}
