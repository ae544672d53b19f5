"""What runs when a planned network is trained: the algorithm of each pass, why others refused, and what is fused.

Nothing is built and nothing compiled.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, repeat
from typing import Any

import numpy as np

from cnntrain.layers.base import Conditions, LayerRow, PassChoice
from cnntrain.layers.fusion import Finding, explain, fuse
from cnntrain.machine import Machine, this_machine

WIDTH = 100  # of the text


@dataclass(frozen=True)
class Explanation:
    """What was chosen for a network, and why.

    Attributes
    ----------
    batch_size : int
    dtype : float32 or float64
    machine : Machine
    passes : list of PassChoice
        In the order in which the layers run.
    findings : list of Finding
        What the rules of fusion found.
    """

    batch_size: int
    dtype: np.dtype
    machine: Machine
    passes: list[PassChoice]
    findings: list[Finding]

    @classmethod
    def of(
        cls,
        rows: Sequence[LayerRow],
        batch_size: int,
        dtype: Any = np.float32,
        machine: Machine | None = None,
        direct: bool = False,
    ) -> Explanation:
        """Explain what `Network` would build of planned layers, on this machine or on another."""
        machine, dtype = machine or this_machine(), np.dtype(dtype)
        conditions = Conditions(machine.capacity(batch_size, dtype), dtype, machine, direct)
        return cls(batch_size, dtype, machine, list(choices_of(fuse(rows), conditions)), explain(rows))

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return {
            "batch_size": self.batch_size,
            "dtype": self.dtype.name,
            "machine": asdict(self.machine),
            "passes": [
                {"layer": found.path, "shape": found.shape, "pass": found.name, **choice_as_dict(found)}
                for found in self.passes
            ],
            "fusions": [
                {"rule": found.rule, "layers": list(found.paths), "refusal": found.refusal} for found in self.findings
            ],
        }

    def as_text(self) -> str:
        """Return it for people; layers of which the same is to be said share their lines."""
        machine = self.machine
        registers = f"{machine.registers} registers of {machine.register_bytes} bytes"
        return "\n".join(
            [
                f"passes: batches of {self.batch_size}, {self.dtype}, {registers}",
                *text_of_choices(self.passes),
                "",
                "fusions",
                *_text_of_findings(self.findings),
            ]
        )


def choices_of(
    rows: Iterable[LayerRow], conditions: Conditions, needs_grad_input: bool = False
) -> Iterator[PassChoice]:
    """Yield what would compute the passes of layers that have algorithms to choose from, and of those inside them.

    Parameters
    ----------
    rows : iterable of LayerRow
        As they run: fused.
    conditions : Conditions
    needs_grad_input : bool
        Somebody uses dL/d(input) of the first layer.
    """
    for row in rows:
        for part in row.parts:
            yield from choices_of(part.rows, conditions, needs_grad_input)
        for found in row.layer.explain(row, conditions):
            idle = _idle(found, row, needs_grad_input)
            yield found if idle is None else found._replace(algorithm=None, refusals={}, note=idle)
        needs_grad_input = needs_grad_input or _learns(row)


def _idle(found: PassChoice, row: LayerRow, needs_grad_input: bool) -> str | None:
    """Say why a pass is never computed; None if it is."""
    if found.name == "to input" and not needs_grad_input:
        return "no layer before it learns"
    return "the layer is frozen" if found.name == "to weights" and not _learns(row) else None


def _learns(row: LayerRow) -> bool:
    """Tell what `Layer.learns` of the layer will be."""
    own = bool(row.parameter_shapes) and not getattr(row.settings, "frozen", False)
    return own or any(map(_learns, [*row.stands_for, *(inner for part in row.parts for inner in part.rows)]))


def choice_as_dict(found: PassChoice | None) -> dict[str, Any]:
    """Return what was chosen, and why, for JSON; of a pass without a choice the same keys."""
    if found is None:
        return {"algorithm": None, "refusals": {}, "note": None}
    return {"algorithm": found.algorithm, "refusals": dict(found.refusals), "note": found.note or None}


def text_of_choices(passes: Iterable[PassChoice]) -> Iterator[str]:
    """Yield lines: layers, and below them their passes, each with its algorithm and why the earlier ones refused."""
    groups: dict[Any, dict[str, list[str]]] = {}  # paths by shape by what is to be said of them
    for path, choices in groupby(passes, key=lambda found: found.path):
        whole = list(choices)
        said = tuple((label, *_words(found)) for label, found in _joined(whole))
        groups.setdefault(said, {}).setdefault(whole[0].shape, []).append(path)
    for said, layers in groups.items():
        yield ""
        shown = {shape: _few(paths, WIDTH - len(shape) - 2) for shape, paths in layers.items()}
        width = max(map(len, shown.values()))
        yield from (f"{paths.ljust(width)}  {shape}" for shape, paths in shown.items())
        indent = max(len(label) for label, *_ in said) + 4
        for label, *lines in said:
            begins = [f"  {label}", *("" for _ in lines[1:])]
            yield from map(_filled, lines, begins, repeat(indent))


def _joined(choices: Iterable[PassChoice]) -> Iterator[tuple[str, PassChoice]]:
    """Yield the passes of a layer; those one after the other of which the same is to be said as one."""
    for _, same in groupby(choices, key=_words):
        found = list(same)
        yield ", ".join(one.name for one in found), found[0]


def _words(found: PassChoice) -> list[str]:
    if found.algorithm is None:
        return [f"never computed: {found.note}"]
    note = f", {found.note}" if found.note else ""
    by_reason = groupby(found.refusals, key=lambda name: found.refusals[name])
    return [f"{found.algorithm}{note}", *(f"not {', '.join(names)}: {reason}" for reason, names in by_reason)]


def _text_of_findings(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield lines: rules, and below them where they apply, and why not elsewhere."""
    rules: dict[str, list[Finding]] = {}
    for found in findings:
        rules.setdefault(found.rule, []).append(found)
    for rule, places in rules.items():
        yield f"  {rule}"
        lines = [" + ".join(found.paths) for found in places if found.refusal is None]
        refused: dict[str, list[str]] = {}
        for found in places:
            if found.refusal is not None:
                refused.setdefault(found.refusal, []).append(found.paths[0])
        lines += [f"not at {_few(paths, WIDTH - 40)}: {reason}" for reason, paths in refused.items()]
        yield from (_filled(line, "", 4) for line in lines)
    if not rules:
        yield "  none applies anywhere"


def _few(paths: Sequence[str], width: int) -> str:
    """List paths; of many the first few that fit the width, and how many others there are."""
    for shown in range(len(paths), 0, -1):
        others = len(paths) - shown
        text = ", ".join(paths[:shown]) + (f" and {others} more" if others else "")
        if len(text) <= width:
            break
    return text


def _filled(line: str, begin: str, indent: int) -> str:
    """Break a line that is too long; `begin` stands before it."""
    return textwrap.fill(
        line, WIDTH, initial_indent=begin.ljust(indent), subsequent_indent=" " * (indent + 2), break_on_hyphens=False
    )  # fmt: skip
