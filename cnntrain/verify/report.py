"""What a gradient check says, as a table and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cnntrain.tables import aligned
from cnntrain.verify.gradients import EntryCheck, TensorCheck

HEAD = ("tensor", "shape", "checked", "kinks", "worst entry", "analytic", "numeric", "rel. error", "verdict")
LEFT = (0, len(HEAD) - 1)  # columns aligned to the left


@dataclass(frozen=True)
class GradientReport:
    """A gradient check with what it is about.

    Attributes
    ----------
    subject : str
        The config's or the checkpoint's file.
    images : int
        Images in the batch.
    seed : int
        Of the choice of images and entries.
    tolerance : float
        Largest relative error that passes.
    checks : sequence of TensorCheck
    layers : sequence of str
        Paths of the network's layers, in the order in which they run.
    """

    subject: str
    images: int
    seed: int
    tolerance: float
    checks: Sequence[TensorCheck]
    layers: Sequence[str] = ()

    def of(self, verdict: str) -> list[TensorCheck]:
        """Return the tensors with a verdict."""
        return [check for check in self.checks if check.verdict == verdict]

    @property
    def passed(self) -> bool:
        """Whether no gradient is wrong and at least one tensor's was found right: a check of nothing proves nothing."""
        return not self.of("WRONG") and bool(self.of("ok"))

    def as_dict(self) -> dict[str, Any]:
        """Return everything in plain types, for JSON; null stands for NaN and infinity."""
        return {
            "subject": self.subject,
            "images": self.images,
            "seed": self.seed,
            "tolerance": self.tolerance,
            "passed": self.passed,
            "tensors": [
                {
                    "name": check.name,
                    "shape": list(check.shape),
                    "verdict": check.verdict,
                    "checked": check.checked,
                    "wrong": check.wrong,
                    "kinks": check.kinks,
                    "moved": check.moved,
                    "worst": None if check.worst is None else _plain(check.worst),
                }
                for check in self.checks
            ],
        }

    def as_text(self) -> str:
        """Return a table for a terminal, and below it what follows from it."""
        head = f"{self.subject}: {self.images} image{'s' * (self.images > 1)} in float64, tolerance {self.tolerance:g}"
        return "\n".join(
            [head, "", *aligned([HEAD, *map(_cells, self.checks)], LEFT), "", *self._notes(), self._conclusion()]
        )

    def _notes(self) -> list[str]:
        notes = []
        if any(check.moved for check in self.checks):
            notes.append(
                "* every entry tried was a kink or zero there, so these were checked with all parameters moved a little"
            )
        if any(check.worst is not None and math.isnan(check.worst.analytic) for check in self.checks):
            notes.append(
                "nan: a gradient is NaN. It was before the backward pass, on purpose: is it added to (+=) where it "
                "must be written (=), or not written at all?"
            )
        if self.of("zero"):
            notes.append(
                "zero: the backward pass and the differences agree, on nothing. That is normal for a bias in front of "
                "batch normalisation, which subtracts it again. Elsewhere: units that are always off, or zero weights "
                "behind them?"
            )
        if self.of("not decided"):
            notes.append(
                "not decided: every entry tried lies on a kink, where no gradient exists; try other images (--seed), "
                "fewer of them (--images), or a trained network"
            )
        return notes

    def _conclusion(self) -> str:
        wrong, right = self.of("WRONG"), self.of("ok")
        if wrong:
            return (
                f"WRONG: {len(wrong)} of {len(self.checks)} tensors. The backward pass goes from the last layer to the "
                f"first. {self._where(wrong[-1])}"
            )
        if not right:
            return "FAILED: no gradient is known to be wrong, but none could be checked either."
        entries = sum(check.checked for check in right)
        rest = len(self.checks) - len(right)
        return f"passed: {len(right)} of {len(self.checks)} tensors, {entries} entries" + (
            f"; {rest} could not be checked" if rest else ""
        )

    def _where(self, wrong: TensorCheck) -> str:
        """Say which layers lie between the last tensor that is wrong and the first behind it that is right."""
        behind = self.checks[self.checks.index(wrong) + 1 :]
        right = next((check for check in behind if check.verdict == "ok"), None)
        first, last = self._layer_of(wrong), None if right is None else self._layer_of(right)
        if right is not None and first == last:
            return f"{right.name} is right, {wrong.name} is not: look at how {first} computes that gradient."
        until = "nothing behind it is known to be right" if right is None else f"{right.name} is right again"
        suspects = list(self.layers[self._place(first) : None if last is None else self._place(last) + 1])
        return f"The last that is WRONG is {wrong.name}; {until}. The fault is in one of: " + ", ".join(
            suspects + ["the loss"] * (last is None)
        )

    def _layer_of(self, check: TensorCheck) -> str:
        return check.name.rpartition(".")[0]

    def _place(self, layer: str) -> int:
        return self.layers.index(layer) if layer in self.layers else 0  # the input is in front of all


def _plain(entry: EntryCheck) -> dict[str, Any]:
    numbers = {"analytic": entry.analytic, "numeric": entry.numeric, "relative_error": entry.error}
    plain = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    return {"index": list(entry.index), **plain}


def _cells(check: TensorCheck) -> tuple[str, ...]:
    verdict = check.verdict + (f" ({check.wrong} of {check.checked})" if check.wrong else "")
    worst = ("-", "-", "-", "-")
    if check.worst is not None:
        entry = check.worst
        place = ",".join(map(str, entry.index))
        worst = f"[{place}]", f"{entry.analytic:.8e}", f"{entry.numeric:.8e}", f"{entry.error:.1e}"
    return (
        check.name,
        "x".join(map(str, check.shape)),
        str(check.checked),
        str(check.kinks),
        *worst,
        verdict + "*" * check.moved,
    )
