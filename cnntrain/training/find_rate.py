"""Finding a learning rate: the loss of a few hundred steps while the rate grows (Smith 2017, section 3.3)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.data import batches
from cnntrain.randomness import generator
from cnntrain.training.feed import Batch
from cnntrain.training.interruption import StopSignals
from cnntrain.training.setup import Training
from cnntrain.training.step import Step, step_of

SMOOTHING = 0.9  # share of the mean so far in the smoothed loss: it follows a change within some ten steps
FELL = 0.95  # times the loss of the first steps: what is less below it is chance
DIVERGED = 4.0  # times the smallest smoothed loss: from there on it only gets worse (as in fastai's finder)


@dataclass(frozen=True)
class Point:
    """One step.

    Attributes
    ----------
    learning_rate : float
    loss : float
        Of the step's batch, before its update.
    smoothed : float
        Moving average of the losses, corrected for its beginning at zero (as Adam's moments are).
    """

    learning_rate: float
    loss: float
    smoothed: float


@dataclass(frozen=True)
class Suggestion:
    """A learning rate to try, and why.

    Attributes
    ----------
    steepest : float
        Where the smoothed loss falls fastest per factor of the rate.
    lowest : float
        Where it is smallest.
    learning_rate : float
        The smaller of `steepest` and a tenth of `lowest`, to two digits.
    reason : str
    """

    steepest: float
    lowest: float
    learning_rate: float
    reason: str


@dataclass(frozen=True)
class Finding:
    """What a search found.

    Attributes
    ----------
    points : list of Point
    diverged : bool
        The loss had grown beyond hope before the last rate.
    suggestion : Suggestion or None
        None if the loss never fell.
    """

    points: list[Point]
    diverged: bool
    suggestion: Suggestion | None

    def as_dict(self) -> dict[str, Any]:
        """Return everything in plain types, for JSON."""
        return asdict(self)


def find_rate(training: Training, first: float, last: float, steps: int) -> Finding:
    """Train with a learning rate that grows by the same factor at each step, until the loss diverges.

    Network and optimiser are used up by it. The config's schedule and Lookahead have no part in it; its batches,
    augmentation, dropout, decay and layers' own factors have.

    Parameters
    ----------
    training : Training
        As it was built, its kernels compiled.
    first, last : float
        Rates of the first and the last step.
    steps : int
        At least 2.
    """
    gradients, stop = step_of(training), StopSignals()  # not entered: it receives no signals
    training.optimizer.follow(None)
    points: list[Point] = []
    mean, lowest = 0.0, math.inf
    brought = _brought(training, gradients)
    for step, images in zip(range(steps), _sizes(training), strict=False):
        rate = first * (last / first) ** (step / (steps - 1))
        loss = gradients.run(brought, images, step, stop).loss
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        smoothed = mean / (1 - SMOOTHING ** (step + 1))
        if not math.isfinite(smoothed) or smoothed > DIVERGED * max(lowest, 0.0) > 0:
            return Finding(points, True, suggestion_of(points))
        lowest = min(lowest, smoothed)
        points.append(Point(rate, loss, smoothed))
        training.optimizer.step(rate)
    return Finding(points, False, suggestion_of(points))


def suggestion_of(points: list[Point]) -> Suggestion | None:
    """Read a rate off the curve; None if the smoothed loss never fell."""
    smoothed = np.array([point.smoothed for point in points])
    if len(points) < 3:
        return None
    begun = np.mean([point.loss for point in points[: min(10, len(points) // 3)]])
    if smoothed.min() > FELL * begun or smoothed.argmin() == 0:
        return None
    at = int(smoothed.argmin())
    logs = np.log([point.learning_rate for point in points[: at + 1]])
    slopes = np.gradient(smoothed[: at + 1], logs)
    steepest, lowest = points[int(slopes.argmin())].learning_rate, points[at].learning_rate
    chosen = min(steepest, lowest / 10)
    why = (
        f"a tenth of the rate with the smallest loss ({lowest:.2g}); it falls fastest at {steepest:.2g}"
        if chosen < steepest
        else f"there the loss falls fastest; it is smallest at {lowest:.2g}"
    )
    return Suggestion(steepest, lowest, float(f"{chosen:.2g}"), why)


def _order(training: Training, epoch: int) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of the images of each batch of an epoch, as a training would see them."""
    order = batches(len(training.data.train), training.batch_size, generator(training.config.seed, "shuffling", epoch))
    return islice(order, training.steps_per_epoch)


def _sizes(training: Training) -> Iterator[int]:
    """Yield the sizes of the batches of epoch after epoch."""
    for epoch in count():
        yield from (indices.size for indices in _order(training, epoch))


def _brought(training: Training, gradients: Step) -> Iterator[Batch]:
    """Yield the images of the batches of epoch after epoch, in the pieces in which they are taken."""
    for epoch in count():
        pieces = (piece for indices in _order(training, epoch) for piece in gradients.pieces(indices))
        yield from training.feed.batches(pieces, epoch)
