"""Run a network over a split and count how good it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnntrain.data import Normalization, Split, batches
from cnntrain.data.prefetch import bring
from cnntrain.errors import TrainingError
from cnntrain.evaluation.metrics import (
    Confusion,
    Quality,
    class_qualities,
    count_confusion,
    macro_average,
    ranks,
    weighted_average,
)
from cnntrain.evaluation.views import Views
from cnntrain.kernels.compiler.pace import Pace
from cnntrain.network import Network
from cnntrain.processes.division import part
from cnntrain.processes.team import ALONE, Team


@dataclass(frozen=True)
class Evaluation:
    """What a network said about a split.

    Attributes
    ----------
    loss : float
        Mean over the images (weighted if the loss has class weights), in float64.
    classes : int
    labels, predicted : ndarray, shape (images,), int64
        What the images are, and what they were taken for.
    ranks : ndarray, shape (images,), int64
        How many classes have a larger logit than the label.
    """

    loss: float
    classes: int
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    ranks: NDArray[np.int64]

    @property
    def images(self) -> int:
        """How many images were seen."""
        return len(self.labels)

    @property
    def accuracy(self) -> float:
        """Share of the images whose label has the largest logit."""
        return self.top_k(1)

    def top_k(self, k: int) -> float:
        """Share of the images whose label is among the k largest logits."""
        return int((self.ranks < k).sum()) / self.images

    @cached_property
    def confusion(self) -> Confusion:
        """Counts of (label, predicted class) pairs."""
        return count_confusion(self.predicted, self.labels, self.classes)

    @property
    def class_qualities(self) -> list[Quality]:
        """Precision, recall and F1 of each class."""
        return class_qualities(self.confusion)

    @property
    def averages(self) -> dict[str, Quality]:
        """The same on average: "macro" over the classes, "weighted" by their numbers of images."""
        return {"macro": macro_average(self.confusion), "weighted": weighted_average(self.confusion)}


def evaluate(
    network: Network,
    split: Split,
    normalization: Normalization,
    batch_size: int,
    seen: Callable[[NDArray[np.int64], NDArray[np.floating]], None] | None = None,
    views: Views | None = None,
    team: Team = ALONE,
) -> Evaluation:
    """Run the network in evaluation mode over all images of a split.

    Parameters
    ----------
    network : Network
        Built with a loss, for at least `batch_size` images.
    split : Split
        At least one image.
    normalization : Normalization
    batch_size : int
        Images at a time; the result does not depend on it.
    seen : callable or None
        Shown each batch's image numbers and logits (images, classes), all finite; of the batches of this process.
    views : callable or None
        Views of the images, over which the outputs are averaged: `views_of` a config.
    team : Team
        The processes that share the batches, each of which calls this and gets the same result, the same as one would.

    Raises
    ------
    TrainingError
        The network gives NaN or infinity for some image.
    """
    every = list(batches(len(split), batch_size))
    mine = part(len(every), team.size, team.rank)
    own = list(_answers(network, split, normalization, every[mine.start : mine.stop], seen, views))
    found = [answers for share in team.gather(own) for answers in share]
    bad = sum(answers.bad for answers in found)
    sums, first_bad = [answers.sums for answers in found], next((a.first_bad for a in found if a.bad), 0)
    total, weight = map(sum, zip(*sums, strict=True))
    loss = total / weight if weight else 0.0
    if bad or not math.isfinite(loss):
        raise TrainingError(
            f"the network gives NaN or infinity for {bad:,} of {len(split):,} images "
            f"(the first is image {first_bad}), and a loss of {loss}"
        )
    classes = network.output_shape.size
    predicted, places = (np.concatenate(parts) for parts in zip(*((a.predicted, a.places) for a in found), strict=True))
    return Evaluation(loss, classes, split.labels, predicted, places)


class _Answers(NamedTuple):
    """What a batch gave: sums of the loss, images that are not finite, and otherwise what they were taken for."""

    sums: tuple[float, float]
    bad: int
    first_bad: int
    predicted: NDArray[np.int64]
    places: NDArray[np.int64]


def _answers(
    network: Network,
    split: Split,
    normalization: Normalization,
    mine: list[NDArray[np.int64]],
    seen: Callable[[NDArray[np.int64], NDArray[np.floating]], None] | None,
    views: Views | None,
) -> Iterator[_Answers]:
    """Run the network over batches of a split."""
    nothing = np.empty(0, np.int64)
    with Pace() as pace:
        for indices, images, rows in bring(split.images, mine):
            if views is None:
                network.load(images, rows, normalization)
                network.forward(training=False)
            else:
                network.forward_views(views(images[rows]), normalization)
            network.loss(split.labels[indices])
            logits = network.logits()
            broken = ~np.isfinite(logits).all(axis=1)
            if broken.any():
                yield _Answers(network.loss_sums, int(broken.sum()), int(indices[broken.argmax()]), nothing, nothing)
            else:  # logits of thousands of classes and images would take more memory than everything else
                places = ranks(logits, split.labels[indices])
                yield _Answers(network.loss_sums, 0, 0, logits.argmax(axis=1), places)
                if seen is not None:
                    seen(indices, logits)
            pace.lap(len(indices))
