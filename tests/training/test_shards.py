"""Gradients of a batch in shards: those of the whole batch, whatever the shards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnntrain.config import infer_shapes, load_config
from cnntrain.errors import ConfigError, TrainingError
from cnntrain.losses.mixture import Mixture
from cnntrain.network import AsTheyAre, Network
from cnntrain.processes.division import part
from cnntrain.processes.team import ALONE
from cnntrain.runs.checkpoint import read_checkpoint
from cnntrain.runs.reporter import Reporter
from cnntrain.shape import Shape
from cnntrain.training.feed import Batch
from cnntrain.training.find_rate import find_rate
from cnntrain.training.interruption import StopSignals
from cnntrain.training.session import start_run
from cnntrain.training.setup import build_training
from cnntrain.training.step import ShardedStep, StepSums, WholeStep
from tests.training.small import train, write_config

IMAGES, CLASSES = 37, 10
PLAIN: list[Any] = [{"conv2d": {"filters": 4, "kernel_size": 3}}, "tanh", {"max_pool2d": 2}, {"dense": "classes"}]
NORMALIZED: list[Any] = [
    {"conv2d": {"filters": 4, "kernel_size": 3}}, "batch_norm2d", "tanh", {"max_pool2d": 2}, {"dense": "classes"},
]  # fmt: skip
DROPPED: list[Any] = [
    {"conv2d": {"filters": 4, "kernel_size": 3}}, "tanh", {"max_pool2d": 2}, {"dropout": 0.5}, {"dense": "classes"},
]  # fmt: skip


class Case:
    """A network in float64 and a batch for it."""

    def __init__(self, folder: Path, network: list[Any] = PLAIN, loss: Any = "cross_entropy") -> None:
        self.config = load_config(write_config(folder, network=network, loss=loss))
        random = np.random.default_rng(3)
        self.images = random.standard_normal((IMAGES, 1, 14, 14))
        self.labels = random.integers(0, CLASSES, IMAGES)
        self.partners, self.shares = random.integers(0, CLASSES, IMAGES), random.uniform(size=IMAGES)

    def network(self, images: int) -> Network:
        rows = infer_shapes(self.config, Shape(1, 14, 14), CLASSES)
        return Network(rows, batch_size=images, loss=self.config.loss, dtype=np.float64, seed=1)

    def batch(self, indices: np.ndarray, mixed: bool) -> Batch:
        mixture = Mixture(self.partners[indices], self.shares[indices]) if mixed else None
        return Batch(self.images, indices, self.labels[indices], mixture)

    def run(self, shards: int, *, step: int = 0, mixed: bool = False, steps: int = 1) -> tuple[Network, StepSums]:
        """Make the gradients of a few steps without updates, and return the last."""
        network = self.network(-(-IMAGES // shards))
        unit = AsTheyAre(1)
        made = WholeStep(network, unit) if shards == 1 else ShardedStep(network, unit, shards, ALONE)
        every = np.arange(IMAGES)
        for number in range(step, step + steps):
            brought: Iterator[Batch] = iter([self.batch(piece, mixed) for piece in made.pieces(every)])
            sums = made.run(brought, IMAGES, number, StopSignals())
            assert next(brought, None) is None
        return network, sums


WEIGHTED = {"cross_entropy": {"class_weights": [1, 2, 0, 3, 4, 0, 1, 1, 9, 0.5]}}


@pytest.mark.parametrize(("loss", "mixed"), [("cross_entropy", False), ("cross_entropy", True), (WEIGHTED, False)])
def test_gradients_and_sums_are_those_of_the_whole_batch(tmp_path: Path, loss: Any, mixed: bool) -> None:
    case = Case(tmp_path, PLAIN, loss)
    whole, expected = case.run(1, mixed=mixed)
    assert np.abs(whole.gradients).max() > 1e-3
    for shards in (2, 5, 8, IMAGES):
        network, sums = case.run(shards, mixed=mixed)
        np.testing.assert_allclose(network.gradients, whole.gradients, rtol=0, atol=1e-12)
        np.testing.assert_allclose(sums[1:3] + sums[4:5], expected[1:3] + expected[4:5], rtol=1e-12)
        assert (sums.images, sums.correct) == (IMAGES, expected.correct)


def test_mixed_images_of_classes_that_weigh_differently(tmp_path: Path) -> None:
    """Each shard divides by its own weights, and counts with their mixture."""
    case = Case(tmp_path, PLAIN, WEIGHTED)
    network, sums = case.run(5, mixed=True)
    gradients, total, weight = np.zeros(network.gradients.size), 0.0, 0.0
    for number in range(5):
        alone = case.network(8)
        batch = case.batch(np.arange(IMAGES)[part(IMAGES, 5, number)], mixed=True)
        alone.load(batch.images, batch.rows, AsTheyAre(1))
        alone.forward(training=True)
        mean = alone.loss(batch.labels, batch.mixture)
        alone.backward()
        weights = np.array(WEIGHTED["cross_entropy"]["class_weights"])
        first, second = weights[batch.labels].sum(), weights[second_labels(batch)].sum()
        share = batch.mixture.weights.mean() if batch.mixture else 1.0
        of_shard = share * first + (1 - share) * second
        gradients, total, weight = gradients + of_shard * alone.gradients, total + mean * of_shard, weight + of_shard
    np.testing.assert_allclose(network.gradients, gradients / weight, rtol=0, atol=1e-12)
    assert (sums.loss, sums.weight) == (pytest.approx(total / weight, rel=1e-12), pytest.approx(weight, rel=1e-12))


def second_labels(batch: Batch) -> np.ndarray:
    assert batch.mixture is not None
    return batch.mixture.labels


def test_a_shard_without_any_weight(tmp_path: Path) -> None:
    """Its own mean is 0 / 0; the batch's is not. If no shard has any, there is no gradient."""
    case = Case(tmp_path, PLAIN, {"cross_entropy": {"class_weights": [0, *[1] * 9]}})
    share = part(IMAGES, 5, 2)
    case.labels[:] = np.where(case.labels == 0, 1, case.labels)
    case.labels[share.start : share.stop] = 0
    whole, expected = case.run(1)
    network, sums = case.run(5)
    np.testing.assert_allclose(network.gradients, whole.gradients, rtol=0, atol=1e-12)
    assert sums.loss == pytest.approx(expected.loss, rel=1e-12)
    case.labels[:] = 0
    network, sums = case.run(5)
    assert (sums.loss, sums.weight) == (0.0, 0.0)
    assert not network.gradients.any()


@pytest.mark.parametrize("shards", [2, 5])
def test_statistics_are_the_mean_of_what_shards_leave_behind(tmp_path: Path, shards: int) -> None:
    """Each shard begins with those before the step; its gradients come from its own statistics."""
    case = Case(tmp_path, NORMALIZED)
    network, sums = case.run(shards, steps=2)
    before = case.network(IMAGES).state()
    for _ in range(2):
        gradients, total = np.zeros(network.gradients.size), 0.0
        after = {name: np.zeros(value.shape) for name, value in before.items()}
        for number in range(shards):
            share = np.arange(IMAGES)[part(IMAGES, shards, number)]
            alone = case.network(share.size)
            alone.load_state(before)
            alone.load(case.images, share, AsTheyAre(1))
            alone.forward(training=True)
            total += alone.loss(case.labels[share]) * share.size
            alone.backward()
            gradients = gradients + alone.gradients * share.size / IMAGES
            for name, value in alone.state().items():
                after[name] = after[name] + value * (share.size / IMAGES)
        before = after
    np.testing.assert_allclose(network.gradients, gradients, rtol=0, atol=1e-12)
    assert sums.loss == pytest.approx(total / IMAGES, rel=1e-12)
    assert len(network.statistics) == 2
    for name, value in network.state().items():
        np.testing.assert_allclose(value, before[name], rtol=1e-12, atol=1e-14)


def test_dropout_draws_anew_in_each_shard_and_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards with the same images lose different numbers; the same step loses the same."""
    case = Case(tmp_path, DROPPED)
    network, losses = case.network(8), list[float]()
    original = network.loss

    def loss(*given: Any) -> float:
        losses.append(original(*given))
        return losses[-1]

    monkeypatch.setattr(network, "loss", loss)
    made = ShardedStep(network, AsTheyAre(1), 4, ALONE)
    for step in (0, 1, 0):
        same = [Batch(case.images, np.arange(8), case.labels[:8])] * 4
        made.run(iter(same), 32, step, StopSignals())
    assert len(set(losses[:8])) == 8
    assert losses[8:] == losses[:4]


def test_a_whole_and_a_sharded_training_go_the_same_way(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    whole = read_checkpoint(train(config, tmp_path / "whole").last)
    shards = read_checkpoint(train(config, tmp_path / "shards", "train.shards=5").last)
    for name, value in whole.network.items():
        np.testing.assert_allclose(shards.network[name], value, rtol=1e-3, atol=1e-5)
    assert any(not np.array_equal(value, shards.network[name]) for name, value in whole.network.items())


@pytest.mark.parametrize("shard", [0, 3, 7])
def test_a_nan_in_any_shard_is_found_and_told(tmp_path: Path, shard: int) -> None:
    """Also if it is not in the one that was computed last."""
    case = Case(tmp_path)
    case.images[part(IMAGES, 8, shard)[1], 0, 5, 5] = np.nan
    made = ShardedStep(case.network(5), AsTheyAre(1), 8, ALONE)

    def loss(number: int) -> float:
        brought = iter([case.batch(piece, mixed=False) for piece in made.pieces(np.arange(IMAGES))])
        return made.run(brought, IMAGES, number, StopSignals()).loss

    assert np.isnan(loss(0))
    assert made.where(updated=False).startswith("the output of layer 0.conv2d holds ")
    case.images[np.isnan(case.images)] = 0
    assert np.isfinite(loss(1))
    assert made.where(updated=True).startswith("the loss itself; all parameters")


def test_a_training_in_shards_that_diverges_names_the_layer(tmp_path: Path) -> None:
    config = write_config(tmp_path, optimizer={"sgd": {"learning_rate": 1e38}}, train={"shards": 4})
    with pytest.raises(TrainingError, match=r"(?s)epoch 1, step \d.*first found: the output of layer 3.dense"):
        start_run(load_config(config), Reporter(quiet=True), out=tmp_path / "run")


def test_a_rate_is_found_with_shards(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    found = [
        find_rate(build_training(load_config(config, [f"train.shards={shards}"]), lambda text: None), 1e-3, 1, 20)
        for shards in (1, 4)
    ]
    whole, sharded = ([point.loss for point in finding.points] for finding in found)
    assert len(whole) == 20  # more than an epoch
    np.testing.assert_allclose(sharded, whole, rtol=1e-3)
    assert sharded != whole


def test_more_shards_than_images_of_a_batch(tmp_path: Path) -> None:
    config = write_config(tmp_path, train={"batch_size": 32, "shards": 33})
    with pytest.raises(ConfigError, match=r"digits.yaml:\d+:\d+: train shards: 33 is more than batch_size: 32"):
        load_config(config)


def test_buffers_are_for_a_shard(tmp_path: Path) -> None:
    """Accumulation of gradients: a batch that would not fit into memory, in pieces that do."""
    config = write_config(tmp_path, train={"batch_size": 256})
    blocks = {
        shards: build_training(load_config(config, [f"train.shards={shards}"]), lambda text: None).network.blocks
        for shards in (1, 2, 8)
    }
    assert blocks == {1: 16, 2: 8, 8: 2}
