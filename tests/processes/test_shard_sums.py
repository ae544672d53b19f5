"""Sums over shards, with a network that only has numbers, and processes that are threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnntrain.processes.division import Leaf, part, work_of
from cnntrain.processes.team import Team
from cnntrain.training import shard_sums
from cnntrain.training.interruption import SIGNALS
from cnntrain.training.shard_sums import ShardSums
from tests.processes.threads import together

GRADIENTS, MEASURED = 37, 6
SHARDS = 6


class Numbers:
    """What `ShardSums` knows of a network. A shard's numbers follow from step and shard alone."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.gradients = np.full(GRADIENTS, np.nan, dtype)
        self.measured = np.arange(MEASURED).astype(dtype)
        self.starts = [0, *range(2, GRADIENTS, 5)]  # of the layers

    def forward(self, step: int, shard: int) -> tuple[int, np.ndarray]:
        """Measure something; return images and sums."""
        random = np.random.default_rng([step, shard])
        self.measured[...] += random.standard_normal(MEASURED).astype(self.dtype)
        sums = np.array([random.standard_normal() * 1e3, random.uniform(1, 2), shard, *[0.0] * len(SIGNALS)])
        return 3 + shard % 2, sums

    def backward(self, step: int, shard: int, ready: Callable[[int], None] | None) -> None:
        """Compute gradients from the last to the first, and tell."""
        values = (np.random.default_rng([step, shard, 1]).standard_normal(GRADIENTS) * 10.0**shard).astype(self.dtype)
        for start in range(GRADIENTS - 5, -5, -5):
            self.gradients[max(start, 0) : start + 5] = values[max(start, 0) : start + 5]
            if ready is not None and start > 0:
                ready(start)


def a_step(network: Numbers, sums: ShardSums, team: Team, step: int, filled: int) -> list[float]:
    """Do what `ShardedStep` does."""
    work = work_of(team.rank, team.size, SHARDS, filled)
    last = max((place for place, item in enumerate(work) if isinstance(item, Leaf)), default=-1)
    sums.start()
    for place, item in enumerate(work[: last + 1]):
        if not isinstance(item, Leaf):
            sums.do(item)
            continue
        sums.restore()
        sums.note(*network.forward(step, item.shard))
        if place == last:
            sums.begin(work[last:])
        network.backward(step, item.shard, sums.ready if place == last and team.size > 1 else None)
        if place < last:
            sums.put(item.slot)
    return sums.finish(images_of(filled))


def images_of(filled: int) -> int:
    return sum(3 + shard % 2 for shard in range(filled))


def naive(dtype: Any, steps: list[int]) -> list[bytes]:
    """Add up in the tree, one number array at a time."""
    kind, network, results = np.dtype(dtype).type, Numbers(dtype), []
    measured = network.measured.copy()
    for step, filled in enumerate(steps):

        def value(shard: int, before: np.ndarray = measured, step: int = step) -> tuple[np.ndarray, ...]:
            network.measured[...] = before
            images, sums = network.forward(step, shard)
            network.backward(step, shard, None)
            return network.gradients.copy(), (network.measured - before) * kind(images), sums

        def tree(first: int, stop: int, filled: int = filled, value: Any = value) -> tuple[np.ndarray, ...]:
            if stop - first == 1:
                return value(first)
            middle = first + (stop - first + 1) // 2
            left = tree(first, middle)
            return left if middle >= filled else tuple(a + b for a, b in zip(left, tree(middle, stop), strict=True))

        gradients, change, sums = tree(0, SHARDS)
        measured = measured + change / kind(images_of(filled))
        results.append((gradients * kind(1 / sums[1])).tobytes() + measured.tobytes() + sums.tobytes())
    return results


STEPS = [6, 6, 4, 1, 6]  # shards that have images: the last batches of epochs are small


@pytest.mark.parametrize("bucket", [1 << 20, 64], ids=["one message", "several"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_bits_in_any_number_of_processes(monkeypatch: pytest.MonkeyPatch, dtype: Any, bucket: int) -> None:
    monkeypatch.setattr(shard_sums, "_BUCKET", bucket)
    expected = naive(dtype, STEPS)

    def work(team: Team) -> list[bytes]:
        network: Any = Numbers(dtype)
        sums, results = ShardSums(network, team), []
        for step, filled in enumerate(STEPS):
            found = np.array(a_step(network, sums, team, step, filled))
            results.append(network.gradients.tobytes() + network.measured.tobytes() + found.tobytes())
        return results

    for processes in range(1, SHARDS + 1):
        for seed in range(5):
            for results in together(processes, work, seed)[0]:
                assert results == expected


def test_one_message_per_edge_of_the_tree_and_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    def sent(size: int) -> list[int]:
        def work(team: Team) -> None:
            network: Any = Numbers(np.float32)
            a_step(network, ShardSums(network, team), team, 0, SHARDS)

        return together(size, work)[1].sent

    whole = 4 * (GRADIENTS + MEASURED) + 4 + 8 * (3 + len(SIGNALS))  # 4: float64 are aligned
    assert sent(1) == []
    assert sent(6) == [whole] * 5
    assert [len(part(6, 4, number)) for number in range(4)] == [2, 2, 1, 1]
    assert len(sent(4)) == 4  # 0 1 | 2, 3 | 4, 5: process 1 sends twice, since the middle lies between its shards
    monkeypatch.setattr(shard_sums, "_BUCKET", 64)
    pieces = sent(2)
    assert (len(pieces), sum(pieces)) == (3, whole)  # at borders of layers, of 64 bytes or more


def test_a_weight_of_zero_gives_no_gradient() -> None:
    network: Any = Numbers(np.float32)
    sums = ShardSums(network, Team())
    sums.start()
    sums.note(2, np.zeros(3 + len(SIGNALS)))
    network.backward(0, 0, None)
    sums.begin([Leaf(0, 0)])
    assert sums.finish(2)[:2] == [0.0, 0.0]
    assert not network.gradients.any()
