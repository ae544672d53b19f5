"""What an evaluation says, as a table and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from cnntrain.config import ExpectSettings
from cnntrain.evaluation.evaluate import Evaluation
from cnntrain.evaluation.metrics import Quality
from cnntrain.printable import printable
from cnntrain.tables import aligned

WIDEST_JSON = 1000  # classes; for more, JSON has the pairs that occur alone
WIDEST_MATRIX = 20  # classes; for more, the most frequent confusions are listed instead
TOP = 5  # the usual k of top-k accuracy
CONFUSIONS = 10  # how many are listed


@dataclass(frozen=True)
class Promise:
    """What a recipe promised of the test split, and what came of it."""

    expected: ExpectSettings
    accuracy: float

    @property
    def kept(self) -> bool:
        """Whether the accuracy is at least the promised one less the tolerance; more is welcome."""
        return self.accuracy >= self.expected.test_accuracy - self.expected.tolerance - 1e-12

    def __str__(self) -> str:
        expected = self.expected
        source = f" ({printable(expected.source)})" if expected.source else ""
        verdict = "kept" if self.kept else "NOT kept"
        return (
            f"expected {expected.test_accuracy:.2%}, tolerance {expected.tolerance:.2%}{source}: "
            f"{verdict} with {self.accuracy:.2%}"
        )


@dataclass(frozen=True)
class EvaluationReport:
    """An evaluation with what it is about.

    Attributes
    ----------
    checkpoint : str
        The file.
    epoch : int
        Epochs of training behind it.
    split : str
        "train", "validation" or "test".
    promise : Promise or None
        Of the recipe, for the test split.
    top : int
        The k of the top-k accuracy.
    """

    checkpoint: str
    epoch: int
    split: str
    class_names: tuple[str, ...]
    evaluation: Evaluation
    promise: Promise | None
    top: int = TOP

    def as_dict(self) -> dict[str, Any]:
        """Return everything in plain types, for JSON; shares of 1, null where there is nothing to count.

        A class's accuracy is its recall. `mistakes` are class, what it was taken for, and how often. For more than 1000
        classes `confusion_matrix` is null.
        """
        evaluation, confusion = self.evaluation, self.evaluation.confusion
        expected = None
        if self.promise is not None:
            expected = self.promise.expected.model_dump() | {"kept": self.promise.kept}
        return {
            "checkpoint": self.checkpoint,
            "epoch": self.epoch,
            "split": self.split,
            "images": evaluation.images,
            "loss": evaluation.loss,
            "accuracy": evaluation.accuracy,
            f"top_{self.top}_accuracy": evaluation.top_k(self.top),
            **{name: asdict(average) for name, average in evaluation.averages.items()},
            "classes": [
                {"name": name, "images": int(total), "correct": int(correct), "accuracy": quality.recall}
                | asdict(quality)
                for name, total, correct, quality in zip(
                    self.class_names, confusion.images, confusion.right, evaluation.class_qualities, strict=True
                )
            ],
            "confusion_matrix": confusion.matrix().tolist() if confusion.classes <= WIDEST_JSON else None,
            "mistakes": [list(mistake) for mistake in confusion.mistakes()],
            "expected": expected,
        }

    def as_text(self) -> str:
        """Return tables for a terminal."""
        evaluation = self.evaluation
        numbers = {"loss": f"{evaluation.loss:.4f}", "accuracy": f"{evaluation.accuracy:.2%}"}
        if 1 < self.top < len(self.class_names):
            numbers[f"top-{self.top} accuracy"] = f"{evaluation.top_k(self.top):.2%}"
        lines = [
            f"{printable(self.checkpoint)} (epoch {self.epoch}) on the {self.split} split, "
            f"{evaluation.images:,} images",
            "",
            *(f"{name:<{max(map(len, numbers))}}  {number}" for name, number in numbers.items()),
        ]
        lines += ["", *self._class_table(), "", *self._confusions()]
        if self.promise is not None:
            lines += ["", str(self.promise)]
        return "\n".join(lines)

    def _class_table(self) -> list[str]:
        confusion = self.evaluation.confusion
        rows = [["class", "images", "correct", "precision", "recall", "F1"]]
        for name, total, correct, quality in zip(
            self._names, confusion.images, confusion.right, self.evaluation.class_qualities, strict=True
        ):
            rows.append([name, f"{total:,}", f"{correct:,}", *_percentages(quality)])
        rows += [
            [f"{name} average", "", "", *_percentages(quality)] for name, quality in self.evaluation.averages.items()
        ]
        return aligned(rows)

    def _confusions(self) -> list[str]:
        confusion, names = self.evaluation.confusion, self._names
        if confusion.classes <= WIDEST_MATRIX:
            matrix = confusion.matrix()
            rows = [[name, *(f"{n}" if n else "." for n in row)] for name, row in zip(names, matrix, strict=True)]
            head = "confusion matrix (row: the image's class, column: the network's answer)"
            return [head, *aligned([["", *names], *rows])]
        rows = [
            [names[i], "taken for", names[j], f"{count} times"] for i, j, count in confusion.mistakes()[:CONFUSIONS]
        ]
        return ["most frequent confusions (--json has them all)", *aligned([["", "", "", ""], *rows])[1:]]

    @property
    def _names(self) -> list[str]:
        return [printable(name) for name in self.class_names]


def _percentages(quality: Quality) -> list[str]:
    shares = (quality.precision, quality.recall, quality.f1)
    return ["-" if share is None else f"{share:.2%}" for share in shares]
