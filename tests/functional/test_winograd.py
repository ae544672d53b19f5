"""3x3 convolutions with enough channels to be computed by Winograd's algorithm, against the naive loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnntrain import functional
from cnntrain.passes import winograd
from cnntrain.passes.convolution import Convolution, ConvolutionGeometry, Correlation, Window
from cnntrain.passes.winograd import WinogradCorrelation, WinogradWeightGradient
from tests import naive
from tests.functional.arrays import DTYPES, Array, Case, assert_same, assert_sum_close, normal, whole

# Sizes even and odd, patches that hang over the edge on each side, filters that do and do not fill register tiles.
CASES = [
    Case(17, 16, (8, 8), 16, (3, 3), padding=1),
    Case(2, 24, (12, 11), 26, (3, 3), padding=1),
    Case(33, 16, (12, 13), 19, (3, 3)),
    Case(2, 17, (11, 16), 33, (3, 3), padding=2),
    Case(3, 20, (10, 17), 23, (3, 3), padding=(2, 0)),
    Case(2, 24, (16, 12), 17, (3, 3), padding=(0, 2)),
    Case(2, 70, (6, 24), 18, (3, 3), padding=1),  # several stretches in a row of patches
    Case(2, 3, (1, 1), 2, (3, 3), padding=1),  # far smaller than a patch
    Case(2, 3, (4, 1), 2, (3, 3), padding=(0, 2)),
    Case(2, 20, (12, 13), 16, (3, 3), padding=1, mode="convolution"),
]


def is_winograd(case: Case) -> bool:
    rows, columns = (
        Window(size, 3, 1, pad, pad)
        for size, pad in zip(case.size, np.broadcast_to(case.padding, 2).tolist(), strict=True)
    )
    geometry = ConvolutionGeometry(case.channels, case.filters, rows, columns)
    passes = Convolution(geometry, 2, np.dtype(np.float32))
    kinds = [type(part) for part in (passes.forward, passes._full, passes._weights)]
    return kinds == [WinogradCorrelation, WinogradCorrelation, WinogradWeightGradient]


@pytest.fixture
def whatever_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every shape that the algorithm can compute be computed by it."""
    monkeypatch.setattr(winograd, "TRANSFORM", -(10**9))
    monkeypatch.setattr(winograd, "WORTH", 2)  # several sums, several bundles of filters


@pytest.mark.usefixtures("whatever_it_costs")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward_and_backward_equal_the_naive_loops(case: Case, dtype: Any) -> None:
    """Exactly, on whole numbers: halves and quarters of them are exact too."""
    assert is_winograd(case)
    generator = np.random.default_rng(71)
    x, weight = whole(generator, case.x_shape, dtype), whole(generator, case.weight_shape, dtype)
    bias = whole(generator, (case.filters,), dtype)
    y = functional.conv2d(x, weight, bias, **case.settings)
    assert_same(y, naive.conv2d(x, weight, bias, **case.settings), dtype)

    grad_output = whole(generator, y.shape, dtype)
    gradients = functional.conv2d_backward(grad_output, x, weight, **case.settings)
    expected = naive.conv2d_backward(grad_output, x, weight, **case.settings)
    for actual, wanted in zip(gradients, expected, strict=True):
        assert_same(actual, wanted, dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", CASES[:3], ids=str)
def test_rounding_errors_stay_within_those_of_a_sum(case: Case, dtype: Any) -> None:
    generator = np.random.default_rng(72)
    x, weight = normal(generator, case.x_shape, dtype), normal(generator, case.weight_shape, dtype)
    magnitude = naive.conv2d(abs(x), abs(weight), **case.settings)
    y = functional.conv2d(x, weight, **case.settings)
    assert_sum_close(y, naive.conv2d(x, weight, **case.settings), magnitude, 9 * case.channels, dtype)


def test_few_channels_and_small_images_are_computed_tap_by_tap() -> None:
    for case in (Case(2, 4, (16, 16), 4, (3, 3)), Case(2, 32, (3, 3), 32, (3, 3), padding=1)):
        assert not is_winograd(case)
    strided = ConvolutionGeometry(32, 32, Window(16, 3, 2, 1, 1), Window(16, 3, 2, 1, 1))
    assert isinstance(Convolution(strided, 2, np.dtype(np.float32)).forward, Correlation)


def test_a_bad_delta_is_seen_in_the_gradients() -> None:
    generator = np.random.default_rng(75)
    x, weight = whole(generator, (19, 16, 12, 12), np.float32) + 10, np.ones((16, 16, 3, 3), np.float32)
    grad_output = whole(generator, x.shape, np.float32)
    grad_output[18, 2, 5, 6] = np.nan
    grad_input, grad_weight, grad_bias = functional.conv2d_backward(grad_output, x, weight, padding=1)
    assert np.isnan(grad_input[18, :, 4:7, 5:8]).all()
    np.testing.assert_array_equal(np.isnan(grad_input).any(axis=(1, 2, 3)), np.arange(19) == 18)
    np.testing.assert_array_equal(np.isnan(grad_weight).all(axis=(1, 2, 3)), np.arange(16) == 2)
    np.testing.assert_array_equal(np.isnan(grad_weight).any(axis=(1, 2, 3)), np.arange(16) == 2)
    np.testing.assert_array_equal(np.isnan(grad_bias), np.arange(16) == 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_pixel_is_seen_by_every_output_that_reads_it_and_by_its_patches_alone(bad: float) -> None:
    generator = np.random.default_rng(73)
    x, weight = whole(generator, (19, 16, 12, 12), np.float32), np.ones((16, 16, 3, 3), np.float32)
    clean = functional.conv2d(x, weight, padding=1)
    x[17, 3, 4, 7] = bad
    y = functional.conv2d(x, weight, padding=1)
    reads, patches = np.zeros(y.shape, bool), np.zeros(y.shape, bool)
    reads[17, :, 3:6, 6:9] = True
    patches[17, :, 2:6, 6:10] = True  # the squares of 2x2 outputs whose 4x4 pixels contain it
    assert not np.isfinite(y[reads]).any()
    np.testing.assert_array_equal(y[~patches], clean[~patches])


def test_images_do_not_see_each_other_and_batches_give_the_same_bits() -> None:
    generator = np.random.default_rng(74)
    x = normal(generator, (40, 16, 9, 9), np.float32)
    weight = normal(generator, (18, 16, 3, 3), np.float32)
    together: Array = functional.conv2d(x, weight, padding=1)
    one_by_one = np.concatenate([functional.conv2d(x[n : n + 1], weight, padding=1) for n in range(40)])
    assert together.tobytes() == one_by_one.tobytes()
