"""What runs in the place of the layers that a config lists: an ordered list of rules.

Each rule is tried at every place of a sequence of rows, and of the sequences inside: it gives rows that run in the
place of the first few, or says in words why not. The next rule sees what the one before has made.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import ClassVar, NamedTuple

from cnntrain.layers.base import LayerRow
from cnntrain.layers.conv2d import Conv2d
from cnntrain.layers.max_pool2d import MaxPool2d
from cnntrain.layers.pooled_convolution import PooledConvolution


class Fused(NamedTuple):
    """What a rule gives: `rows` run in the place of the first `taken`."""

    taken: int
    rows: tuple[LayerRow, ...]


class Rule(ABC):
    """A way to run some layers that gives the same in less time.

    Attributes
    ----------
    name : str
        For `explain`.
    """

    name: ClassVar[str]

    @abstractmethod
    def begins(self, row: LayerRow) -> bool:
        """Tell whether the rule is about layers that begin with one like this."""

    @abstractmethod
    def fuse(self, rows: Sequence[LayerRow]) -> Fused | str:
        """Give what runs in the place of the first rows; for the first `begins` holds. Or say why not."""


class PoolingFirst(Rule):
    """Max-pooling runs before the activations that it follows.

    A function f that never falls commutes with the maximum: max f(z) = f(max z). After pooling there are fewer values
    to compute it of. The gradient takes the same way back; only where f rounds different z to the same value, or is
    flat, may the winner be another of them.
    """

    name = "max-pooling before activations"

    def begins(self, row: LayerRow) -> bool:
        """Activations that never fall."""
        return row.layer.monotone

    def fuse(self, rows: Sequence[LayerRow]) -> Fused | str:
        """Put the poolings among the next layers first, as far as there are only such activations between them."""
        run = list(takewhile(lambda row: row.layer.monotone or row.layer.takes_maximum, rows))
        behind = rows[len(run)].name if len(run) < len(rows) else "nothing"
        while run and not run[-1].layer.takes_maximum:
            run.pop()
        if not run:
            return f"{behind} follows, not max-pooling"
        shape = run[-1].output_shape
        poolings = [row for row in run if row.layer.takes_maximum]
        activations = [
            replace(row, input_shape=shape, output_shape=shape) for row in run if not row.layer.takes_maximum
        ]
        return Fused(len(run), (*poolings, *activations))


class PoolingInside(Rule):
    """A convolution and the max-pooling behind it run as one layer, which never holds all that they exchange.

    Outputs have the same bits; gradients of weights and biases may be summed in another order.
    """

    name = "convolution and max-pooling as one"

    def begins(self, row: LayerRow) -> bool:
        """Convolutions."""
        return row.layer is Conv2d

    def fuse(self, rows: Sequence[LayerRow]) -> Fused | str:
        """Take a convolution and the pooling behind it."""
        behind = rows[1].name if len(rows) > 1 else "nothing"
        if len(rows) < 2 or rows[1].layer is not MaxPool2d:
            return f"{behind} follows, not max_pool2d"
        convolution, pooling = rows[:2]
        row = LayerRow(
            layer=PooledConvolution,
            settings=None,
            path=pooling.path,
            input_shape=convolution.input_shape,
            output_shape=pooling.output_shape,
            parameter_shapes={},
            macs=convolution.macs + pooling.macs,
            stands_for=(convolution, pooling),
        )
        return Fused(2, (row,))


RULES: list[Rule] = [PoolingFirst(), PoolingInside()]


@dataclass(frozen=True)
class Finding:
    """What a rule found at one place.

    Attributes
    ----------
    rule : str
        Its name.
    paths : tuple of str
        The layers that it applies to; where it does not apply, the one at which it was tried.
    refusal : str or None
        Why it does not apply; None where it does.
    """

    rule: str
    paths: tuple[str, ...]
    refusal: str | None


def fuse(rows: Sequence[LayerRow]) -> list[LayerRow]:
    """Apply all rules, inside layers too."""
    return _fuse(rows, [])


def explain(rows: Sequence[LayerRow]) -> list[Finding]:
    """Return where each rule applies and why not elsewhere; layers at which it cannot begin are left out.

    Nothing is built. Sequences inside layers come first, then rule by rule.
    """
    findings: list[Finding] = []
    _fuse(rows, findings)
    return findings


def _fuse(rows: Sequence[LayerRow], findings: list[Finding]) -> list[LayerRow]:
    fused = [_fuse_inside(row, findings) for row in rows]
    for rule in RULES:
        fused = _apply(rule, fused, findings)
    return fused


def _fuse_inside(row: LayerRow, findings: list[Finding]) -> LayerRow:
    parts = tuple(replace(part, rows=tuple(_fuse(part.rows, findings))) for part in row.parts)
    return replace(row, parts=parts) if parts else row


def _apply(rule: Rule, rows: list[LayerRow], findings: list[Finding]) -> list[LayerRow]:
    """Walk over the rows, and put what the rule gives in the place of those that it takes."""
    done: list[LayerRow] = []
    at = 0
    while at < len(rows):
        taken = 1
        instead: tuple[LayerRow, ...] = (rows[at],)
        if rule.begins(rows[at]):
            result = rule.fuse(rows[at:])
            if isinstance(result, Fused):
                taken, instead = result
            refusal = result if isinstance(result, str) else None
            findings.append(Finding(rule.name, tuple(row.path for row in rows[at : at + taken]), refusal))
        done += instead
        at += taken
    return done
