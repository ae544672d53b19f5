"""Run a network over a split and count how good it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cnntrain.data import Normalization, Split, batches
from cnntrain.data.prefetch import bring
from cnntrain.errors import TrainingError
from cnntrain.evaluation.metrics import (
    Quality,
    class_qualities,
    confusion_matrix,
    macro_average,
    top_k_correct,
    weighted_average,
)
from cnntrain.network import Network


@dataclass(frozen=True)
class Evaluation:
    """What a network said about a split.

    Attributes
    ----------
    loss : float
        Mean over the images (weighted if the loss has class weights), in float64.
    logits : ndarray, shape (images, classes)
    labels : ndarray, shape (images,), int64
    """

    loss: float
    logits: NDArray[np.floating]
    labels: NDArray[np.int64]

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
        return top_k_correct(self.logits, self.labels, k) / self.images

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """Counts of (label, predicted class) pairs."""
        return confusion_matrix(self.logits.argmax(axis=1), self.labels, self.logits.shape[1])

    @property
    def class_qualities(self) -> list[Quality]:
        """Precision, recall and F1 of each class."""
        return class_qualities(self.confusion)

    @property
    def averages(self) -> dict[str, Quality]:
        """The same on average: "macro" over the classes, "weighted" by their numbers of images."""
        return {"macro": macro_average(self.confusion), "weighted": weighted_average(self.confusion)}


def evaluate(network: Network, split: Split, normalization: Normalization, batch_size: int) -> Evaluation:
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

    Raises
    ------
    TrainingError
        The network gives NaN or infinity for some image.
    """
    logits, sums = [], []
    for indices, images, rows in bring(split.images, batches(len(split), batch_size)):
        network.load(images, rows, normalization)
        network.forward(training=False)
        network.loss(split.labels[indices])
        sums.append(network.loss_sums)
        logits.append(network.logits())
    total, weight = map(sum, zip(*sums, strict=True))
    evaluation = Evaluation(total / weight if weight else 0.0, np.concatenate(logits), split.labels)
    bad = ~np.isfinite(evaluation.logits).all(axis=1)
    if bad.any() or not math.isfinite(evaluation.loss):
        raise TrainingError(
            f"the network gives NaN or infinity for {int(bad.sum()):,} of {len(split):,} images "
            f"(the first is image {int(bad.argmax())}), and a loss of {evaluation.loss}"
        )
    return evaluation
