"""What a proof says of each pass of a layer, and how it is collected trial by trial."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["exact", "rounded", "smooth", "straight", "close", "WRONG", "not tried"]
RIGHT: tuple[Verdict, ...] = ("exact", "rounded", "smooth", "straight", "close")


@dataclass(frozen=True)
class PassProof:
    """One pass of a layer, of a loss or of an optimiser.

    Attributes
    ----------
    path : str
        The layer's; "loss" or "optimizer".
    name : str
        forward, mask, to input, to weights, bias, or the name of what it is about.
    algorithm : str
        What computed it.
    numbers : str
        Type and size of the numbers.
    trials : int
    verdict : str
        "exact": whole numbers (or binary fractions), equal to those of the integers. "rounded": equal once rounded; how
        far from whole numbers they were is in `note`. "smooth", "straight": the remainder of Taylor's theorem falls as
        the square of the step, or is rounding alone. "close": a second form in many digits agrees to some last places.
        "WRONG"; "not tried": `note` says why.
    chance : float or None
        A bound on the chance that a wrong kernel would have passed all trials; None where nothing bounds it.
    note : str
        What is wrong, or what else there is to say.
    """

    path: str
    name: str
    algorithm: str
    numbers: str
    trials: int
    verdict: Verdict
    chance: float | None
    note: str = ""


@dataclass
class Ledger:
    """Results of one pass, trial by trial.

    Attributes
    ----------
    algorithm, numbers : str
    chance : float or None
        Of one trial; that of all is its power.
    exact : bool
        Results must be whole numbers; otherwise rounding decides.
    """

    name: str
    algorithm: str
    numbers: str
    chance: float | None
    exact: bool = True
    note: str = ""
    trials: int = 0
    fault: str = ""
    distance: float = field(default=0.0)

    def enter(self, fault: str, distance: float = 0.0) -> None:
        """Note a trial: what is wrong, or an empty text, and how far from whole numbers the results were."""
        self.trials += 1
        self.fault = self.fault or fault
        self.distance = max(self.distance, distance)

    def close(self, path: str) -> PassProof:
        """Return what all trials say."""
        if self.fault:
            return PassProof(path, self.name, self.algorithm, self.numbers, self.trials, "WRONG", None, self.fault)
        verdict: Verdict = "exact" if self.exact else "rounded"
        note = "" if self.exact else f"at most {self.distance:.1g} from whole numbers"
        note = "; ".join(filter(None, [note, self.note]))
        chance = None if self.chance is None else self.chance**self.trials
        return PassProof(path, self.name, self.algorithm, self.numbers, self.trials, verdict, chance, note)
