"""Forward, loss and backward of one batch: whole, or in shards whose sums are added in a tree."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from cnntrain.network import Affine, Network
from cnntrain.processes.division import Leaf, Work, leaves_of, part, work_of
from cnntrain.processes.team import ALONE, Team
from cnntrain.training.divergence import NOWHERE, where_not_finite
from cnntrain.training.feed import Batch
from cnntrain.training.interruption import SIGNALS, StopSignals
from cnntrain.training.setup import Training
from cnntrain.training.shard_sums import ShardSums


class StepSums(NamedTuple):
    """What a batch gave.

    Attributes
    ----------
    images : int
    total, weight : float
        The sum of the images' losses, and what the mean divides it by (see `Loss`).
    correct : int
    loss : float
        The mean; NaN or infinite where the batch has no gradient that is worth having.
    signal : int or None
        A signal that some process got until then.
    """

    images: int
    total: float
    weight: float
    correct: int
    loss: float
    signal: int | None


class Step(Protocol):
    """Makes the gradients of one batch after the other."""

    def pieces(self, indices: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Yield which images of a batch must be brought, as they are taken."""

    def run(self, brought: Iterator[Batch], images: int, number: int, stop: StopSignals) -> StepSums:
        """Compute the gradients of the mean loss of the next batch.

        `brought` gives the batch's pieces, `images` is the size of the whole batch, `number` that of the step, from 0.
        Without a finite loss the gradients are not to be used.
        """

    def where(self, *, updated: bool) -> str:
        """Return where NaN or infinity began, in what this process computed of the last batch (`where_not_finite`)."""


class WholeStep:
    """A batch in one go."""

    def __init__(self, network: Network, normalization: Affine) -> None:
        self._network, self._normalization = network, normalization

    def pieces(self, indices: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        yield indices

    def run(self, brought: Iterator[Batch], images: int, number: int, stop: StopSignals) -> StepSums:
        network, batch = self._network, next(brought)
        network.load(batch.images, batch.rows, self._normalization)
        network.forward(training=True, step=number)
        loss = network.loss(batch.labels, batch.mixture)
        if math.isfinite(loss):
            network.backward()
        total, weight = network.loss_sums
        return StepSums(images, total, weight, network.correct, loss, stop.received)

    def where(self, *, updated: bool) -> str:
        return where_not_finite(self._network, updated=updated)


class ShardedStep:
    """A batch in shards: each goes through the network alone, and what they give is added in a fixed tree.

    With L the mean over the batch, dL/dw = sum over shards of (weight of the shard * gradient of its mean) / weight of
    the batch. That is exact, but where images are mixed and classes weigh differently: L then divides by two weights,
    and each shard by its own. The statistics after the step are the mean, weighted with the images, of those that each
    shard would leave behind, all of which begin with those before the step. Dropout draws for shard s of S in step n as
    for step n S + s.

    Parameters
    ----------
    network : Network
        For shards: its batch size is that of the largest.
    normalization : Affine
    shards : int
    team : Team
        Of at most so many processes.
    """

    def __init__(self, network: Network, normalization: Affine, shards: int, team: Team) -> None:
        self._network, self._normalization, self._shards = network, normalization, shards
        self._sums, self._team = ShardSums(network, team), team
        self._works: dict[int, list[Work]] = {}
        self._broken: tuple[str, str] | None = None  # by the first such shard, with and without an update before

    def _work(self, images: int) -> list[Work]:
        """Return what this process has to do for a batch."""
        filled = min(images, self._shards)
        if filled not in self._works:
            self._works[filled] = work_of(self._team.rank, self._team.size, self._shards, filled)
        return self._works[filled]

    def pieces(self, indices: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        for shard in leaves_of(self._work(indices.size)):
            share = part(indices.size, self._shards, shard)
            yield indices[share.start : share.stop]

    def run(self, brought: Iterator[Batch], images: int, number: int, stop: StopSignals) -> StepSums:
        with np.errstate(all="ignore"):  # NaN and infinity show in the loss, or after the epoch
            return self._run(brought, images, number, stop)

    def _run(self, brought: Iterator[Batch], images: int, number: int, stop: StopSignals) -> StepSums:
        network, sums, work = self._network, self._sums, self._work(images)
        last = max((place for place, item in enumerate(work) if isinstance(item, Leaf)), default=-1)
        signals = np.array([stop.received == signal for signal in SIGNALS], np.float64)
        self._broken = None
        sums.start()
        for place, item in enumerate(work[: last + 1]):
            if not isinstance(item, Leaf):
                sums.do(item)
                continue
            self._forward(next(brought), number * self._shards + item.shard, signals)
            signals = np.zeros_like(signals)  # noted once
            if place < last:
                network.backward()
                sums.put(item.slot)
            else:
                sums.begin(work[last:])
                network.backward(sums.ready if self._team.size > 1 else None)
        total, weight, correct, *counts = sums.finish(images)
        received = next((signal for signal, count in zip(SIGNALS, counts, strict=True) if count), None)
        return StepSums(images, total, weight, int(correct), total / weight if weight else 0.0, received)

    def where(self, *, updated: bool) -> str:
        return NOWHERE if self._broken is None else self._broken[not updated]

    def _forward(self, batch: Batch, draw: int, signals: NDArray[np.float64]) -> None:
        """Run one shard forward, and let the gradient of its loss be that of its mean times its weight."""
        network = self._network
        self._sums.restore()
        network.load(batch.images, batch.rows, self._normalization)
        network.forward(training=True, step=draw)
        network.loss(batch.labels, batch.mixture)
        total, weight = network.loss_sums
        if not math.isfinite(total) and self._broken is None:  # later it cannot be seen any more
            self._broken = where_not_finite(network), where_not_finite(network, updated=False)
        gradient = network.loss_layer.gradient
        np.multiply(gradient, gradient.dtype.type(weight), out=gradient)
        self._sums.note(len(batch), np.concatenate([[total, weight, network.correct], signals]))


def step_of(training: Training, team: Team = ALONE) -> Step:
    """Return what makes a training's gradients, as its `train.shards` says."""
    network, normalization, shards = training.network, training.data.normalization, training.config.train.shards
    return WholeStep(network, normalization) if shards == 1 else ShardedStep(network, normalization, shards, team)
