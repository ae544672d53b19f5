"""What a proof says, as a table and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cnntrain.verify.proof import RIGHT, PassProof

HEAD = ("layer", "pass", "algorithm", "numbers", "trials", "verdict", "a wrong one passes", "")
RIGHT_ALIGNED = ("trials", "a wrong one passes")
MEANINGS = {
    "exact": "every result is the whole number (or the fraction) that it must be",
    "rounded": "so it is once results are rounded: the transforms of this algorithm multiply with fractions",
    "smooth": "the remainder of Taylor's theorem falls as the square of the step: slope 2",
    "straight": "there is no remainder: straight lines, away from their corners",
    "close": "so it is but for rounding: beside a second form, the formula in NumPy, or in 40 digits",
    "not tried": "nothing is shown about it",
}


@dataclass(frozen=True)
class ProofReport:
    """A proof with what it is about.

    Attributes
    ----------
    subject : str
        The config's or the checkpoint's file.
    images : int
        Images in the largest batch.
    seed : int
    proofs : sequence of PassProof
    """

    subject: str
    images: int
    seed: int
    proofs: Sequence[PassProof]

    def of(self, *verdicts: str) -> list[PassProof]:
        """Return the passes with one of some verdicts."""
        return [proof for proof in self.proofs if proof.verdict in verdicts]

    @property
    def passed(self) -> bool:
        """Nothing is wrong, and something is proven."""
        return not self.of("WRONG") and bool(self.of(*RIGHT))

    def as_dict(self) -> dict[str, Any]:
        """Return everything in plain types, for JSON."""
        return {
            "subject": self.subject,
            "images": self.images,
            "seed": self.seed,
            "passed": self.passed,
            "passes": [
                {
                    "layer": proof.path,
                    "pass": proof.name,
                    "algorithm": proof.algorithm,
                    "numbers": proof.numbers,
                    "trials": proof.trials,
                    "verdict": proof.verdict,
                    "chance": proof.chance,
                    "note": proof.note,
                }
                for proof in self.proofs
            ],
        }

    def as_text(self) -> str:
        """Return a table for a terminal, and below it what its words mean."""
        head = f"{self.subject}: batches of {self.images} and fewer images, whole numbers from seed {self.seed}"
        rows: list[tuple[str, ...]] = [HEAD]
        before = ""
        for proof in self.proofs:
            rows.append(("" if proof.path == before else proof.path, *_cells(proof)))
            before = proof.path
        meanings = [f"{word}: {text}" for word, text in MEANINGS.items() if self.of(word)]
        return "\n".join([head, "", *aligned(rows, RIGHT_ALIGNED), "", *meanings, *self._chances(), self._conclusion()])

    def _chances(self) -> list[str]:
        chances = [proof.chance for proof in self.of(*RIGHT) if proof.chance is not None]
        if not chances:
            return []
        return [
            "a wrong one passes: a bound on the chance that another polynomial of the same degrees passes all trials",
            f"(Schwartz 1980, Zippel 1979, Freivalds 1977); here at most {shown_chance(max(chances))}. -: not bounded",
        ]

    def _conclusion(self) -> str:
        wrong, right = self.of("WRONG"), self.of(*RIGHT)
        if wrong:
            first = wrong[0]
            return f"WRONG: {len(wrong)} of {len(self.proofs)}, the first is {first.path}, {first.name}: {first.note}"
        if not right:
            return "FAILED: nothing is known to be wrong, but nothing could be proven either."
        open_questions = len(self.proofs) - len(right)
        return f"proven: {len(right)} of {len(self.proofs)} passes" + (
            f"; {open_questions} not tried" if open_questions else ""
        )


def shown_chance(chance: float) -> str:
    """Write a bound with one digit, never a smaller one."""
    if chance >= 1:
        return "1"
    power = math.floor(math.log10(chance))
    digit = math.ceil(chance / 10.0**power - 1e-9)
    return f"{digit}e{power:+03d}" if digit < 10 else f"1e{power + 1:+03d}"


def _cells(proof: PassProof) -> tuple[str, ...]:
    chance = "-" if proof.chance is None else shown_chance(proof.chance)
    return proof.name, proof.algorithm, proof.numbers, str(proof.trials), proof.verdict, chance, proof.note


def aligned(rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> list[str]:
    """Align the columns of a table; `right` names heads of columns that are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(rows[0], row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
