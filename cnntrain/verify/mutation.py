"""Running mutants: what `prove` and what the gradient check says of each, and the share that they catch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cnntrain.verify import (
    mutants_convolution,
    mutants_curved,
    mutants_geometry,
    mutants_optimizer,
    mutants_pooling,
)
from cnntrain.verify.grounds import GROUNDS
from cnntrain.verify.mutant import Mutant, broken
from cnntrain.verify.mutants_source import SOURCES, SourceMutant, run_source
from cnntrain.verify.proof_report import aligned

MUTANTS: list[Mutant] = [
    mutant
    for table in (mutants_geometry, mutants_convolution, mutants_pooling, mutants_curved, mutants_optimizer)
    for mutant in table.MUTANTS
]
UNBROKEN = "nothing broken"


@dataclass(frozen=True)
class Outcome:
    """What is found of a mutant.

    Attributes
    ----------
    name, ground : str
    linear, consistent : bool
        As of `Mutant`.
    source : bool
        An edit of a kernel's source.
    proven, checked : str
        What `prove` and the gradient check find wrong; empty if nothing.
    """

    name: str
    ground: str
    linear: bool
    consistent: bool
    source: bool
    proven: str
    checked: str


def run_mutant(mutant: Mutant | SourceMutant) -> Outcome:
    """Break, try, and mend."""
    if isinstance(mutant, SourceMutant):
        proven, checked = run_source(mutant)
    else:
        ground = GROUNDS[mutant.ground]
        with broken(mutant):
            proven, checked = ground.proven(), ground.checked()
    source = isinstance(mutant, SourceMutant)
    return Outcome(mutant.name, mutant.ground, mutant.linear, mutant.consistent, source, proven, checked)


def run_mutants(sources: bool, say: Callable[[str], None] = lambda line: None) -> list[Outcome]:
    """Run all mutants, after every network unbroken.

    Parameters
    ----------
    sources : bool
        Those too whose kernels are compiled anew: minutes.
    say : callable
        Told what takes long.

    Returns
    -------
    list of Outcome
        First those of the unbroken networks, of which nothing may be found.
    """
    found = [
        Outcome(UNBROKEN, name, True, False, False, ground.proven(), ground.checked())
        for name, ground in GROUNDS.items()
    ]
    found += map(run_mutant, MUTANTS)
    for number, mutant in enumerate(SOURCES if sources else [], 1):
        say(f"compiling anew {number} of {len(SOURCES)}: {mutant.name}")
        found.append(run_mutant(mutant))
    return found


@dataclass(frozen=True)
class MutationReport:
    """What became of all mutants.

    Attributes
    ----------
    outcomes : sequence of Outcome
        As `run_mutants` returns them.
    """

    outcomes: Sequence[Outcome]

    @property
    def mutants(self) -> list[Outcome]:
        """Without the unbroken networks."""
        return [outcome for outcome in self.outcomes if outcome.name != UNBROKEN]

    @property
    def alarms(self) -> list[Outcome]:
        """Unbroken networks of which something was found."""
        return [found for found in self.outcomes if found.name == UNBROKEN and (found.proven or found.checked)]

    @property
    def survivors(self) -> list[Outcome]:
        """Mutants that `prove` does not catch."""
        return [outcome for outcome in self.mutants if not outcome.proven]

    @property
    def passed(self) -> bool:
        """Nothing is found where nothing is broken, and `prove` catches all that is linear."""
        return not self.alarms and not any(outcome.linear for outcome in self.survivors)

    def as_dict(self) -> dict[str, Any]:
        """Return everything in plain types, for JSON."""
        return {
            "passed": self.passed,
            "mutants": [dict(vars(outcome)) for outcome in self.mutants],
            "alarms": [dict(vars(outcome)) for outcome in self.alarms],
            "caught_by_prove": sum(bool(outcome.proven) for outcome in self.mutants),
            "caught_by_gradcheck": sum(bool(outcome.checked) for outcome in self.mutants),
        }

    def as_text(self) -> str:
        """Return a table for a terminal, and below it the shares."""
        rows: list[tuple[str, ...]] = [("mutant", "network", "prove", "gradcheck")]
        for found in self.mutants:
            name = found.name + " (source)" * found.source
            rows.append((name, found.ground, *("caught" if text else "-" for text in (found.proven, found.checked))))
        linear = [found for found in self.mutants if found.linear]
        consistent = [found for found in self.mutants if found.consistent]
        lines = [
            *aligned(rows), "",
            f"unbroken: {len(self.outcomes) - len(self.mutants)} networks, {len(self.alarms)} false alarms",
            _share("prove", [found.proven for found in self.mutants], "of all mutants"),
            _share("prove", [found.proven for found in linear], "of those in what is linear, and in masks"),
            _share("gradcheck", [found.checked for found in self.mutants], "of all mutants"),
            _share("gradcheck", [found.checked for found in consistent], "of those wrong forward and backward alike"),
        ]  # fmt: skip
        lines += [f"FALSE ALARM: {found.ground}: {found.proven or found.checked}" for found in self.alarms]
        lines += [f"survives prove: {found.name} ({found.ground})" for found in self.survivors]
        return "\n".join(lines)


def _share(who: str, found: Sequence[str], of: str) -> str:
    caught = sum(map(bool, found))
    return f"{who} catches {caught} of {len(found)} {of}: {100 * caught / max(len(found), 1):.0f} %"
