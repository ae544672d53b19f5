"""What a network answers to each image of a split, and which images are worth looking at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnntrain.data import DataSet, Split
from cnntrain.evaluation.assessment import check_fit
from cnntrain.evaluation.evaluate import Evaluation, evaluate
from cnntrain.evaluation.restored import Restored, normalization_for
from cnntrain.evaluation.views import views_of
from cnntrain.printable import as_text

BATCH = 128  # images at a time; the result does not depend on it
SHOWN = 25  # pictures of a kind
NAMED = 3  # answers beside a picture, the most probable


@dataclass(frozen=True)
class Answer:
    """One image, and what the network says of it.

    Attributes
    ----------
    index : int
        Number of the image in its split, from 0.
    name : str or None
        Its file.
    picture : ndarray, (channels, rows, columns)
        As stored.
    label : int
    label_probability : float
    answers : sequence of (int, float)
        The most probable classes with their probabilities, the first of all first.
    """

    index: int
    name: str | None
    picture: NDArray[Any]
    label: int
    label_probability: float
    answers: Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Answers:
    """A whole split.

    Attributes
    ----------
    split : str
    evaluation : Evaluation
    mistakes : sequence of Answer
        Those whose own class the network thinks least probable, that one first.
    unsure : sequence of Answer
        Right answers with the least probability, the least first.
    """

    split: str
    class_names: Sequence[str]
    evaluation: Evaluation
    mistakes: Sequence[Answer]
    unsure: Sequence[Answer]


def answers_of(restored: Restored, data: DataSet, split_name: str) -> Answers:
    """Run a network over a split.

    Parameters
    ----------
    restored : Restored
        With room for `BATCH` images.
    data : DataSet
        Its data.
    split_name : str
        "train", "validation" or "test".

    Raises
    ------
    CheckpointError
        The data are not those that the network was trained on.
    ConfigError
        There is no validation split.
    TrainingError
        The network gives NaN or infinity.
    """
    check_fit(restored, data)
    split = data.split(split_name)
    collector = _Collector(split.labels, restored.network.output_shape.size)
    normalization = normalization_for(restored, split.images.dtype)
    batch, views = min(BATCH, restored.network.batch_size), views_of(restored.config)
    evaluation = evaluate(restored.network, split, normalization, batch, collector, views)
    right = evaluation.predicted == evaluation.labels
    mistakes = _least(collector.label_log_probability, np.flatnonzero(~right))
    unsure = _least(collector.label_log_probability, np.flatnonzero(right))
    names = [as_text(name) for name in data.class_names]
    return Answers(split_name, names, evaluation, collector.answers(split, mistakes), collector.answers(split, unsure))


def log_softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the logarithms of the softmax of each row, float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


class _Collector:
    """Keeps of each image what is needed to choose among all of them; whole rows would take too much memory."""

    def __init__(self, labels: NDArray[np.int64], classes: int) -> None:
        self._labels, images = labels, len(labels)
        self.label_log_probability = np.zeros(images)
        self._top = np.zeros((images, min(NAMED, classes)), np.int64)
        self._top_probability = np.zeros(self._top.shape)

    def __call__(self, indices: NDArray[np.int64], logits: NDArray[np.floating]) -> None:
        logarithms = log_softmax(logits)
        top = np.argsort(-logits, axis=1, kind="stable")[:, : self._top.shape[1]]  # equal ones in the order of argmax
        self._top[indices] = top
        self._top_probability[indices] = np.exp(np.take_along_axis(logarithms, top, axis=1))
        self.label_log_probability[indices] = np.take_along_axis(logarithms, self._labels[indices, None], axis=1)[:, 0]

    def answers(self, split: Split, chosen: NDArray[np.int64]) -> list[Answer]:
        pictures = split.images[chosen] if len(chosen) else []
        return [
            Answer(
                index=index,
                name=None if split.names is None else as_text(split.names[index]),
                picture=picture,
                label=int(self._labels[index]),
                label_probability=float(np.exp(self.label_log_probability[index])),
                answers=list(zip(self._top[index].tolist(), self._top_probability[index].tolist(), strict=True)),
            )
            for index, picture in zip(chosen.tolist(), pictures, strict=True)
        ]


def _least(values: NDArray[np.float64], among: NDArray[np.int64]) -> NDArray[np.int64]:
    return among[np.argsort(values[among], kind="stable")[:SHOWN]]
