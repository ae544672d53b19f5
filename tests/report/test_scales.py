from __future__ import annotations

import math

import pytest

from cnntrain.report.scales import scale_over


def test_even_and_logarithmic_places() -> None:
    even = scale_over([0.0, 100.0], 200, 0)
    assert (even.low, even.high) == (-5, 105)
    assert even(50) == pytest.approx(100)
    steep = scale_over([0.01, 1.0], 0, 100, logarithmic=True)
    assert steep(0.1) == pytest.approx(50)


@pytest.mark.parametrize(
    "values", [[0.1], [0.0], [-3.0, -3.0], [1e-300, 1e-300], [0.8912, 0.8913], [3e9, 5e9], [-1e-9, 1e-9], []]
)
def test_round_numbers_within(values: list[float]) -> None:
    scale = scale_over(values, 0, 100)
    ticks = scale.ticks(5)
    assert 2 <= len(ticks) <= 8
    assert all(scale.low - 1e-9 * abs(scale.low) <= tick <= scale.high + 1e-9 * abs(scale.high) for tick in ticks)
    for value in values:
        assert 0 <= scale(value) <= 100


@pytest.mark.parametrize("values", [[1e-3, 2.3], [0.5, 0.5], [2e-8, 5e12], [1e-320, 1e308], [0.9, 1.1]])
def test_logarithms(values: list[float]) -> None:
    scale = scale_over(values, 0, 100, logarithmic=True)
    ticks = scale.ticks(5)
    assert 2 <= len(ticks) <= 12
    for value in (*values, *ticks):
        assert math.isfinite(scale(value))
        assert -1e-6 <= scale(value) <= 100 + 1e-6
