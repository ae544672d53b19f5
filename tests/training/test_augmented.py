"""Training with augmentation, mixup and images that are not in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnntrain.config import load_config
from cnntrain.data.images import LazyRows
from cnntrain.losses import LOSSES
from cnntrain.losses.mixture import Mixture
from cnntrain.runs.checkpoint import read_checkpoint
from cnntrain.training.feed import Feed
from cnntrain.training.setup import augmenter_of, build_training
from tests.training.small import resume, train, write_config

AUGMENT = [{"random_crop": 2}, "horizontal_flip", {"cutout": 3}, {"mixup": 0.4}]


def state(path: Path) -> dict[str, np.ndarray]:
    return dict(read_checkpoint(path).network)


def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    config = write_config(tmp_path, data={"augment": AUGMENT})
    whole = state(train(config, tmp_path / "whole").last)
    train(config, tmp_path / "part", "train.epochs=1")
    parts = state(resume(tmp_path / "part", "train.epochs=2").last)
    plain = state(train(config, tmp_path / "plain", "data.augment=[]").last)
    for name, value in whole.items():
        np.testing.assert_array_equal(value, parts[name])
    assert any(not np.array_equal(value, plain[name]) for name, value in whole.items())


def test_a_first_loss_with_mixup_is_the_weighted_one(tmp_path: Path) -> None:
    """One batch, by hand: pixels blended, both labels' losses weighted."""
    config = load_config(write_config(tmp_path, data={"augment": [{"mixup": 0.4}], "validation": 0}))
    training = build_training(config, lambda text: None)
    network, normalization, train_split = training.network, training.data.normalization, training.data.train
    indices = np.arange(20, dtype=np.int64)
    batch = next(training.feed.batches([indices], 0))
    assert batch.mixture is not None
    network.load(batch.images, batch.rows, normalization)
    network.forward()
    loss = network.loss(batch.labels, batch.mixture)
    logits = network.logits().astype(np.float64)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    at, weights = np.arange(20), batch.mixture.weights.astype(np.float64)
    expected = -(weights * logs[at, batch.labels] + (1 - weights) * logs[at, batch.mixture.labels]).mean()
    assert loss == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(batch.labels, train_split.labels[indices])


def by_image(gradient: np.ndarray, classes: int) -> np.ndarray:
    return gradient.reshape(-1, classes, 16).transpose(0, 2, 1).reshape(-1, classes)


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize("images", [1, 16, 21])
def test_gradients_of_mixed_losses_are_the_weighted_ones(name: str, images: int) -> None:
    random = np.random.default_rng(images)
    blocks, classes = -(-images // 16) + 1, 5
    outputs = random.normal(size=blocks * classes * 16)
    first, second = random.integers(0, classes, (2, images))
    weights = random.uniform(size=images)
    loss = LOSSES[name](LOSSES[name].Settings(), classes, blocks, np.dtype(np.float64))
    values, gradients, correct = [], [], []
    for labels in (first, second):
        loss(outputs, labels)
        values.append(loss._losses[:images].copy())
        gradients.append(by_image(loss.gradient, classes)[:images].copy())
        correct.append(loss._correct[:images].copy())
    total = loss.mixed(outputs, first, Mixture(second, weights))
    mixed, share = by_image(loss.gradient, classes), weights[:, None]
    np.testing.assert_allclose(mixed[:images], share * gradients[0] + (1 - share) * gradients[1], atol=1e-12)
    assert not mixed[images : -(-images // 16) * 16].any()
    assert total == pytest.approx((weights * values[0] + (1 - weights) * values[1]).mean())
    assert loss.correct == np.where(weights >= 0.5, *correct).sum()


def test_lazy_images_train_to_the_same_bits(tmp_path: Path) -> None:
    for augment in (AUGMENT, []):
        config = load_config(write_config(tmp_path, data={"augment": augment}))
        training = build_training(config, lambda text: None)
        split = training.data.train
        lazy = type(split)(LazyRows(split.images, np.arange(len(split))), split.labels)
        other = Feed(lazy, augmenter_of(config, training.data, 32))
        order = [np.arange(start, min(start + 32, 100)) for start in range(0, 100, 32)]
        for one, two in zip(training.feed.batches(order, 1), other.batches(order, 1), strict=True):
            np.testing.assert_array_equal(one.images[one.rows], two.images[two.rows])
            np.testing.assert_array_equal(one.labels, two.labels)
            assert (one.mixture is None) == (two.mixture is None)
