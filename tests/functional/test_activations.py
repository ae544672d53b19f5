"""Activations on plain arrays: accuracy over the whole range, exact properties, NaN and infinities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnntrain import functional
from tests import naive
from tests.functional.arrays import DTYPES, Array, normal

NAMES = ["relu", "sigmoid", "tanh"]
SHAPES = [(1,), (17,), (3, 5), (2, 3, 4, 5), (16, 1, 1, 1), (33, 2, 3, 3)]
# Units in the last place that a vectorised exp or tanh may err by; libm's own float32 functions err by up to 2.
LAST_PLACES = 4


def every_size(dtype: Any) -> Array:
    """Both signs of every order of magnitude, and a fine grid where the functions bend."""
    info = np.finfo(dtype)
    orders = 2.0 ** np.arange(info.minexp, info.maxexp, 1)
    positive = np.concatenate([orders, np.linspace(0, 30, 3001), np.linspace(80, 800, 721)])
    return np.concatenate([-positive[::-1], positive]).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_any_shape(name: str, shape: tuple[int, ...], dtype: Any) -> None:
    generator = np.random.default_rng(51)
    x, grad_output = normal(generator, shape, dtype), normal(generator, shape, dtype)
    y = getattr(functional, name)(x)
    grad_input = getattr(functional, f"{name}_backward")(grad_output, y)
    eps = np.finfo(dtype).eps
    for actual in (y, grad_input):
        assert actual.dtype == dtype
        assert actual.shape == shape
    np.testing.assert_allclose(y, getattr(naive, name)(x), rtol=LAST_PLACES * eps)
    np.testing.assert_allclose(
        grad_input, getattr(naive, f"{name}_backward")(grad_output, y), rtol=LAST_PLACES * eps, atol=4 * eps
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_accurate_from_the_smallest_to_the_largest_number(name: str, dtype: Any) -> None:
    """Relative error everywhere, also where sigmoid is tiny; subnormal results are free to be flushed to zero."""
    x = every_size(dtype)
    with np.errstate(under="ignore"):
        expected = getattr(naive, name)(x)
    info = np.finfo(dtype)
    np.testing.assert_allclose(getattr(functional, name)(x), expected, rtol=LAST_PLACES * info.eps, atol=info.tiny)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_relu_is_exact_at_every_size(dtype: Any) -> None:
    x = every_size(dtype)
    np.testing.assert_array_equal(functional.relu(x), np.maximum(x, 0))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_nan_stays_visible(name: str, dtype: Any) -> None:
    x = np.linspace(-2, 2, 35).astype(dtype)
    x[[0, 7, 16, 34]] = np.nan
    y = getattr(functional, name)(x)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(x))
    grad_output = np.ones_like(x)
    grad_output[20] = np.nan  # y is positive there in every one of the three
    clean = getattr(functional, name)(np.linspace(-2, 2, 35).astype(dtype))
    grad_input = getattr(functional, f"{name}_backward")(grad_output, clean)
    assert np.flatnonzero(np.isnan(grad_input)).tolist() == [20]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_infinities_and_zeros(dtype: Any) -> None:
    x = np.array([-np.inf, -0.0, 0.0, np.inf], dtype)
    np.testing.assert_array_equal(functional.relu(x), [0, 0, 0, np.inf])
    np.testing.assert_array_equal(functional.sigmoid(x), [0, 0.5, 0.5, 1])
    np.testing.assert_array_equal(functional.tanh(x), [-1, 0, 0, 1])
    y = np.array([0.0, -0.0, 1e-30], dtype)
    np.testing.assert_array_equal(functional.relu_backward(np.ones(3, dtype), y), [0, 0, 1])


@given(st.floats(-50, 50), st.sampled_from(DTYPES))
def test_tanh_is_odd_and_both_stay_within_their_range(value: float, dtype: np.dtype) -> None:
    x = np.array([value, -value], dtype)
    tanh = functional.tanh(x)
    assert tanh[0] == -tanh[1]
    assert (np.abs(tanh) <= 1).all()
    sigmoid = functional.sigmoid(x)
    assert ((sigmoid >= 0) & (sigmoid <= 1)).all()
    assert abs(sigmoid.sum() - 1) <= 2 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_an_entry_does_not_depend_on_its_place(name: str, dtype: Any) -> None:
    """The same bits in every lane and in the last, incomplete vector."""
    x = np.linspace(-6, 6, 40).astype(dtype)
    together = getattr(functional, name)(x)
    alone = np.array([getattr(functional, name)(x[i : i + 1])[0] for i in range(len(x))])
    np.testing.assert_array_equal(together, alone)
