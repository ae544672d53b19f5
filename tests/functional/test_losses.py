"""Losses on plain arrays: values and gradients against the naive loops; extreme logits; the mean over the batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnntrain import functional
from tests import naive
from tests.functional.arrays import DTYPES, normal

LABEL_DTYPES = [np.int64, np.int32, np.uint8]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("images", [1, 2, 15, 16, 17, 33, 100])
@pytest.mark.parametrize("classes", [1, 2, 10, 17])
def test_cross_entropy_equals_the_naive_loops(images: int, classes: int, dtype: Any) -> None:
    """The loss is summed in float64; exp and log err by a few units of `dtype`."""
    generator = np.random.default_rng(61)
    logits, labels = 3 * normal(generator, (images, classes), dtype), generator.integers(0, classes, images)
    loss, grad_logits = functional.cross_entropy(logits, labels)
    expected_loss, expected_grad = naive.cross_entropy(logits, labels)
    eps = float(np.finfo(dtype).eps)
    assert isinstance(loss, float)
    assert loss == pytest.approx(expected_loss, rel=8 * eps, abs=8 * eps)
    assert grad_logits.dtype == dtype
    np.testing.assert_allclose(grad_logits, expected_grad, rtol=16 * eps, atol=8 * eps / images)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("images", [1, 16, 33])
@pytest.mark.parametrize("kind", ["labels", "targets"])
def test_mse_equals_the_naive_loops(kind: str, images: int, dtype: Any) -> None:
    generator = np.random.default_rng(62)
    outputs = normal(generator, (images, 7), dtype)
    wanted = generator.integers(0, 7, images) if kind == "labels" else normal(generator, (images, 7), dtype)
    loss, grad_outputs = functional.mse(outputs, wanted)
    expected_loss, expected_grad = naive.mse(outputs, wanted)
    eps = float(np.finfo(dtype).eps)
    assert isinstance(loss, float)
    assert loss == pytest.approx(expected_loss, rel=8 * eps)
    assert grad_outputs.dtype == dtype
    np.testing.assert_allclose(grad_outputs, expected_grad, rtol=4 * eps, atol=4 * eps / images)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_cross_entropy_of_extreme_logits(dtype: Any) -> None:
    """Softmax overflows and underflows unless the largest logit is subtracted first."""
    huge = 1e30
    logits = np.array([[huge, 0, -huge], [-huge, 0, huge], [1000, 999, -1000], [-1e4, -1e4, -1e4]], dtype)
    loss, grad_logits = functional.cross_entropy(logits, np.array([0, 2, 1, 1]))
    assert loss == pytest.approx((0 + 0 + math.log(1 + math.e) + math.log(3)) / 4, rel=1e-6)
    np.testing.assert_array_equal(grad_logits[:2], 0)
    np.testing.assert_allclose(4 * grad_logits[3], [1 / 3, -2 / 3, 1 / 3], rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_hopeless_image_costs_the_difference_of_its_logits(dtype: Any) -> None:
    """-log softmax, not log of a probability that has become 0."""
    loss, grad_logits = functional.cross_entropy(np.array([[5000, 0]], dtype), np.array([1]))
    assert loss == 5000
    np.testing.assert_array_equal(grad_logits, [[1, -1]])


@pytest.mark.parametrize("name", ["cross_entropy", "mse"])
@pytest.mark.parametrize("dtype", LABEL_DTYPES)
def test_labels_of_any_integer_type(name: str, dtype: Any) -> None:
    generator = np.random.default_rng(63)
    outputs, labels = normal(generator, (20, 5), np.float32), generator.integers(0, 5, 20)
    loss, gradient = getattr(functional, name)(outputs, labels.astype(dtype))
    expected_loss, expected_gradient = getattr(functional, name)(outputs, labels)
    assert loss == expected_loss
    np.testing.assert_array_equal(gradient, expected_gradient)


@given(st.integers(1, 40), st.integers(2, 12), st.sampled_from(DTYPES), st.integers(0, 2**32 - 1))
def test_each_images_gradients_sum_to_zero(images: int, classes: int, dtype: np.dtype, seed: int) -> None:
    """The probabilities sum to 1, and so does the label's row."""
    generator = np.random.default_rng(seed)
    logits, labels = 5 * normal(generator, (images, classes), dtype), generator.integers(0, classes, images)
    _, grad_logits = functional.cross_entropy(logits, labels)
    np.testing.assert_allclose(images * grad_logits.sum(axis=1), 0, atol=4 * classes * np.finfo(dtype).eps)


@given(st.integers(1, 5), st.sampled_from(["cross_entropy", "mse"]), st.integers(0, 2**32 - 1))
def test_the_loss_is_a_mean(repeats: int, name: str, seed: int) -> None:
    """The same images several times: the same loss, and gradients divided by the number of repeats."""
    generator = np.random.default_rng(seed)
    outputs, labels = generator.standard_normal((9, 4)), generator.integers(0, 4, 9)
    function = getattr(functional, name)
    loss, gradient = function(outputs, labels)
    many_loss, many_gradient = function(np.tile(outputs, (repeats, 1)), np.tile(labels, repeats))
    assert many_loss == pytest.approx(loss, rel=1e-13)
    np.testing.assert_allclose(many_gradient, np.tile(gradient, (repeats, 1)) / repeats, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["cross_entropy", "mse"])
def test_nan_and_infinity_stay_visible(name: str, dtype: Any) -> None:
    function = getattr(functional, name)
    outputs = np.zeros((18, 3), dtype)
    outputs[16, 1] = np.nan
    loss, gradient = function(outputs, np.zeros(18, np.int64))
    assert math.isnan(loss)
    assert np.isnan(gradient[16]).any()
    assert not np.isnan(np.delete(gradient, 16, axis=0)).any()
    outputs[16, 1] = np.inf
    assert not math.isfinite(function(outputs, np.zeros(18, np.int64))[0])
