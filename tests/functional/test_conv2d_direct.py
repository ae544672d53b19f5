"""`convolution="direct"`: what an output does not see does not disturb it, however large it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnntrain import functional as f
from cnntrain.errors import ArgumentError

HUGE = [1e6, 1e30, np.inf, np.nan]
AT = 7  # row and column of the pixel in question


def arrays(taps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, weights and deltas for which Winograd's algorithm is the fastest in all three passes."""
    random = np.random.default_rng(taps)
    x, delta = (random.standard_normal((1, 16, 16, 16)).astype(np.float32) for _ in range(2))
    return x, 0.1 * random.standard_normal((16, 16, taps, taps)).astype(np.float32), delta


def spoilt(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.copy()
    changed[0, 0, AT, AT] = value
    return changed


def blind(taps: int) -> np.ndarray:
    """Pixels whose window does not contain the one in question."""
    pixels, reach = np.ones((16, 16), bool), taps // 2
    pixels[AT - reach : AT + reach + 1, AT - reach : AT + reach + 1] = False
    return pixels


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("value", HUGE)
def test_forward(taps: int, value: float) -> None:
    x, weight, _ = arrays(taps)
    before, after = (f.conv2d(image, weight, padding="same", convolution="direct") for image in (x, spoilt(x, value)))
    np.testing.assert_array_equal(after[0][:, blind(taps)], before[0][:, blind(taps)])
    assert not np.array_equal(after, before)


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("value", HUGE)
def test_backward(taps: int, value: float) -> None:
    x, weight, delta = arrays(taps)
    settings: dict[str, Any] = {"padding": "same", "convolution": "direct"}
    before, after = (f.conv2d_backward(grad, x, weight, **settings)[0] for grad in (delta, spoilt(delta, value)))
    np.testing.assert_array_equal(after[0][:, blind(taps)], before[0][:, blind(taps)])
    before, after = (f.conv2d_backward(delta, image, weight, **settings)[1] for image in (x, spoilt(x, value)))
    np.testing.assert_array_equal(after[:, 1:], before[:, 1:])  # the pixel is one of channel 0


def test_without_it_outputs_close_by_are_disturbed() -> None:
    """So the tests above can fail; docs/reliability.md says by how much."""
    x, weight, _ = arrays(3)
    before, after = (f.conv2d(image, weight, padding="same") for image in (x, spoilt(x, 1e6)))
    error = np.abs(after - before)[0][:, blind(3)].max()
    assert 0 < error < 1e6 * 1e-6


def test_the_same_function() -> None:
    x, weight, _ = arrays(3)
    fastest, direct = (f.conv2d(x, weight, padding=1, convolution=choice) for choice in ("fastest", "direct"))
    assert not np.array_equal(fastest, direct)
    np.testing.assert_allclose(fastest, direct, atol=1e-4)


@pytest.mark.parametrize("call", [f.conv2d, lambda x, w, **named: f.conv2d_backward(x, x, w, padding=1, **named)])
def test_a_choice_that_is_none(call: Any) -> None:
    x, weight, _ = arrays(3)
    with pytest.raises(ArgumentError, match='must be "fastest" or "direct"; received \'winograd\''):
        call(x, weight, convolution="winograd")
