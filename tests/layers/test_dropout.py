"""Dropout: the mask against a generator written in plain Python, and what must and must not change it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from cnntrain.layers import LAYERS
from tests.functional.arrays import DTYPES, Array
from tests.layers.single import Single, check_gradients
from tests.naive_layers import mix_64, split_mix_64

GOLDEN = 0x9E3779B97F4A7C15


def mask(x: Array, rate: float = 0.5, *, step: int = 0, path: str = "0.layer", seed: int = 1, room: int = 0) -> Array:
    """Where values of ones survive."""
    single = Single.build("dropout", {"rate": rate}, np.ones_like(x), path=path, seed=seed, images=room)
    survived: Array = single.forward(np.ones_like(x), step=step) > 0
    return survived


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("step", [0, 1, 123456])
def test_the_mask_is_that_of_split_mix_64(step: int, dtype: np.dtype) -> None:
    """Element (block, row, column, channel, lane) takes the number of that place."""
    x = np.random.default_rng(1).standard_normal((17, 3, 2, 2)).astype(dtype)
    single = Single.build("dropout", {"rate": 0.3}, x)
    y = single.forward(x, step=step)
    key = int(single.layer._key)  # type: ignore[attr-defined]
    state = mix_64((key + GOLDEN * mix_64((step + GOLDEN) % 2**64)) % 2**64)
    bits = np.array([number >> 32 for number in split_mix_64(state, 2 * 2 * 2 * 3 * 16)]).reshape(2, 2, 2, 3, 16)
    kept = (bits >= round(0.3 * 2**32)).transpose(0, 4, 3, 1, 2).reshape(32, 3, 2, 2)[:17]
    np.testing.assert_array_equal(y, np.where(kept, x * dtype.type(1 / 0.7), 0))


def test_the_mask_depends_on_seed_layer_and_step_alone() -> None:
    x = np.ones((20, 4, 5, 5), np.float32)
    reference = mask(x, step=7)
    np.testing.assert_array_equal(reference, mask(x, step=7))
    np.testing.assert_array_equal(reference, mask(x, step=7, room=100))  # room for larger batches
    np.testing.assert_array_equal(reference[:3], mask(x[:3], step=7))
    np.testing.assert_array_equal(reference, mask(x.astype(np.float64), step=7))
    others = [mask(x, step=8), mask(x, step=7, seed=2), mask(x, step=7, path="1.layer"), mask(x, step=7, path="0.laye")]
    for other in others:  # independent masks agree in half of the 2,000 places: 1,000 +- 22
        assert 900 < np.count_nonzero(reference == other) < 1100


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_the_share_that_is_dropped(rate: float) -> None:
    kept = mask(np.ones((64, 8, 16, 16), np.float32), rate)
    assert abs(kept.mean() - (1 - rate)) < 4 * np.sqrt(rate * (1 - rate) / kept.size)
    # neighbours along no axis know of each other
    for axis in range(4):
        a, b = np.take(kept, range(kept.shape[axis] - 1), axis), np.take(kept, range(1, kept.shape[axis]), axis)
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)


def test_evaluation_is_the_identity() -> None:
    x = np.random.default_rng(2).standard_normal((17, 2, 3, 3)).astype(np.float32)
    single = Single.build("dropout", {"rate": 0.9}, x)
    np.testing.assert_array_equal(single.forward(x, training=False), x)
    np.testing.assert_array_equal(single.backward(x), x)


def test_rate_zero_is_the_identity() -> None:
    x = np.random.default_rng(3).standard_normal((2, 2, 3, 3)).astype(np.float32)
    single = Single.build("dropout", {"rate": 0.0}, x)
    np.testing.assert_array_equal(single.forward(x), x)
    np.testing.assert_array_equal(single.backward(x), x)


def test_gradients_with_the_mask_held_fixed() -> None:
    x = np.random.default_rng(4).standard_normal((3, 2, 3, 3))
    check_gradients(Single.build("dropout", {"rate": 0.4}, x), x, step=9)


def test_nan_stays_visible_even_where_it_is_dropped() -> None:
    x = np.full((16, 1, 4, 4), np.nan, np.float32)
    assert np.isnan(Single.build("dropout", {}, x).forward(x)).all()


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, "half"])
def test_impossible_rates(rate: object) -> None:
    settings: Any = LAYERS["dropout"].Settings
    with pytest.raises(ValidationError, match="rate"):
        settings(rate=rate)
