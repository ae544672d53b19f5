"""Each initialiser by the properties that define it."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from cnntrain.config import infer_shapes, parse_config
from cnntrain.errors import ConfigError
from cnntrain.initializers import INITIALIZERS
from cnntrain.shape import Shape

SHAPE = (64, 32, 5, 4)  # 40,960 values: a standard deviation is right to about 1 %
FAN_IN, FAN_OUT = 32 * 20, 64 * 20


def values(name: str, shape: tuple[int, ...] = SHAPE, seed: int = 3, **settings: Any) -> NDArray[np.float64]:
    initializer = INITIALIZERS[name]
    return initializer(initializer.Settings(**settings)).values(shape, np.random.default_rng(seed))


def test_zeros_and_constant() -> None:
    assert values("zeros").shape == SHAPE
    assert not values("zeros").any()
    np.testing.assert_array_equal(values("constant", value=-0.5), np.full(SHAPE, -0.5))


def test_uniform() -> None:
    drawn = values("uniform", limit=0.2)
    assert -0.2 <= drawn.min() < -0.199 < 0.199 < drawn.max() <= 0.2
    assert drawn.std() == pytest.approx(0.2 / np.sqrt(3), rel=0.02)


def test_normal() -> None:
    drawn = values("normal", std=0.3)
    assert drawn.std() == pytest.approx(0.3, rel=0.02)
    assert abs(drawn.mean()) < 0.01
    assert (np.abs(drawn) < 0.3).mean() == pytest.approx(0.6827, abs=0.01)


@pytest.mark.parametrize(("fan", "number"), [("in", FAN_IN), ("out", FAN_OUT), ("average", (FAN_IN + FAN_OUT) / 2)])
@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize(("name", "gain"), [("xavier", 1.0), ("he", 2.0)])
def test_xavier_and_he_have_the_variance_gain_over_fan(
    name: str, gain: float, distribution: str, fan: str, number: float
) -> None:
    drawn = values(name, fan=fan, distribution=distribution)
    std = np.sqrt(gain / number)
    assert drawn.std() == pytest.approx(std, rel=0.02)
    largest = np.abs(drawn).max()
    if distribution == "uniform":
        assert 0.99 < largest / (np.sqrt(3) * std) <= 1
    else:
        assert largest > 3 * std


def test_the_defaults_of_xavier_and_he_are_those_of_their_papers() -> None:
    np.testing.assert_array_equal(values("xavier"), values("xavier", fan="average", distribution="uniform"))
    np.testing.assert_array_equal(values("he"), values("he", fan="in", distribution="uniform"))


def test_fans_of_a_matrix() -> None:
    assert values("xavier", (300, 200), fan="in").std() == pytest.approx(np.sqrt(1 / 200), rel=0.02)
    assert values("xavier", (300, 200), fan="out").std() == pytest.approx(np.sqrt(1 / 300), rel=0.02)


def test_truncated_normal_has_pytorchs_defaults() -> None:
    drawn = values("truncated_normal")
    assert 1.99 < np.abs(drawn).max() <= 2
    # of a standard normal distribution cut at 2: 1 - 2 * 2 phi(2) / (2 Phi(2) - 1)
    phi, kept = NormalDist().pdf(2), 2 * NormalDist().cdf(2) - 1
    assert drawn.var() == pytest.approx(1 - 4 * phi / kept, rel=0.03)


def test_the_bounds_of_truncated_normal_are_no_standard_deviations() -> None:
    assert values("truncated_normal", std=0.1).std() == pytest.approx(0.1, rel=0.02)
    drawn = values("truncated_normal", mean=1.0, std=0.5, low=1.2, high=1.5)
    assert 1.2 <= drawn.min() < 1.201 < 1.499 < drawn.max() <= 1.5
    density = NormalDist(1.0, 0.5)
    below = (density.cdf(1.3) - density.cdf(1.2)) / (density.cdf(1.5) - density.cdf(1.2))
    assert (drawn < 1.3).mean() == pytest.approx(below, abs=0.01)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"low": 1.0, "high": 1.0}, "needs low below high, not 1 and 1"),
        ({"low": 5.0, "high": 6.0}, "leaves 2.9e-07 of the distribution between low 5 and high 6"),
        ({"mean": 1e300}, "leaves 0 of the distribution"),
    ],
)
def test_truncated_normal_refuses_to_draw_for_ever(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        INITIALIZERS["truncated_normal"].Settings(**settings)


@given(shape=st.lists(st.integers(1, 6), min_size=2, max_size=4), seed=st.integers(0, 1000))
def test_orthogonal(shape: list[int], seed: int) -> None:
    matrix = values("orthogonal", tuple(shape), seed, gain=1.5).reshape(shape[0], -1) / 1.5
    rows, columns = matrix.shape
    product = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    np.testing.assert_allclose(product, np.eye(min(rows, columns)), atol=1e-12)


def test_orthogonal_is_not_biased() -> None:
    """Without the choice of signs the first diagonal entry would always be negative."""
    firsts = np.array([values("orthogonal", (3, 3), seed)[0, 0] for seed in range(400)])
    assert abs((firsts > 0).mean() - 0.5) < 0.1


@pytest.mark.parametrize("size", [(3, 3), (1, 1), (5, 3)])
def test_dirac_passes_channels_through(size: tuple[int, int]) -> None:
    weight = values("dirac", (4, 3, *size))
    expected = np.zeros((4, 3, *size))
    for channel in range(3):
        expected[channel, channel, size[0] // 2, size[1] // 2] = 1
    np.testing.assert_array_equal(weight, expected)


def test_dirac_in_groups() -> None:
    weight = values("dirac", (6, 2, 3, 3), groups=2)
    np.testing.assert_array_equal(weight[:3], weight[3:])
    np.testing.assert_array_equal(weight[:3], values("dirac", (3, 2, 3, 3)))


def test_the_rest_of_diracs_filters() -> None:
    """As PyTorch's users do it: all filters drawn, then as many as there are channels made dirac's."""
    drawn = values("uniform", (6, 2, 3, 3), limit=0.25)
    mixed = values("dirac", (6, 2, 3, 3), rest={"uniform": 0.25})
    np.testing.assert_array_equal(mixed[2:], drawn[2:])
    np.testing.assert_array_equal(mixed[:2], values("dirac", (2, 2, 3, 3)))
    grouped = values("dirac", (6, 2, 3, 3), groups=2, rest={"uniform": 0.25})
    np.testing.assert_array_equal(grouped[[2, 5]], drawn[[2, 5]])
    np.testing.assert_array_equal(grouped[3:5], mixed[:2])


def test_whitening_without_images_is_orthogonal() -> None:
    drawn = values("whitening", (8, 2, 3, 2))
    np.testing.assert_array_equal(drawn[:4], -drawn[4:])
    np.testing.assert_allclose(drawn[:4].reshape(4, -1) @ drawn[:4].reshape(4, -1).T, np.eye(4), atol=1e-12)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_the_same_generator_the_same_values(name: str) -> None:
    settings: dict[str, Any] = {"constant": {"value": 1.0}, "uniform": {"limit": 1.0}, "normal": {"std": 1.0}}.get(
        name, {}
    )
    np.testing.assert_array_equal(values(name, (4, 3, 3, 3), **settings), values(name, (4, 3, 3, 3), **settings))


@pytest.mark.parametrize(
    ("layer", "report"),
    [
        (
            "dense: {units: 10, bias_init: orthogonal}",
            "a.yaml:2:35: dense does not fit: orthogonal cannot make the bias: it needs two or more dimensions, these "
            "values have 1",
        ),
        (
            "dense: {units: 10, weight_init: dirac}",
            "a.yaml:2:37: dense does not fit: dirac cannot make the weight: it needs filters (four dimensions), these "
            "values have 2",
        ),
        (
            "conv2d: {filters: 10, kernel_size: 28, weight_init: {dirac: 3}}",
            "a.yaml:2:57: conv2d does not fit: dirac cannot make the weight: groups 3 does not divide the 10 filters",
        ),
    ],
)
def test_values_that_cannot_be_made(layer: str, report: str) -> None:
    text = f"network:\n  - {layer}\ndata: {{source: mnist, path: none}}\noptimizer: {{sgd: 0.1}}\n"
    with pytest.raises(ConfigError) as caught:
        infer_shapes(parse_config(text, "a.yaml"), Shape(1, 28, 28), 10)
    first = str(caught.value).splitlines()[0]
    assert first == report
