"""Smoothed and weighted cross-entropy and the margin losses: PyTorch's values, naive loops, finite differences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from cnntrain import functional
from cnntrain.errors import ArgumentError
from tests import naive, naive_losses
from tests.functional.arrays import DTYPES, normal
from tests.golden import training_cases as training
from tests.golden.checks import load

WEIGHTS = [0.5, 2.0, 1.0, 0.0, 3.0, 1.5, 0.25]
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("cross_entropy", {"label_smoothing": 0.1}),
    ("cross_entropy", {"label_smoothing": 0.2, "class_weights": WEIGHTS}),
    ("hinge", {}),
    ("hinge", {"norm": 2}),
    ("multi_margin", {"margin": 0.7}),
    ("multi_margin", {"norm": 2}),
]


@pytest.mark.parametrize(
    ("name", "case", "settings"),
    [("cross_entropy", case, settings) for case, settings in training.CROSS_ENTROPIES.items()]
    + [("multi_margin", case, settings) for case, settings in training.MULTI_MARGINS.items()],
)
@pytest.mark.parametrize("on", [functional, naive_losses], ids=["functional", "naive"])
def test_pytorchs_values(on: Any, name: str, case: str, settings: dict[str, Any]) -> None:
    golden = load("more_losses")
    given, expected = golden[""], golden[f"{name} {case}"]
    loss, gradient = getattr(on, name)(given["outputs"], given["labels"], **settings)
    assert loss == pytest.approx(float(expected["loss"]), rel=1e-13)
    np.testing.assert_allclose(gradient, expected["gradient"], rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("images", [1, 16, 33])
@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_equal_to_the_naive_loops(name: str, settings: dict[str, Any], images: int, dtype: Any) -> None:
    generator = np.random.default_rng(71)
    outputs, labels = normal(generator, (images, 7), dtype), generator.integers(0, 7, images)
    labels[0] = 0  # not the class of weight 0
    loss, gradient = getattr(functional, name)(outputs, labels, **settings)
    expected_loss, expected_gradient = getattr(naive_losses, name)(outputs, labels, **settings)
    eps = float(np.finfo(dtype).eps)
    assert isinstance(loss, float)
    assert loss == pytest.approx(expected_loss, rel=16 * eps)
    assert gradient.dtype == dtype
    np.testing.assert_allclose(gradient, expected_gradient, rtol=16 * eps, atol=16 * eps / images)


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_finite_differences(name: str, settings: dict[str, Any]) -> None:
    """Outputs in steps of 0.1 from 0.05: no slack is within a difference's reach of its kink."""
    generator = np.random.default_rng(72)
    outputs, labels = generator.integers(-30, 30, (5, 7)) / 10 + 0.05, np.array([0, 6, 2, 3, 1])
    outputs += np.arange(7) / 70

    def loss(at: Any) -> float:
        return float(getattr(functional, name)(at, labels, **settings)[0])

    _, gradient = getattr(functional, name)(outputs, labels, **settings)
    np.testing.assert_allclose(gradient, naive.numeric_gradient(loss, outputs), rtol=1e-6, atol=1e-8)


def test_worked_examples_by_hand() -> None:
    outputs, labels = np.array([[0.5, -0.5, 2.0]]), np.array([0])
    loss, gradient = functional.hinge(outputs, labels)  # slacks 0.5, 0.5, 3
    assert loss == 4.0
    np.testing.assert_array_equal(gradient, [[-1, 1, 1]])
    loss, gradient = functional.hinge(outputs, labels, norm=2)
    assert loss == 9.5
    np.testing.assert_array_equal(gradient, [[-1, 1, 6]])
    loss, gradient = functional.multi_margin(outputs, labels)  # slacks 0 and 2.5
    assert loss == pytest.approx(2.5 / 3)
    np.testing.assert_allclose(gradient, [[-1 / 3, 0, 1 / 3]])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_without_smoothing_and_with_equal_weights_nothing_changes(dtype: Any) -> None:
    generator = np.random.default_rng(73)
    logits, labels = normal(generator, (32, 7), dtype), generator.integers(0, 7, 32)
    plain = functional.cross_entropy(logits, labels)
    for settings in ({"class_weights": np.ones(7)}, {"class_weights": [4] * 7}):  # a power of two: no rounding
        loss, gradient = functional.cross_entropy(logits, labels, **settings)
        assert loss == pytest.approx(plain[0], rel=1e-15)
        np.testing.assert_array_equal(gradient, plain[1])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_smoothing_of_extreme_logits(dtype: Any) -> None:
    """Each unlikely class costs the difference of its logits, in its share of the target."""
    loss, gradient = functional.cross_entropy(np.array([[5000, 0]], dtype), np.array([0]), label_smoothing=0.5)
    assert loss == pytest.approx(0.25 * 5000)
    np.testing.assert_allclose(gradient, [[0.25, -0.25]])


def test_images_without_weight_count_for_nothing() -> None:
    logits = np.arange(6.0).reshape(2, 3)
    loss, gradient = functional.cross_entropy(logits, np.array([0, 1]), class_weights=[0, 2, 5])
    alone, _ = functional.cross_entropy(logits[1:], np.array([1]))
    assert loss == pytest.approx(alone)
    np.testing.assert_array_equal(gradient[0], 0)
    loss, gradient = functional.cross_entropy(logits, np.array([0, 0]), class_weights=[0, 2, 5], label_smoothing=0.1)
    assert loss == 0.0
    np.testing.assert_array_equal(gradient, np.zeros((2, 3)))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_nan_and_infinity_stay_visible(name: str, settings: dict[str, Any], dtype: Any) -> None:
    function = getattr(functional, name)
    outputs, labels = np.zeros((18, 7), dtype), np.zeros(18, np.int64)
    outputs[16, 1] = np.nan
    loss, gradient = function(outputs, labels, **settings)
    assert math.isnan(loss)
    assert np.isnan(gradient[16]).any()
    assert not np.isnan(np.delete(gradient, 16, axis=0)).any()
    outputs[16, 1] = np.inf
    assert not math.isfinite(function(outputs, labels, **settings)[0])


@pytest.mark.parametrize("name", ["hinge", "multi_margin"])
def test_at_the_margin_nothing_pulls(name: str) -> None:
    outputs = np.array([[1.0, -1.0]]) if name == "hinge" else np.array([[1.0, 0.0]])
    for norm in (1, 2):
        loss, gradient = getattr(functional, name)(outputs, np.array([0]), norm=norm)
        assert loss == 0.0
        np.testing.assert_array_equal(gradient, 0)


Y, LABELS = np.zeros((2, 3), np.float32), np.array([0, 1])


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("cross_entropy", {"label_smoothing": 1.5}, "label_smoothing must be 0 to 1; received 1.5"),
        ("cross_entropy", {"label_smoothing": math.nan}, "label_smoothing must be 0 to 1; received nan"),
        ("cross_entropy", {"label_smoothing": "0.1"}, "label_smoothing must be a number; received '0.1'"),
        ("cross_entropy", {"class_weights": [1, 2]}, r"class_weights must have shape \(3,\) .*received \(2,\)"),
        ("cross_entropy", {"class_weights": [1, 2, -1]}, r"0 or more, and not all 0; received \[1, 2, -1\]"),
        ("cross_entropy", {"class_weights": [0, 0, 0]}, "not all 0"),
        ("cross_entropy", {"class_weights": [1, 2, math.inf]}, "must be finite"),
        ("cross_entropy", {"class_weights": 2.0}, "must be an array or a list; received float"),
        ("cross_entropy", {"class_weights": ["a", "b", "c"]}, "class_weights must be numbers"),
        ("cross_entropy", {"class_weights": [[1], [1, 2], 3]}, "must be one number for each class"),
        ("hinge", {"norm": 3}, "norm must be 1 or 2; received 3"),
        ("hinge", {"norm": True}, "norm must be 1 or 2; received True"),
        ("multi_margin", {"norm": "1"}, "norm must be 1 or 2; received '1'"),
        ("multi_margin", {"margin": 0}, "margin must be a number greater than 0; received 0"),
        ("multi_margin", {"margin": math.nan}, "margin must be a number greater than 0; received nan"),
        ("multi_margin", {"margin": None}, "margin must be a number greater than 0; received None"),
    ],
)
def test_wrong_arguments(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        getattr(functional, name)(Y, LABELS, **settings)


@pytest.mark.parametrize("name", ["hinge", "multi_margin"])
def test_wrong_arrays(name: str) -> None:
    with pytest.raises(ArgumentError, match="labels must lie in 0 ... 2"):
        getattr(functional, name)(Y, np.array([0, 3]))
    with pytest.raises(ArgumentError, match="outputs must be float32 or float64; received float16"):
        getattr(functional, name)(Y.astype(np.float16), LABELS)
