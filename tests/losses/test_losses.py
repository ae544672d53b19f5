"""Losses at work inside a network: the same numbers as the functions, weights of batches, settings, kinks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from cnntrain import functional
from cnntrain.config import Config, infer_shapes, parse_config
from cnntrain.errors import ArgumentError, ConfigError
from cnntrain.functional.arrays import enter
from cnntrain.losses import LOSSES, Loss
from cnntrain.network import Network
from cnntrain.shape import LANES, Shape
from cnntrain.verify import check_gradients

CLASSES, BLOCKS = 4, 3
WEIGHTS = [1.0, 0.0, 2.5, 0.5]
ALL: list[tuple[str, dict[str, Any]]] = [
    ("cross_entropy", {}),
    ("cross_entropy", {"label_smoothing": 0.1, "class_weights": WEIGHTS}),
    ("mse", {}),
    ("hinge", {}),
    ("hinge", {"norm": 2}),
    ("multi_margin", {"margin": 0.5}),
    ("multi_margin", {"norm": 2}),
]


def loss(name: str, dtype: Any = np.float64, **settings: Any) -> Loss:
    entry = LOSSES[name]
    return entry(entry.Settings.model_validate(settings), CLASSES, BLOCKS, np.dtype(dtype))


def batch(images: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.standard_normal((images, CLASSES)), generator.integers(0, CLASSES, images)


def test_registry_names_are_the_classes_names() -> None:
    assert list(LOSSES) == ["cross_entropy", "mse", "hinge", "multi_margin"] == list(dict.fromkeys(n for n, _ in ALL))
    assert all(entry.name == name for name, entry in LOSSES.items())


@pytest.mark.parametrize(("name", "settings"), ALL)
def test_the_same_numbers_as_the_function(name: str, settings: dict[str, Any]) -> None:
    """Also when the batch before was larger, and filled lanes and blocks that are empty now."""
    tested = loss(name, **settings)
    for images in (40, 19):
        outputs, labels = batch(images)
        room = np.full(BLOCKS * CLASSES * LANES, np.nan)
        entered = enter(outputs[:, :, None, None])[: -(-images // LANES) * CLASSES * LANES]
        room[: entered.size] = entered
        value = tested(room, labels)
        expected, gradient = getattr(functional, name)(outputs, labels, **settings)
        assert value == pytest.approx(expected, rel=1e-14)
        lanes = tested.gradient.reshape(BLOCKS, CLASSES, LANES).transpose(0, 2, 1).reshape(-1, CLASSES)
        np.testing.assert_array_equal(lanes[:images], gradient)
        np.testing.assert_array_equal(lanes[images : -(-images // LANES) * LANES], 0)
        assert tested.correct == (outputs.argmax(axis=1) == labels).sum()


def test_what_a_batch_counts_in_a_mean() -> None:
    outputs, _ = batch(3)
    room = enter(outputs[:, :, None, None])
    plain, weighted = loss("cross_entropy"), loss("cross_entropy", class_weights=WEIGHTS)
    plain(room, np.array([0, 1, 2]))
    weighted(room, np.array([0, 1, 2]))
    assert (plain.weight, weighted.weight) == (3.0, 3.5)
    assert weighted.total == pytest.approx(weighted(room, np.array([0, 1, 2])) * 3.5)
    assert weighted(room, np.array([1, 1, 1])) == 0.0
    assert weighted.weight == 0.0
    assert not weighted.gradient.any()
    assert weighted(room, np.array([0, 0, 0])) > 0.0


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("cross_entropy", {"label_smoothing": 1.1}, "less than or equal to 1"),
        ("cross_entropy", {"label_smoothing": -0.1}, "greater than or equal to 0"),
        ("cross_entropy", {"class_weights": [1, -1, 1, 1]}, "greater than or equal to 0"),
        ("cross_entropy", {"class_weights": [0, 0, 0, 0]}, "needs a class_weights entry greater than 0"),
        ("cross_entropy", {"class_weights": []}, "needs a class_weights entry greater than 0"),
        ("hinge", {"norm": 3}, "1 or 2"),
        ("hinge", {"norm": "L2"}, "1 or 2"),
        ("multi_margin", {"margin": 0}, "greater than 0"),
        ("multi_margin", {"p": 2}, "p"),
    ],
)
def test_bad_settings(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        loss(name, **settings)


def test_class_weights_for_another_number_of_classes() -> None:
    with pytest.raises(ArgumentError, match="needs one weight per class: class_weights has 2, the data 4 classes"):
        loss("cross_entropy", class_weights=[1, 2])


CONFIG = """
data: {source: npz, path: nowhere.npz}
network:
  - conv2d: {filters: 3, kernel_size: 3}
  - tanh
  - dense: classes
loss:
  LOSS
optimizer: {sgd: 0.1}
"""


def config(text: str) -> Config:
    return parse_config(CONFIG.replace("LOSS", text), "a.yaml")


def test_the_config_points_at_class_weights_that_do_not_fit() -> None:
    with pytest.raises(ConfigError) as caught:
        infer_shapes(config("cross_entropy: {class_weights: [1, 2]}"), Shape(1, 6, 6), CLASSES)
    message = "cross_entropy needs one weight per class: class_weights has 2, the data 4 classes"
    assert str(caught.value).splitlines() == [
        f"a.yaml:8:34: {message}",
        "    8 |   cross_entropy: {class_weights: [1, 2]}",
        "      |                                  ^",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "cross_entropy: {label_smoothing: 0.2, class_weights: [1, 0, 2.5, 0.5]}",
        "hinge",
        "hinge: 2",
        "multi_margin: 0.3",
        "multi_margin: {norm: 2}",
    ],
)
def test_gradient_check(text: str) -> None:
    rows = infer_shapes(config(text), Shape(1, 6, 6), CLASSES)
    network = Network(rows, batch_size=18, loss=config(text).loss, dtype=np.float64, needs_grad_input=True)
    generator = np.random.default_rng(5)
    images, labels = generator.standard_normal((18, 1, 6, 6)), generator.integers(0, CLASSES, 18)
    checks = check_gradients(network, images, labels)
    assert {check.verdict for check in checks} == {"ok"}
    made = dict(network.decisions())
    assert ("loss" in made) == (text in ("hinge", "multi_margin: 0.3"))


def test_a_slack_at_its_kink_is_a_kink_of_the_network() -> None:
    """Weights of zero give outputs of 0: a margin of that size then lies at the kink of every slack."""
    tested = loss("multi_margin", margin=1e-7)
    room = np.zeros(BLOCKS * CLASSES * LANES)
    tested(room, np.zeros(5, np.int64))
    before = tested.decisions()
    room[LANES] = -1e-6
    tested(room, np.zeros(5, np.int64))
    after = tested.decisions()
    assert before is not None
    assert after is not None
    assert (before != after).sum() == 1
